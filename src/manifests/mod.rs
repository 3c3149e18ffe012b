//! PURE: manifests as people write them: several documents, lists, `data` or `stringData`.

mod asked;
mod document;
pub mod offline;
mod output;
mod position;
mod refused;
mod registry;
mod schema;
mod secret;
mod splice;
#[cfg(test)]
mod tests;

use secrecy::SecretString;
use serde_yaml::Value;

pub use asked::Parsed;
pub use document::Origin;
pub use refused::Refused;
pub use secret::{SecretManifest, Unwritable};

use crate::api::{IdentityPolicy, QuayStorage, StorageIdentity, without_values};
use crate::reason::{Failure, Reason};
use document::{Source, documents};
use position::FieldPath;
use registry::RegistryManifest;
use secret::ManifestText;

const API_VERSION: &str = "registry-sts.dev/v1alpha1";

/// What of a set of manifests concerns us; other kinds are passed over.
#[derive(Default)]
pub struct Manifests {
    resources: Vec<Resource>,
    identities: Vec<(Origin, StorageIdentity)>,
    policies: Vec<IdentityPolicy>,
    secrets: Vec<SecretManifest>,
    registries: Vec<RegistryManifest>,
    /// What is wrong with resources that the API server would not take, or not as they are meant.
    invalid: Vec<Refused>,
}

/// A `QuayStorage` and where it stands.
struct Resource {
    origin: Origin,
    object: QuayStorage,
}

/// The `StorageIdentities` among manifests, each with where it stands, and the policies that may allow them.
pub struct Identities<'a> {
    /// What is asked for.
    pub identities: &'a [(Origin, StorageIdentity)],
    /// What is allowed.
    pub policies: &'a [IdentityPolicy],
}

/// Why manifests cannot be read. It holds no value of a Secret.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A document is no YAML.
    #[error("{origin}, column {column}: {why}: correct it there")]
    Yaml {
        /// Where.
        origin: Origin,
        /// Where on the line.
        column: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// A Secret does not have the form of one.
    #[error("{origin}, Secret {name}: {why}")]
    Secret {
        /// Where.
        origin: Origin,
        /// Its name, if it has one.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Manifests {
    /// Reads a file of any number of documents and adds what is in it.
    ///
    /// # Errors
    /// The first document that cannot be read; those of other kinds are not looked at.
    pub fn add(&mut self, file: &str, stream: &str) -> Result<(), ManifestError> {
        for (index, document) in documents(stream).into_iter().enumerate() {
            let Some(source) = Source::new(file, index, document) else { continue };
            let value = serde_yaml::from_str(source.document.text).map_err(|error| not_yaml(&error, &source))?;
            self.add_value(value, &source, &FieldPath::default())?;
        }
        Ok(())
    }

    /// Whether there is nothing among them that asks for anything.
    pub fn ask_for_nothing(&self) -> bool {
        self.resources.is_empty() && self.invalid.is_empty()
    }

    fn add_value(&mut self, mut value: Value, source: &Source<'_>, path: &FieldPath) -> Result<(), ManifestError> {
        match value.get("kind").and_then(Value::as_str) {
            Some("List") => {
                let items = value.get_mut("items").and_then(Value::as_sequence_mut).map(std::mem::take);
                let path = path.key("items");
                for (index, item) in items.into_iter().flatten().enumerate() {
                    self.add_value(item, source, &path.item(index))?;
                }
            }
            Some("QuayStorage") => self.add_resource("QuayStorage", value, source, path),
            Some("StorageIdentity") => self.add_resource("StorageIdentity", value, source, path),
            Some("IdentityPolicy") => self.add_resource("IdentityPolicy", value, source, path),
            Some(crate::registry::KIND) => self.registries.extend(RegistryManifest::new(&value, source.at(path))),
            Some("Secret") => {
                let name = name_of(&value);
                let own = path.is_root().then(|| SecretString::from(source.document.text));
                let text = ManifestText { own, marked: source.document.marked, json: source.is_json() };
                let origin = source.at(path);
                let secret = SecretManifest::new(value, origin.clone(), text).map_err(|why| ManifestError::Secret {
                    origin,
                    name,
                    why,
                })?;
                self.secrets.push(secret);
            }
            _ => {}
        }
        Ok(())
    }

    fn add_resource(&mut self, kind: &'static str, mut value: Value, source: &Source<'_>, path: &FieldPath) {
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let api_version = text(&value, "apiVersion");
        let metadata = value.get("metadata").cloned().unwrap_or_default();
        let (name, namespace) = (text(&metadata, "name"), text(&metadata, "namespace"));
        let what = format!("{kind} {}", qualified(namespace.as_deref(), name.as_deref().unwrap_or("?")));
        let mut wrong: Vec<(FieldPath, String)> = Vec::new();
        let root = FieldPath::default();
        if api_version.as_deref() != Some(API_VERSION) {
            let found = api_version.map_or("none", |_| "another");
            wrong.push((root.key("apiVersion"), format!("apiVersion: expected {API_VERSION}, found {found}")));
        }
        if name.is_none() {
            wrong.push((root.key("metadata").key("name"), "metadata.name is missing: add it".to_owned()));
        }
        wrong.extend(schema::faults(&mut value, kind).into_iter().map(|fault| (fault.path, fault.says)));
        if wrong.is_empty() {
            let spec = value.get("spec").cloned().unwrap_or_default();
            let origin = source.at(path);
            match self.take(kind, (name.as_deref().unwrap_or_default(), namespace), spec, origin) {
                Ok(()) => return,
                Err(error) => wrong.push((root.key("spec"), format!("spec: {}", without_values(&error.to_string())))),
            }
        }
        self.invalid.extend(wrong.into_iter().map(|(field, says)| Refused {
            origin: source.at(&path.joined(&field)),
            what: what.clone(),
            failure: Failure::new(Reason::InvalidSpec, if says.ends_with(['.', '?']) { says } else { says + "." }),
        }));
    }
}

impl Manifests {
    fn take(
        &mut self,
        kind: &str,
        (name, namespace): (&str, Option<String>),
        spec: Value,
        origin: Origin,
    ) -> Result<(), serde_yaml::Error> {
        match kind {
            "StorageIdentity" => {
                let mut object = StorageIdentity::new(name, serde_yaml::from_value(spec)?);
                object.metadata.namespace = namespace;
                self.identities.push((origin, object));
            }
            "IdentityPolicy" => self.policies.push(IdentityPolicy::new(name, serde_yaml::from_value(spec)?)),
            _ => {
                let mut object = QuayStorage::new(name, serde_yaml::from_value(spec)?);
                object.metadata.namespace = namespace;
                self.resources.push(Resource { origin, object });
            }
        }
        Ok(())
    }

    /// The `StorageIdentities` and `IdentityPolicies` among them.
    ///
    /// # Errors
    /// Everything that the API server would refuse of whole resources.
    pub fn identities(&self) -> Result<Identities<'_>, Vec<Refused>> {
        let Self { identities, policies, invalid, .. } = self;
        if invalid.is_empty() { Ok(Identities { identities, policies }) } else { Err(invalid.clone()) }
    }
}

/// A name with its namespace, where the manifest says one.
fn qualified(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

fn name_of(value: &Value) -> String {
    let metadata = |field: &str| value.get("metadata")?.get(field)?.as_str();
    qualified(metadata("namespace"), metadata("name").unwrap_or("?"))
}

fn not_yaml(error: &serde_yaml::Error, source: &Source<'_>) -> ManifestError {
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    let twice = error.to_string().contains("duplicate entry");
    let why = if twice { "a mapping has a key twice" } else { "it is no YAML" };
    let line = source.document.first_line + line.max(1) - 1;
    ManifestError::Yaml { origin: Origin { line, ..source.origin.clone() }, column, why }
}
