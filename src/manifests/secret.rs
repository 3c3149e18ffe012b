//! A Secret's manifest.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_yaml::Value;

use super::document::Origin;
use super::splice;
use crate::plan::mark::Mark;
use crate::plan::observation::{BundleSecret, CONFIG};
use crate::plan::output::WholeSecret;

/// A Secret as its manifest writes it. It has no Debug.
pub struct SecretManifest {
    /// Where the manifest stands.
    pub origin: Origin,
    text: ManifestText,
    manifest: Value,
    /// The values, decoded; `stringData` counts where both are given, as it does for the API server.
    data: BTreeMap<String, SecretSlice<u8>>,
}

/// How a manifest is written.
pub(super) struct ManifestText {
    /// The text of its own document; none for an item of a list.
    pub(super) own: Option<SecretString>,
    /// Whether that begins with `---`.
    pub(super) marked: bool,
    /// Whether it is JSON.
    pub(super) json: bool,
}

/// A manifest with another `config.yaml`. It holds all of the Secret's values.
pub(super) struct Written {
    /// The whole document.
    pub(super) text: SecretString,
    /// Whether it begins with `---`.
    pub(super) marked: bool,
    /// Why it had to be written anew, without its comments and its layout.
    pub(super) anew: Option<&'static str>,
}

impl SecretManifest {
    /// Decodes the manifest's values.
    pub(super) fn new(manifest: Value, origin: Origin, text: ManifestText) -> Result<Self, &'static str> {
        let data = values(&manifest)?;
        Ok(Self { origin, text, manifest, data })
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.metadata("name")
    }

    /// Its namespace, if the manifest says one.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata("namespace")
    }

    fn metadata_texts(&self, field: &str) -> Option<BTreeMap<String, String>> {
        serde_yaml::from_value(self.manifest.get("metadata")?.get(field)?.clone()).ok()
    }

    fn metadata(&self, field: &str) -> Option<&str> {
        self.manifest.get("metadata")?.get(field)?.as_str()
    }

    /// Its values as texts. What is no UTF-8 is refused where it is used.
    pub fn texts(&self) -> BTreeMap<String, SecretString> {
        let text = |value: &SecretSlice<u8>| String::from_utf8_lossy(value.expose_secret()).into_owned();
        self.data.iter().map(|(key, value)| (key.clone(), SecretString::from(text(value)))).collect()
    }

    /// It with all of its values.
    pub(super) fn whole(&self) -> WholeSecret {
        let bundle = BundleSecret { called: Some(format!("Secret {}", self.called())), ..self.bundle() };
        WholeSecret { bundle, data: self.data.clone() }
    }

    /// It as the bundle of a registry.
    pub fn bundle(&self) -> BundleSecret {
        BundleSecret {
            immutable: self.manifest.get("immutable").and_then(Value::as_bool) == Some(true),
            mark: Mark::read(self.metadata_texts("labels").as_ref(), self.metadata_texts("annotations").as_ref()),
            ..BundleSecret::of(self.data.clone())
        }
    }

    /// The manifest with another `config.yaml`, put where the manifest has it: under `stringData` as text, under `data`
    /// in base64. Every other byte stays, unless it cannot be told for certain which those are.
    ///
    /// # Errors
    /// When it cannot be serialised.
    pub(super) fn with_config(&self, config: &SecretSlice<u8>) -> Result<Written, Unwritable> {
        let (section, value) = self.spelled(config);
        if let Some(text) = &self.text.own {
            let text = text.expose_secret();
            let same = self.data.get(CONFIG).is_some_and(|old| old.expose_secret() == config.expose_secret());
            let candidates =
                if same { vec![text.to_owned()] } else { splice::candidates(text, section, CONFIG, &value) };
            if let Some(text) = candidates.into_iter().find(|new| self.is_only_changed_to(new, section, config)) {
                return Ok(Written { text: SecretString::from(text), marked: self.text.marked, anew: None });
            }
        }
        let why = match self.text.own {
            None => "it is an item of a list",
            Some(_) => "its config.yaml cannot be replaced in place with certainty",
        };
        let mut manifest = self.manifest.clone();
        if let Some(data) = manifest.get_mut(section).and_then(Value::as_mapping_mut) {
            data.insert(CONFIG.into(), value.into());
        }
        let text = if self.text.json {
            format!("{}\n", serde_json::to_string_pretty(&manifest)?)
        } else {
            serde_yaml::to_string(&manifest)?
        };
        Ok(Written { text: SecretString::from(text), marked: false, anew: Some(why) })
    }

    /// Where `config.yaml` stands, and how a value of it is spelled there.
    fn spelled(&self, config: &SecretSlice<u8>) -> (&'static str, String) {
        let old = |section: &str| self.manifest.get(section).and_then(|data| data.get(CONFIG)).and_then(Value::as_str);
        if old("stringData").is_some() {
            return ("stringData", String::from_utf8_lossy(config.expose_secret()).into_owned());
        }
        let encoded = BASE64.encode(config.expose_secret());
        match old("data").and_then(|old| old.trim().split_once('\n')) {
            // It is wrapped, as `base64` does.
            Some((first, _)) if !first.is_empty() => {
                let lines = encoded.as_bytes().chunks(first.len()).map(String::from_utf8_lossy);
                ("data", lines.flat_map(|line| [line, "\n".into()]).collect())
            }
            _ => ("data", encoded),
        }
    }

    /// Whether a text reads as this manifest with nothing but the value of `config.yaml` changed.
    fn is_only_changed_to(&self, text: &str, section: &str, config: &SecretSlice<u8>) -> bool {
        let Ok(new) = serde_yaml::from_str::<Value>(text) else { return false };
        let reads = values(&new)
            .is_ok_and(|data| data.get(CONFIG).is_some_and(|value| value.expose_secret() == config.expose_secret()));
        reads && without_config(&new, section) == without_config(&self.manifest, section)
    }
}

/// Why a manifest cannot be serialised.
pub type Unwritable = Box<dyn std::error::Error + Send + Sync>;

fn without_config(manifest: &Value, section: &str) -> Value {
    let mut manifest = manifest.clone();
    if let Some(value) = manifest.get_mut(section).and_then(|data| data.get_mut(CONFIG)) {
        *value = Value::Null;
    }
    manifest
}

fn values(manifest: &Value) -> Result<BTreeMap<String, SecretSlice<u8>>, &'static str> {
    let mut data = BTreeMap::new();
    for (key, value) in pairs(manifest, "data")? {
        // The API server reads over line breaks.
        let bytes = BASE64
            .decode(value.trim().replace(['\r', '\n'], ""))
            .map_err(|_| "a value under data is not base64: encode it, or put it under stringData as it is")?;
        data.insert(key.to_owned(), SecretSlice::from(bytes));
    }
    for (key, value) in pairs(manifest, "stringData")? {
        data.insert(key.to_owned(), SecretSlice::from(value.as_bytes().to_vec()));
    }
    Ok(data)
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
