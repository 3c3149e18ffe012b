//! The edit of a config.yaml: no bytes make it panic, what comes out is what was wanted, with all else as it was, and
//! the inverse edit brings the very text back.
//!
//! An input is a first line of [`HEADER`] bytes, which picks what shall be written, and the document after it.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use registry_sts_fuzz::bundle::{
    Change, ConfigYaml, Edit, Preference, Refusal, Remembered, RoleKey, SignatureVersion, StorageEntry,
};
use registry_sts_fuzz::note;
use registry_sts_fuzz::place::{Endpoint, LocationName, Place};
use secrecy::{ExposeSecret, SecretString};
use serde_yaml::{Mapping, Value};

const STORAGE: &str = "DISTRIBUTED_STORAGE_CONFIG";
const PREFERENCE: &str = "DISTRIBUTED_STORAGE_PREFERENCE";
const DEFAULTS: &str = "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS";

/// All locations that may be ours, in spec order: a usual name, one that YAML takes for a number, one that it takes
/// for a boolean, and another usual one.
const NAMES: [&str; 4] = ["default", "123", "off", "eu.west_1"];

/// What is secret in an entry of [`entry`], or a part of it.
const SECRETS: [&str; 3] = ["AKIAEXAMPLE", "s3cr3t/+", "🐟 #:"];

/// Three bytes of which the low five bits count, so that letters do, and a line break. See [`Intent::of`].
const HEADER: usize = 4;

fuzz_target!(|input: &[u8]| -> Corpus {
    note(input);
    let Some((header, document)) = input.split_at_checked(HEADER) else {
        return Corpus::Reject;
    };
    let intent = Intent::of(header);
    match ConfigYaml::parse(document) {
        Ok(parsed) => intent.check(document, &parsed),
        Err(refusal) => check_refusal(&refusal, document),
    }
    Corpus::Keep
});

/// What shall be written.
struct Intent {
    entries: Vec<StorageEntry>,
    ours: Vec<LocationName>,
    preference: Preference,
    replicate: bool,
}

impl Intent {
    /// First byte: preference (bits 0 and 1), replicate (2), all names are ours and not only those to be written (3).
    /// Second byte: which of the names are written now. Third byte: see [`entry`].
    fn of(header: &[u8]) -> Self {
        let [lists, names, shape, ..] = header else { unreachable!("a header has {HEADER} bytes") };
        let bit = |byte: &u8, bit: usize| byte >> bit & 1 == 1;
        let picked = |i: usize| bit(names, i);
        let entries = (0..NAMES.len()).filter(|i| picked(*i)).map(|i| entry(NAMES[i], |at| bit(shape, at)));
        let ours = (0..NAMES.len()).filter(|i| bit(lists, 3) || picked(*i));
        Self {
            entries: entries.collect(),
            ours: ours.map(|i| name(NAMES[i])).collect(),
            preference: match lists & 0b11 {
                1 => Preference::First,
                2 => Preference::Last,
                _ => Preference::Keep,
            },
            replicate: bit(lists, 2),
        }
    }

    fn with<T>(&self, does: impl FnOnce(&Change<'_>) -> T) -> T {
        let entries: Vec<&StorageEntry> = self.entries.iter().collect();
        let (ours, preference, replicate) = (self.ours.as_slice(), self.preference, self.replicate);
        does(&Change { entries: &entries, ours, preference, replicate })
    }

    fn edit(&self, document: &ConfigYaml) -> Result<Edit, Refusal> {
        self.with(|change| document.edit(change))
    }

    fn check(&self, old: &[u8], parsed: &ConfigYaml) {
        for name in NAMES.map(name) {
            let _ = parsed.entry(&name);
        }
        let old = std::str::from_utf8(old).expect("what was parsed is UTF-8");
        match self.edit(parsed) {
            Err(refusal) => check_refusal(&refusal, old.as_bytes()),
            Ok(Edit::Unchanged) => self.check_written(parsed, &read(old)),
            Ok(Edit::Changed(new)) => {
                let new = new.expose_secret();
                let again = ConfigYaml::parse(new.as_bytes()).expect("what is written can be read");
                assert!(matches!(self.edit(&again), Ok(Edit::Unchanged)), "a second edit is not the first: {new}");
                self.check_written(&again, &read(new));
                self.check_others(old, new);
                check_masks(old, parsed, &again);
                self.check_restored(old, parsed, &again);
            }
        }
    }

    /// The document reads as the intent.
    fn check_written(&self, document: &ConfigYaml, all: &Mapping) {
        for entry in &self.entries {
            let name = entry.name.as_str();
            assert!(document.is_current(entry), "{name} is not current");
            assert!(reads_as(entry, all), "{name} does not read as the intent");
            let place = Place::new(entry.endpoint.host(), entry.bucket.as_str(), entry.storage_path.as_str());
            let found = document.entry(&entry.name).expect("what is current is there");
            assert!(found.known_driver && found.driver == "STSS3Storage");
            assert_eq!(found.place, Some(place), "{name}");
        }
        let ours: Vec<&str> = self.ours.iter().map(LocationName::as_str).collect();
        let written: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        let (Some(first), preference) = (written.first(), texts(all, PREFERENCE)) else { return };
        if !preference.is_empty() {
            assert!(written.iter().all(|name| preference.contains(name)), "{first} … are not all preferred");
            let is_ours = |name: &&str| ours.contains(name);
            match self.preference {
                Preference::Keep => {}
                Preference::First => assert!(preference.first().is_some_and(is_ours)),
                Preference::Last => assert!(preference.last().is_some_and(is_ours)),
            }
        }
        if self.replicate {
            let defaults = texts(all, DEFAULTS);
            assert!(written.iter().all(|name| defaults.contains(name)), "{first} … are not all replicated");
        }
    }

    /// What is not ours reads as it did, and where nothing of ours stood, no byte of it went.
    fn check_others(&self, old: &str, new: &str) {
        assert_eq!(old.starts_with('\u{feff}'), new.starts_with('\u{feff}'), "a byte order mark came or went");
        let (before, after) = (read(old), read(new));
        assert_eq!(self.others(&before), self.others(&after), "what is not ours has changed");
        if [STORAGE, PREFERENCE, DEFAULTS].iter().all(|key| !before.contains_key(key)) && !before.is_empty() {
            let same = |(a, b): &(u8, u8)| a == b;
            let start = old.bytes().zip(new.bytes()).take_while(same).count();
            let end = old.bytes().rev().zip(new.bytes().rev()).take_while(same).count();
            assert!(start + end >= old.len(), "more was done than to insert:\n{new}");
        }
    }

    /// What was remembered before the edit brings the very text back.
    fn check_restored(&self, old: &str, parsed: &ConfigYaml, new: &ConfigYaml) {
        let form = self.with(|change| parsed.remember(change)).to_text();
        let remembered = Remembered::from_text(form.expose_secret()).expect("what was remembered can be read");
        match new.restore(&remembered) {
            Ok(Edit::Changed(back)) => assert_eq!(back.expose_secret(), old, "another text came back"),
            Ok(Edit::Unchanged) => panic!("nothing came back"),
            Err(refusal) => panic!("{refusal}: what was edited does not come back:\n{old}"),
        }
    }

    /// The keys and the locations that no edit may change.
    fn others(&self, all: &Mapping) -> (Mapping, Mapping) {
        let is_ours = |key: &str| match key {
            STORAGE | PREFERENCE => true,
            DEFAULTS => self.replicate,
            _ => false,
        };
        let mut keys = all.clone();
        keys.retain(|key, _| !key.as_str().is_some_and(is_ours));
        let mut locations = all.get(STORAGE).and_then(Value::as_mapping).cloned().unwrap_or_default();
        locations.retain(|key, _| !self.entries.iter().any(|entry| key_text(key) == entry.name.as_str()));
        (keys, locations)
    }
}

/// An entry of one of eight endpoints and sizes and four pairs of keys: a URL instead of a region (bit 0), a chunk
/// size (1), a signature version (2), empty keys (3), a secret key of everything that needs care (4).
fn entry(text: &str, bit: impl Fn(usize) -> bool) -> StorageEntry {
    let secret = if bit(4) { "\"\\'\n\r\t\u{1}\u{85}\u{2028}\u{feff}ü🐟 #: {}[]&*!|>%@`" } else { "s3cr3t/+" };
    StorageEntry {
        name: name(text),
        role_key: (!bit(5)).then(|| RoleKey {
            role_arn: "arn:aws:iam::123456789012:role/quay".parse().expect("a role"),
            access_key_id: if bit(3) { String::new() } else { "AKIAEXAMPLE".to_owned() },
            secret_access_key: SecretString::from(if bit(3) { "" } else { secret }),
        }),
        bucket: "123456789012".parse().expect("a bucket"),
        storage_path: "/datastorage".parse().expect("a path"),
        endpoint: if bit(0) {
            Endpoint::Url("https://s3.example.com:8443".parse().expect("a URL"))
        } else {
            Endpoint::Region("us-east-1".parse().expect("a region"))
        },
        maximum_chunk_size_gb: bit(1).then_some(7),
        signature_version: bit(2).then_some(SignatureVersion::S3v4),
    }
}

fn name(text: &str) -> LocationName {
    text.parse().expect("a location's name")
}

/// A refusal says something, of a place in the document.
fn check_refusal(refusal: &Refusal, document: &[u8]) {
    assert!(refusal.to_string().starts_with("config.yaml "));
    let lines = document.split(|b| *b == b'\n').count();
    assert!(refusal.line.is_some() == refusal.column.is_some());
    assert!(refusal.line.is_none_or(|line| (1..=lines).contains(&line)), "{refusal}, of {lines} lines");
    assert!(refusal.column.is_none_or(|column| (1..=document.len() + 1).contains(&column)), "{refusal}");
}

/// What people are shown has the document's lines and none of the secrets that were written into it.
fn check_masks(text: &str, old: &ConfigYaml, new: &ConfigYaml) {
    assert_eq!(old.masked().lines().count(), text.lines().count(), "a line came or went:\n{}", old.masked());
    let shown = old.diff(new, "config.yaml");
    for secret in SECRETS.iter().filter(|secret| !text.contains(**secret)) {
        assert!(!shown.contains(secret), "{secret} is shown:\n{shown}");
    }
}

/// What serde reads, which knows nothing of the edit.
fn read(text: &str) -> Mapping {
    serde_yaml::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).expect("a mapping")
}

/// A location's name, which without quotes may read as a number or a boolean.
fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The strings of a list.
fn texts<'a>(all: &'a Mapping, key: &str) -> Vec<&'a str> {
    let list = all.get(key).and_then(Value::as_sequence).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

fn reads_as(entry: &StorageEntry, all: &Mapping) -> bool {
    let found = all.get(STORAGE).and_then(|storage| storage.get(entry.name.as_str())).and_then(Value::as_sequence);
    let Some([Value::String(driver), Value::Mapping(arguments)]) = found.map(Vec::as_slice) else { return false };
    let (endpoint, address) = match &entry.endpoint {
        Endpoint::Region(region) => ("s3_region", region.as_str()),
        Endpoint::Url(url) => ("endpoint_url", url.as_str()),
    };
    let mut wanted = Mapping::new();
    let mut want = |key: &str, text: &str| wanted.insert(key.into(), text.into());
    want("s3_bucket", entry.bucket.as_str());
    want("storage_path", entry.storage_path.as_str());
    want(endpoint, address);
    if let Some(key) = &entry.role_key {
        want("sts_role_arn", key.role_arn.as_str());
        want("sts_user_access_key", &key.access_key_id);
        want("sts_user_secret_key", key.secret_access_key.expose_secret());
    }
    if let Some(size) = entry.maximum_chunk_size_gb {
        wanted.insert("maximum_chunk_size_gb".into(), size.into());
    }
    if let Some(version) = entry.signature_version {
        wanted.insert("signature_version".into(), version.as_str().into());
    }
    driver == "STSS3Storage" && *arguments == wanted
}
