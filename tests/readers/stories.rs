//! The stories of tests/cases in which config.yaml changes, as documents with an intent.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use registry_sts::api::QuayStorage;
use registry_sts::api::quay_storage::{Preference as AskedPreference, SignatureVersion as Asked};
use registry_sts::bundle::{Preference, RoleKey, SignatureVersion, StorageEntry};
use registry_sts::place::{Endpoint, LocationName};
use secrecy::SecretString;
use serde::Deserialize as _;
use serde_yaml::Value;

use crate::documents::Case;
use crate::intent::{DEFAULTS, Intent, Names, PREFERENCE, STORAGE};

/// A story's folder, its document, and the text that it says shall come out.
pub(crate) struct Story {
    pub(crate) title: String,
    pub(crate) case: Case,
    pub(crate) told: String,
}

pub(crate) fn all() -> Vec<Story> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<_> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| story(folder)).collect()
}

/// None where config.yaml does not change.
fn story(folder: &Path) -> Option<Story> {
    let told = fs::read_to_string(folder.join("config.yaml")).ok()?;
    let input = fs::read_to_string(folder.join("input.yaml")).unwrap();
    let status: Value = serde_yaml::from_str(&fs::read_to_string(folder.join("status.yaml")).unwrap()).unwrap();
    let (mut resource, mut registry, mut has_elder) = (None, None, false);
    let mut secrets = BTreeMap::new();
    for document in serde_yaml::Deserializer::from_str(&input) {
        let value = Value::deserialize(document).unwrap();
        match value.get("kind").and_then(Value::as_str) {
            Some("QuayStorage") => resource = Some(serde_yaml::from_value::<QuayStorage>(value).unwrap()),
            Some("QuayRegistry") => registry = Some(string(&value["spec"]["configBundleSecret"])),
            Some(_) => {
                let name = string(&value["metadata"]["name"]);
                secrets.insert(name, value["stringData"].clone());
            }
            // What AWS says: the status tells what came of it. An older resource's preference counts.
            None => has_elder = value.get("hasElder").and_then(Value::as_bool).unwrap_or_default(),
        }
    }
    let spec = resource.expect("a story has a QuayStorage").spec;
    let bundle = spec.config_bundle_secret.or(registry).expect("a story that writes has a bundle");
    // An output is put together from two documents, and what is meant in it is nobody's one intent: it is read as it is.
    let is_output = spec.output_secret.is_some();
    let text = if is_output { told.clone() } else { string(&secrets[&bundle]["config.yaml"]) };
    let written = status["configBundle"]["locations"].as_sequence().into_iter().flatten();
    let written: Vec<String> = written.filter(|_| !is_output).map(|location| string(&location["name"])).collect();
    let entries = spec.locations.iter().filter(|location| written.contains(&location.name)).map(|location| {
        let key = location.auth.access_key.as_ref().map(|key| &secrets[&key.secret_ref.name]);
        let endpoint = match (&location.region, &location.endpoint_url) {
            (Some(region), _) => Endpoint::Region(region.parse().unwrap()),
            (None, url) => Endpoint::Url(url.as_deref().unwrap().parse().unwrap()),
        };
        let signature_version = location.signature_version.map(|version| match version {
            Asked::S3v4 => SignatureVersion::S3v4,
            Asked::V4 => SignatureVersion::V4,
        });
        StorageEntry {
            name: location.name.parse().unwrap(),
            role_key: key.map(|key| RoleKey {
                role_arn: location.role_arn.as_deref().unwrap().parse().unwrap(),
                access_key_id: string(&key["AWS_ACCESS_KEY_ID"]),
                secret_access_key: SecretString::from(string(&key["AWS_SECRET_ACCESS_KEY"])),
            }),
            bucket: location.bucket.parse().unwrap(),
            storage_path: location.storage_path.parse().unwrap(),
            endpoint,
            maximum_chunk_size_gb: location.maximum_chunk_size_gb,
            signature_version,
        }
    });
    let entries: Vec<StorageEntry> = entries.collect();
    let ours: Vec<LocationName> = entries.iter().map(|entry| entry.name.clone()).collect();
    let preference = match spec.preference {
        _ if has_elder => Preference::Keep,
        AskedPreference::Keep => Preference::Keep,
        AskedPreference::First => Preference::First,
        AskedPreference::Last => Preference::Last,
    };
    let intent = Intent { entries, ours, preference, replicate: spec.replicate };
    let title = folder.file_name().unwrap().to_string_lossy().into_owned();
    let names = Some(names(&text));
    Some(Story { title, case: Case { text, intent, names }, told })
}

fn names(text: &str) -> Names {
    let document: Value = serde_yaml::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    let locations = document.get(STORAGE).and_then(Value::as_mapping).cloned().unwrap_or_default();
    Names {
        locations: locations.keys().map(|name| (string(name), true)).collect(),
        preference: document.get(PREFERENCE).map(strings),
        defaults: document.get(DEFAULTS).map(strings),
    }
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_sequence().into_iter().flatten().map(string).collect()
}
