//! Documents in the shapes in which Quay's config.yaml occurs, and what shall be written into them.

use fastrand::Rng;
use registry_sts::bundle::{Preference, RoleKey, SignatureVersion, StorageEntry};
use registry_sts::place::{Endpoint, LocationName};
use secrecy::{ExposeSecret as _, SecretString};

use crate::intent::{DEFAULTS, Intent, Names, PREFERENCE, STORAGE};
use crate::shapes::{FOREIGN, NAMES, ODD_NAMES, ODD_VALUES, OTHERS, PIECES, SURPLUS, UNREADABLE};
use crate::spelling::Tree::{self, List, Map, Nothing, Spelled};
use crate::spelling::{Speller, pick};

/// A document and what shall be written into it.
pub(crate) struct Case {
    pub(crate) text: String,
    pub(crate) intent: Intent,
    /// What it says of locations; unknown for one that is damaged.
    pub(crate) names: Option<Names>,
}

/// A usual document, whole.
pub(crate) fn usual(seed: u64) -> Case {
    whole(seed, &[&NAMES[..], &NAMES, &NAMES, &NAMES, &ODD_NAMES].concat())
}

/// A whole document; our locations have some of these names.
fn whole(seed: u64, ours: &[&'static str]) -> Case {
    let mut rng = Rng::with_seed(seed);
    let intent = intent(&mut rng, ours);
    let (pairs, names) = says(&mut rng, &intent);
    let speller = Speller::new(&mut rng);
    let text = if speller.rng.u8(0..100) < 80 { speller.block(&pairs) } else { speller.flow(&pairs) };
    Case { text: finished(&mut rng, text), intent, names: Some(names) }
}

/// A document with some of its characters replaced.
pub(crate) fn damaged(seed: u64) -> Case {
    // Which names are strings cannot be told after the damage, so all of ours are.
    let Case { text, intent, .. } = whole(seed, &NAMES);
    let mut rng = Rng::with_seed(seed);
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(0..=characters.len());
        let end = (at + rng.usize(0..6)).min(characters.len());
        characters.splice(at..end, pick(&mut rng, &PIECES).chars());
    }
    Case { text: characters.into_iter().collect(), intent, names: None }
}

/// Line ends, byte order mark, the end of the file.
fn finished(rng: &mut Rng, mut text: String) -> String {
    if rng.u8(0..100) < 15 {
        text.truncate(text.trim_end_matches('\n').len());
        text.push_str(pick::<&str>(rng, &["", "", "", "  ", "\n# end", "\n\n  "]));
    }
    if rng.u8(0..100) < 15 {
        text = text.replace('\n', "\r\n");
    }
    if rng.u8(0..100) < 10 {
        text.insert(0, '\u{feff}');
    }
    text
}

fn intent(rng: &mut Rng, names: &[&'static str]) -> Intent {
    let mut ours: Vec<&str> = Vec::new();
    for _ in 0..*pick(rng, &[1, 1, 1, 2, 3]) {
        let name = *pick(rng, names);
        if !ours.contains(&name) {
            ours.push(name);
        }
    }
    // The last may be one whose role is not proven.
    let count = if ours.len() > 1 && rng.bool() { ours.len() - 1 } else { ours.len() };
    let entries = ours[..count].iter().map(|name| entry(rng, name)).collect();
    let ours: Vec<LocationName> = ours.iter().map(|name| name.parse().unwrap()).collect();
    let preference = *pick(rng, &[Preference::Keep, Preference::First, Preference::Last]);
    Intent { entries, ours, preference, replicate: rng.bool() }
}

fn entry(rng: &mut Rng, name: &str) -> StorageEntry {
    let endpoint = match rng.u8(0..3) {
        0 => Endpoint::Url("https://minio.example.com:9000".parse().unwrap()),
        _ => Endpoint::Region("eu-west-1".parse().unwrap()),
    };
    let secret: String = (0..rng.usize(1..41)).map(|_| rng.char('!'..='~')).collect();
    let secret = if rng.bool() { "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned() } else { secret };
    StorageEntry {
        name: name.parse().unwrap(),
        role_key: (rng.u8(0..5) > 0).then_some(RoleKey {
            role_arn: "arn:aws:iam::123456789012:role/path/quay".parse().unwrap(),
            access_key_id: (*pick(rng, &["AKIAEXAMPLE", "123456789012", "0123", "1e5"])).to_owned(),
            secret_access_key: SecretString::from(secret),
        }),
        bucket: pick(rng, &["quay-bucket", "quay-bucket", "123456789012", "2024-01-01", "1.10", "off", "null", "1e5"])
            .parse()
            .unwrap(),
        storage_path: pick(rng, &["/datastorage", "/datastorage", "", "/", "/a: b #c", "~", "!x"]).parse().unwrap(),
        endpoint,
        maximum_chunk_size_gb: (rng.u8(0..4) == 0).then_some(7),
        signature_version: (rng.u8(0..4) == 0).then_some(SignatureVersion::S3v4),
    }
}

fn text(text: &str) -> Tree {
    Tree::Text(text.to_owned())
}

/// What a document says, and the names in it.
fn says(rng: &mut Rng, intent: &Intent) -> (Vec<(Tree, Tree)>, Names) {
    let mut names = Names::default();
    let mut groups: Vec<Vec<(Tree, Tree)>> = Vec::new();
    for group in OTHERS {
        if rng.u8(0..100) < 12 {
            groups.push(group.iter().map(|(key, value)| (key_of(key), value.clone())).collect());
        }
    }
    if rng.u8(0..100) < 5 {
        let (key, value) = pick(rng, &UNREADABLE);
        groups.push(vec![(text(key), value.clone())]);
    }
    if groups.is_empty() {
        groups.push(vec![(text("SERVER_HOSTNAME"), text("quay.example.com"))]);
    }
    let storage = match rng.u8(0..10) {
        0 => None,
        1 => Some(Nothing),
        2 => Some(pick(rng, &[Spelled("{}"), Spelled("null"), Spelled("~"), Spelled("{ }")]).clone()),
        _ => Some(locations(rng, intent, &mut names)),
    };
    groups.extend(storage.map(|storage| vec![(text(STORAGE), storage)]));
    for (key, standing) in [(PREFERENCE, &mut names.preference), (DEFAULTS, &mut names.defaults)] {
        let (list, read) = match rng.u8(0..6) {
            0 => continue,
            1 => (pick(rng, &[Nothing, Spelled("[]"), Spelled("null"), Spelled("~"), Spelled("[ ]")]).clone(), vec![]),
            _ => list_of_names(rng),
        };
        *standing = Some(read);
        groups.push(vec![(text(key), list)]);
    }
    rng.shuffle(&mut groups);
    (groups.concat(), names)
}

/// A key that is not ours: those that are no string to every reader stay without quotes.
fn key_of(key: &'static str) -> Tree {
    if key.starts_with(|c: char| c.is_ascii_uppercase()) { text(key) } else { Spelled(key) }
}

/// A name as it may stand, and whether it is a string to every reader.
fn spelled_name(rng: &mut Rng, name: &'static str) -> (Tree, bool) {
    let bare = ODD_NAMES.contains(&name) && rng.u8(0..100) < 70;
    if bare { (Spelled(name), false) } else { (text(name), true) }
}

fn list_of_names(rng: &mut Rng) -> (Tree, Vec<String>) {
    let mut read: Vec<String> = Vec::new();
    let mut items = Vec::new();
    for _ in 0..rng.usize(1..5) {
        let name = match rng.u8(0..8) {
            0 => *pick(rng, &ODD_NAMES),
            1..4 => pick(rng, &NAMES),
            _ => pick(rng, &["local", "ceph", "gone", "cold"]),
        };
        let again = read.iter().any(|found| found == name);
        if !again || (NAMES.contains(&name) && rng.u8(0..4) == 0) {
            items.push(spelled_name(rng, name).0);
            read.push(name.to_owned());
        }
    }
    (List(items), read)
}

fn locations(rng: &mut Rng, intent: &Intent, names: &mut Names) -> Tree {
    let mut groups: Vec<Vec<(Tree, Tree)>> = Vec::new();
    for group in FOREIGN {
        if rng.u8(0..100) < 20 {
            groups.push(group.iter().map(|(name, value)| (text(name), value.clone())).collect());
            names.locations.extend(group.iter().map(|(name, _)| ((*name).to_owned(), true)));
        }
    }
    for name in NAMES.iter().chain(&ODD_NAMES) {
        let ours = intent.ours.iter().any(|ours| ours.as_str() == *name);
        if rng.u8(0..100) < if ours { 65 } else { 5 } {
            let (key, is_string) = spelled_name(rng, name);
            let wanted = intent.entries.iter().find(|entry| entry.name.as_str() == *name).cloned();
            let wanted = wanted.unwrap_or_else(|| entry(rng, name));
            groups.push(vec![(key, location(rng, &wanted))]);
            names.locations.push(((*name).to_owned(), is_string));
        }
    }
    rng.shuffle(&mut groups);
    Map(groups.concat())
}

/// What may stand at a location of ours before the edit.
fn location(rng: &mut Rng, wanted: &StorageEntry) -> Tree {
    let odd = [Spelled("[]"), Spelled("[STSS3Storage]"), Spelled("[~, ~]"), Spelled("[STSS3Storage, {}, {}]")];
    let none = [Nothing, Spelled("null"), Spelled("~")];
    match rng.u8(0..11) {
        0 => pick(rng, &odd).clone(),
        10 => pick(rng, &none).clone(),
        1 => List(vec![text("RadosGWStorage"), Map(vec![(text("hostname"), text("ceph.example.com"))])]),
        2 => List(vec![text("STSS3Storage"), Nothing]),
        3 | 4 => {
            let s3 = [("s3_bucket", "b"), ("s3_region", "us-east-1"), ("s3_access_key", "a"), ("s3_secret_key", "0/+")];
            List(vec![text("S3Storage"), Map(s3.iter().map(|(key, value)| (text(key), text(value))).collect())])
        }
        5 | 6 => List(vec![text("STSS3Storage"), Map(arguments(wanted))]),
        _ => {
            let mut arguments = arguments(wanted);
            arguments.retain(|_| rng.u8(0..5) > 0);
            for (_, value) in &mut arguments {
                if rng.u8(0..4) == 0 {
                    *value = pick(rng, &ODD_VALUES).clone();
                }
            }
            for (key, value) in SURPLUS {
                if rng.u8(0..6) == 0 && !arguments.iter().any(|(found, _)| matches!(found, Tree::Text(t) if t == key)) {
                    arguments.push((text(key), value.clone()));
                }
            }
            rng.shuffle(&mut arguments);
            List(vec![text("STSS3Storage"), Map(arguments)])
        }
    }
}

fn arguments(entry: &StorageEntry) -> Vec<(Tree, Tree)> {
    let endpoint = match &entry.endpoint {
        Endpoint::Region(region) => ("s3_region", region.as_str()),
        Endpoint::Url(url) => ("endpoint_url", url.as_str()),
    };
    let mut all: Vec<(&str, &str)> =
        vec![("s3_bucket", entry.bucket.as_str()), ("storage_path", entry.storage_path.as_str()), endpoint];
    if let Some(key) = &entry.role_key {
        all.insert(0, ("sts_role_arn", key.role_arn.as_str()));
        all.push(("sts_user_access_key", &key.access_key_id));
        all.push(("sts_user_secret_key", key.secret_access_key.expose_secret()));
    }
    let mut all: Vec<(Tree, Tree)> = all.into_iter().map(|(key, value)| (text(key), text(value))).collect();
    all.extend(entry.maximum_chunk_size_gb.map(|_| (text("maximum_chunk_size_gb"), Spelled("7"))));
    all.extend(entry.signature_version.map(|version| (text("signature_version"), text(version.as_str()))));
    all
}
