//! A Secret's manifest.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_yaml::Value;

use crate::plan::observation::{BundleSecret, CONFIG};

/// A Secret as its manifest writes it. It has no Debug.
pub struct SecretManifest {
    manifest: Value,
    /// The values, decoded; `stringData` counts where both are given, as it does for the API server.
    data: BTreeMap<String, SecretSlice<u8>>,
}

impl SecretManifest {
    /// Decodes the manifest's values.
    pub(super) fn new(manifest: Value) -> Result<Self, &'static str> {
        let mut data = BTreeMap::new();
        for (key, value) in pairs(&manifest, "data")? {
            let bytes = BASE64
                .decode(value.trim())
                .map_err(|_| "a value under data is not base64: encode it, or put it under stringData as it is")?;
            data.insert(key.to_owned(), SecretSlice::from(bytes));
        }
        for (key, value) in pairs(&manifest, "stringData")? {
            data.insert(key.to_owned(), SecretSlice::from(value.as_bytes().to_vec()));
        }
        Ok(Self { manifest, data })
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.metadata("name")
    }

    /// Its namespace, if the manifest says one.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata("namespace")
    }

    fn metadata(&self, field: &str) -> Option<&str> {
        self.manifest.get("metadata")?.get(field)?.as_str()
    }

    /// Its values as texts. What is no UTF-8 is refused where it is used.
    pub fn texts(&self) -> BTreeMap<String, SecretString> {
        let text = |value: &SecretSlice<u8>| String::from_utf8_lossy(value.expose_secret()).into_owned();
        self.data.iter().map(|(key, value)| (key.clone(), SecretString::from(text(value)))).collect()
    }

    /// It as the bundle of a registry.
    pub fn bundle(&self) -> BundleSecret {
        BundleSecret {
            immutable: self.manifest.get("immutable").and_then(Value::as_bool) == Some(true),
            ..BundleSecret::of(self.data.clone())
        }
    }

    /// The manifest as YAML with another `config.yaml`, put where the manifest has it: under `stringData` as text, under
    /// `data` in base64. It holds all of the Secret's values.
    ///
    /// # Errors
    /// When it cannot be serialised.
    pub fn with_config(&self, config: &SecretSlice<u8>) -> Result<SecretString, serde_yaml::Error> {
        let mut manifest = self.manifest.clone();
        let clear =
            manifest.get_mut("stringData").and_then(Value::as_mapping_mut).and_then(|data| data.get_mut(CONFIG));
        if let Some(value) = clear {
            *value = String::from_utf8_lossy(config.expose_secret()).into_owned().into();
        } else if let Some(data) = manifest.get_mut("data").and_then(Value::as_mapping_mut) {
            data.insert(CONFIG.into(), BASE64.encode(config.expose_secret()).into());
        }
        serde_yaml::to_string(&manifest).map(SecretString::from)
    }
}

fn pairs<'a>(manifest: &'a Value, field: &str) -> Result<Vec<(&'a str, &'a str)>, &'static str> {
    let mapping = match manifest.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_mapping().ok_or("data and stringData must be mappings of keys to texts")?,
    };
    let pair = |(key, value): (&'a Value, &'a Value)| Some((key.as_str()?, value.as_str()?));
    let pairs: Option<Vec<_>> = mapping.iter().map(pair).collect();
    pairs.ok_or("every value under data and stringData must be a text: put it in quotes")
}
