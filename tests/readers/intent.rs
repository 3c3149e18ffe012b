//! What an edit means to whoever reads the document: told without the code that edits.

use registry_sts::bundle::{Preference, StorageEntry};
use registry_sts::place::{Endpoint, LocationName};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

pub(crate) const STORAGE: &str = "DISTRIBUTED_STORAGE_CONFIG";
pub(crate) const PREFERENCE: &str = "DISTRIBUTED_STORAGE_PREFERENCE";
pub(crate) const DEFAULTS: &str = "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS";

/// What shall be written into a document.
#[derive(Clone)]
pub(crate) struct Intent {
    pub(crate) entries: Vec<StorageEntry>,
    pub(crate) ours: Vec<LocationName>,
    pub(crate) preference: Preference,
    pub(crate) replicate: bool,
}

/// The names that a document has, as they are spelled, whatever a reader makes of `0123` or `off`.
#[derive(Clone, Default)]
pub(crate) struct Names {
    /// The locations; `false` for a spelling that not every reader takes for a string.
    pub(crate) locations: Vec<(String, bool)>,
    /// The list of that key; `None` where the key is missing, empty for null and `[]`.
    pub(crate) preference: Option<Vec<String>>,
    pub(crate) defaults: Option<Vec<String>>,
}

/// What is wrong with a reader's reading of a document after an edit. `names` are those of the document before it;
/// without them little is known of the two lists.
pub(crate) fn wrong(
    reader: &str,
    before: &Value,
    after: &Value,
    intent: &Intent,
    names: Option<&Names>,
) -> Option<String> {
    let written: Vec<&str> = intent.entries.iter().map(|entry| entry.name.as_str()).collect();
    for entry in &intent.entries {
        let (found, wanted) = (&after[STORAGE][entry.name.as_str()], value(entry, reader));
        if *found != wanted {
            return Some(format!("{} is {found}, not {wanted}", entry.name));
        }
    }
    if other_keys(before) != other_keys(after) {
        return Some(format!("other keys: {:?} became {:?}", other_keys(before), other_keys(after)));
    }
    // A location of ours whose name stood as a number has the name as its key now.
    let renamed = names.map_or(0, |names| {
        names.locations.iter().filter(|(name, is_string)| !is_string && written.contains(&name.as_str())).count()
    });
    let (old, new) = (other_locations(before, &written), other_locations(after, &written));
    let kept = new.iter().all(|(name, location)| old.get(name) == Some(location));
    if !kept || old.len() > new.len() + renamed {
        return Some(format!("other locations: {old:?} became {new:?}"));
    }
    let Some(names) = names else { return wrong_in_lists(before, after, intent) };
    let lists = [
        (PREFERENCE, &names.preference, preference(intent, names)),
        (DEFAULTS, &names.defaults, defaults(intent, names)),
    ];
    for (key, standing, wanted) in lists {
        let standing = standing.as_deref().unwrap_or_default();
        let wanted = match wanted {
            Some(wanted) => Some(list(&wanted, &ours(intent, names), standing, &before[key])),
            None => before.get(key).cloned(),
        };
        if after.get(key) != wanted.as_ref() {
            return Some(format!("{key} is {:?}, not {wanted:?}", after.get(key)));
        }
    }
    None
}

/// What is wrong in the two lists, whatever stood there before: our names are missing, or what is not ours changed.
fn wrong_in_lists(before: &Value, after: &Value, intent: &Intent) -> Option<String> {
    let is_same = |key: &str| before.get(key) == after.get(key);
    let names_ours = |key: &str| {
        let list = after[key].as_array().map(Vec::as_slice).unwrap_or_default();
        intent.entries.iter().all(|entry| list.contains(&text(entry.name.as_str())))
    };
    // An empty preference means all locations.
    let is_list = after[PREFERENCE].as_array().is_some_and(|list| !list.is_empty());
    let preference = if is_list { names_ours(PREFERENCE) } else { is_same(PREFERENCE) };
    let defaults = if intent.replicate { names_ours(DEFAULTS) } else { is_same(DEFAULTS) };
    let wrong = [(PREFERENCE, preference), (DEFAULTS, defaults)].into_iter().find(|(_, right)| !right);
    wrong.map(|(key, _)| format!("{key}: {:?} became {:?}", before.get(key), after.get(key)))
}

fn other_keys(document: &Value) -> Map<String, Value> {
    let mut keys = document.as_object().cloned().unwrap_or_default();
    keys.retain(|key, _| ![STORAGE, PREFERENCE, DEFAULTS].contains(&key.as_str()));
    keys
}

fn other_locations(document: &Value, written: &[&str]) -> Map<String, Value> {
    let mut locations = document[STORAGE].as_object().cloned().unwrap_or_default();
    locations.retain(|name, _| !written.contains(&name.as_str()));
    locations
}

/// A string as the readers' programs tell it.
fn text(text: &str) -> Value {
    if text.starts_with('!') { json!(format!("!str {text}")) } else { json!(text) }
}

fn value(entry: &StorageEntry, reader: &str) -> Value {
    let mut arguments = Map::new();
    let mut put = |key: &str, value| arguments.insert(key.to_owned(), value);
    if let Some(key) = &entry.role_key {
        put("sts_role_arn", text(key.role_arn.as_str()));
    }
    put("s3_bucket", text(entry.bucket.as_str()));
    put("storage_path", text(entry.storage_path.as_str()));
    match &entry.endpoint {
        Endpoint::Region(region) => put("s3_region", text(region.as_str())),
        Endpoint::Url(url) => put("endpoint_url", text(url.as_str())),
    };
    if let Some(key) = &entry.role_key {
        put("sts_user_access_key", text(&key.access_key_id));
        put("sts_user_secret_key", text(key.secret_access_key.expose_secret()));
    }
    if let Some(size) = entry.maximum_chunk_size_gb {
        // To the operator every number is a float.
        put("maximum_chunk_size_gb", if reader == "operator" { json!(format!("!float {size}")) } else { json!(size) });
    }
    if let Some(version) = entry.signature_version {
        put("signature_version", text(version.as_str()));
    }
    json!(["STSS3Storage", arguments])
}

/// Our locations that the document has after the edit: the lists name only those.
fn ours(intent: &Intent, names: &Names) -> Vec<String> {
    let written = |name: &str| intent.entries.iter().any(|entry| entry.name.as_str() == name);
    let stands = |name: &str| names.locations.iter().any(|(found, is_string)| *is_string && found == name);
    let ours = intent.ours.iter().map(|name| name.as_str().to_owned());
    ours.filter(|name| written(name) || stands(name)).collect()
}

/// The names that the preference shall have; `None` where it stays as it is.
fn preference(intent: &Intent, names: &Names) -> Option<Vec<String>> {
    let ours = ours(intent, names);
    let Some(standing) = &names.preference else { return Some(ours) };
    if standing.is_empty() {
        // Quay takes it for all locations.
        return None;
    }
    let known = |name: &String| names.locations.iter().any(|(found, _)| found == name);
    let written = |name: &String| intent.entries.iter().any(|entry| entry.name.as_str() == name);
    if !standing.iter().any(|name| known(name) || written(name)) {
        return Some(ours);
    }
    let missing = ours.iter().filter(|name| !standing.contains(name)).cloned();
    let (mine, others): (Vec<String>, Vec<String>) = standing.iter().cloned().partition(|name| ours.contains(name));
    let mine = || {
        let in_spec_order = ours.iter().flat_map(|name| {
            let found: Vec<String> = mine.iter().filter(|standing| *standing == name).cloned().collect();
            if found.is_empty() { vec![name.clone()] } else { found }
        });
        in_spec_order.collect::<Vec<_>>()
    };
    Some(match intent.preference {
        Preference::Keep => standing.iter().cloned().chain(missing).collect(),
        Preference::First => mine().into_iter().chain(others).collect(),
        Preference::Last => others.into_iter().chain(mine()).collect(),
    })
}

/// The names that the default locations shall have; `None` where they stay as they are.
fn defaults(intent: &Intent, names: &Names) -> Option<Vec<String>> {
    let ours = intent.replicate.then(|| ours(intent, names))?;
    let standing = names.defaults.clone().unwrap_or_default();
    let missing: Vec<String> = ours.into_iter().filter(|name| !standing.contains(name)).collect();
    Some(standing.into_iter().chain(missing).collect())
}

/// A list of names as a reader should read it: ours as strings, any other as that reader read it before.
fn list(wanted: &[String], ours: &[String], standing: &[String], before: &Value) -> Value {
    let is_ours = |name: &String| ours.contains(name);
    let as_before = |name: &String| standing.iter().position(|found| found == name).map(|at| before[at].clone());
    let read = wanted.iter().map(|name| match as_before(name) {
        Some(value) if !is_ours(name) => value,
        _ => text(name),
    });
    read.collect()
}
