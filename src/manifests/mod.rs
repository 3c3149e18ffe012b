//! PURE: manifests as people write them: several documents, lists, `data` or `stringData`.

pub mod offline;
mod secret;

use serde::Deserialize as _;
use serde_yaml::Value;

pub use secret::SecretManifest;

use crate::api::{QuayStorage, without_values};

/// What of a set of manifests concerns us; other kinds are passed over.
#[derive(Default)]
pub struct Manifests {
    /// The resources, in the order in which they stand.
    pub resources: Vec<QuayStorage>,
    /// The Secrets.
    pub secrets: Vec<SecretManifest>,
}

/// Why manifests cannot be read. It holds no value of a Secret.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A document is no YAML.
    #[error("document {document} is no YAML (line {line}, column {column}): correct it there")]
    Yaml {
        /// Which, counted from 1.
        document: usize,
        /// Where, in the whole text.
        line: usize,
        /// Where on the line.
        column: usize,
    },
    /// A `QuayStorage` does not have the form of one.
    #[error("document {document}, QuayStorage {name}: {why}")]
    Resource {
        /// Which, counted from 1.
        document: usize,
        /// Its name, if it has one.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A Secret does not have the form of one.
    #[error("document {document}, Secret {name}: {why}")]
    Secret {
        /// Which, counted from 1.
        document: usize,
        /// Its name, if it has one.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Manifests {
    /// Reads a text of any number of documents and adds what is in it.
    ///
    /// # Errors
    /// The first document that cannot be read; those of other kinds are not looked at.
    pub fn add(&mut self, text: &str) -> Result<(), ManifestError> {
        for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
            let document_number = index + 1;
            let value = Value::deserialize(document).map_err(|error| {
                let (line, column) = error.location().map_or((0, 0), |place| (place.line(), place.column()));
                ManifestError::Yaml { document: document_number, line, column }
            })?;
            self.add_value(value, document_number)?;
        }
        Ok(())
    }

    fn add_value(&mut self, mut value: Value, document: usize) -> Result<(), ManifestError> {
        let name = value.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_str).unwrap_or("?").to_owned();
        match value.get("kind").and_then(Value::as_str) {
            Some("List") => {
                let items = value.get_mut("items").and_then(Value::as_sequence_mut).map(std::mem::take);
                items.into_iter().flatten().try_for_each(|item| self.add_value(item, document))
            }
            Some("QuayStorage") => {
                let resource = serde_yaml::from_value(value).map_err(|error| ManifestError::Resource {
                    document,
                    name,
                    why: without_values(&error.to_string()),
                })?;
                self.resources.push(resource);
                Ok(())
            }
            Some("Secret") => {
                let secret = SecretManifest::new(value).map_err(|why| ManifestError::Secret { document, name, why })?;
                self.secrets.push(secret);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The Secret of a name in a namespace. Manifests may leave the namespace out: it is then whatever is asked for.
    pub fn secret(&self, namespace: Option<&str>, name: &str) -> Option<&SecretManifest> {
        let matches = |secret: &&SecretManifest| {
            secret.name() == Some(name)
                && (secret.namespace() == namespace || secret.namespace().is_none() || namespace.is_none())
        };
        self.secrets.iter().find(matches)
    }
}
