//! What holds of every document.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_yaml::{Mapping, Value};

use super::*;

/// Keys of the top level that are not ours, in the shapes in which they occur.
const OTHERS: [&str; 12] = [
    "SERVER_HOSTNAME: quay.example.com # host\n",
    "# a comment: {with} [yaml] \"in\" it\n",
    "DATABASE_SECRET_KEY: '12345678901234567890123456789012345678901234567890123456789012345678901234567'\n",
    "\n",
    "FEATURES:\n    A: 0123\n    B: [1, two, 'ü']\n",
    "LOG_ARCHIVE: |\n  text: with # signs\n\n  - and dashes\n",
    "FOLDED: >-\n   some\n   🐟 words\n",
    "ANCHORED: &anchor {a: 1}\n",
    "LIST:\n- one\n# between\n- two: 2\n  three: 3\n",
    "\"QUOTED KEY\": \"a\\\n  b\"\n",
    "TAGGED: !!str 1\n",
    "PLAIN: over\n  two lines # c\n",
];

const STORAGES: [&str; 17] = [
    "",
    "DISTRIBUTED_STORAGE_CONFIG:\n",
    "DISTRIBUTED_STORAGE_CONFIG: {} # none\n",
    "DISTRIBUTED_STORAGE_CONFIG: null\n",
    "DISTRIBUTED_STORAGE_CONFIG: # storage\n  default: # d\n  - S3Storage\n  - s3_bucket: b # bucket\n    host: h\n  # end\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n   \"default\":\n      - STSS3Storage\n      - port: 1 # gone\n        s3_bucket: quay-bucket # stays\n        # who\n        sts_user_access_key: |\n          AKIA\n        s3_region: us-east-1\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n default:\n - STSS3Storage\n - endpoint_url: https://a\n   sts_role_arn:\n",
    "DISTRIBUTED_STORAGE_CONFIG: { default: [ STSS3Storage, { s3_bucket: x } ] } # flow\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  local: &l\n  - LocalStorage\n  - {}\n  again: *l # l\n",
    "DISTRIBUTED_STORAGE_CONFIG: {local: [LocalStorage, {}], 'eu': [\n  S3Storage, {a: b}]}\n",
    "'DISTRIBUTED_STORAGE_CONFIG':\n    eu: [S3Storage, {}]\n    default:\n        -   RadosGWStorage\n        -   hostname: h\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default: []\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - STSS3Storage\n  - {s3_region: x, sts_role_arn: 'y'}\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  -\n  -\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default: # none\n    # deeper\n  eu: ~ # eu\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n    eu:\n      # n\n      null # null\n    local: [LocalStorage, {a: b,},]\n",
    "DISTRIBUTED_STORAGE_CONFIG: {default: , eu: [STSS3Storage, {s3_bucket: x, },],}\n",
];

const PREFERENCES: [&str; 9] = [
    "",
    "DISTRIBUTED_STORAGE_PREFERENCE: []\n",
    "DISTRIBUTED_STORAGE_PREFERENCE:\n",
    "DISTRIBUTED_STORAGE_PREFERENCE: [default] # d\n",
    "DISTRIBUTED_STORAGE_PREFERENCE:\n- local\n# c\n- eu # eu\n",
    "DISTRIBUTED_STORAGE_PREFERENCE:\n    - gone # g\n    - local_us\n",
    "DISTRIBUTED_STORAGE_PREFERENCE: [ eu, 'local', default, ]\n",
    "DISTRIBUTED_STORAGE_PREFERENCE: [gone, default]\n",
    "DISTRIBUTED_STORAGE_PREFERENCE:\n - \"default\"\n - 'default'\n",
];

const DEFAULT_LISTS: [&str; 4] = [
    "",
    "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: []\n",
    "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: ~ # none\n",
    "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS:\n- eu # e\n",
];

/// Pieces that mean something to a YAML reader, to be put anywhere.
pub(super) const PIECES: [&str; 44] = [
    "\n",
    " ",
    "  ",
    "\n  ",
    "\n    ",
    ":",
    ": ",
    "- ",
    "-",
    "#",
    " # ",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ", ",
    "&a ",
    "*a",
    "!x ",
    "<<: *a",
    "|\n",
    ">-\n",
    "|+",
    "? ",
    "\t",
    "\r\n",
    "\r",
    "ü",
    "🐟",
    "1",
    "~",
    "---\n",
    "...\n",
    "%",
    "\\",
    "\u{85}",
    "\u{feff}",
    "default",
    "STSS3Storage",
    "s3_bucket: x",
    "DISTRIBUTED_STORAGE_CONFIG",
];

/// The pieces of a valid document, in a random order, each other key at most once.
pub(super) fn document() -> impl Strategy<Value = Vec<&'static str>> {
    let others = proptest::sample::subsequence(OTHERS.to_vec(), 0..=OTHERS.len());
    (others, select(&STORAGES[..]), select(&PREFERENCES[..]), select(&DEFAULT_LISTS[..]))
        .prop_map(|(others, storage, preference, defaults)| {
            let mut pieces = vec!["FIRST: 1\n", storage, preference, defaults];
            pieces.extend(others);
            pieces
        })
        .prop_shuffle()
}

pub(super) fn preferences() -> impl Strategy<Value = Preference> {
    select(vec![Preference::Keep, Preference::First, Preference::Last])
}

fn read(text: &str) -> Mapping {
    serde_yaml::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

/// A document's keys and locations that no edit may change.
pub(super) fn not_ours(text: &str, written: &[&StorageEntry]) -> (Mapping, Mapping) {
    let mut keys = read(text);
    let mut locations = keys.get(STORAGE).and_then(Value::as_mapping).cloned().unwrap_or_default();
    keys.retain(|key, _| ![STORAGE, PREFERENCE, DEFAULTS].contains(&key.as_str().unwrap_or_default()));
    locations.retain(|name, _| !written.iter().any(|entry| name.as_str() == Some(entry.name.as_str())));
    (keys, locations)
}

fn reads_as_the_intent(text: &str, entry: &StorageEntry) -> bool {
    let all = read(text);
    let Some([Value::String(driver), Value::Mapping(arguments)]) =
        all[STORAGE].get(entry.name.as_str()).and_then(Value::as_sequence).map(Vec::as_slice)
    else {
        return false;
    };
    let wanted = entry.arguments();
    driver == "STSS3Storage"
        && arguments.len() == wanted.len()
        && wanted.iter().all(|(key, value)| {
            arguments.get(*key).is_some_and(|found| match value {
                storage::Argument::Text(text) => found.as_str() == Some(text),
                storage::Argument::Number(number) => found.as_u64() == Some(u64::from(*number)),
            })
        })
}

/// Whether every line of a piece that is not ours stands in the text, in order.
fn keeps_lines(text: &str, pieces: &[&str]) -> bool {
    let mut rest = text.trim_start_matches('\u{feff}').lines();
    let foreign = pieces.iter().filter(|piece| !piece.contains("DISTRIBUTED_STORAGE"));
    foreign.flat_map(|piece| piece.lines()).filter(|line| !line.is_empty()).all(|line| rest.any(|found| found == line))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_usual_document_is_edited_to_the_intent_and_only_there(
        pieces in document(),
        preference in preferences(),
        (replicate, two, url, chunk) in any::<(bool, bool, bool, bool)>(),
        (crlf, mark, no_last_break) in any::<(bool, bool, bool)>(),
        secret in "[ -~ü]{1,40}",
    ) {
        let mut before = pieces.concat();
        // A text block that ends with the text is refused, not edited.
        if no_last_break && !before.trim_end().ends_with("- and dashes") {
            before = before.trim_end_matches('\n').to_owned();
        }
        if crlf {
            before = before.replace('\n', "\r\n");
        }
        if mark {
            before.insert(0, '\u{feff}');
        }
        let (mut one, other) = (intent("default"), intent("eu"));
        one.role_key.as_mut().unwrap().secret_access_key = SecretString::from(secret);
        one.maximum_chunk_size_gb = chunk.then_some(7);
        if url {
            one.endpoint = Endpoint::Url("https://s3.example.com".parse().unwrap());
        }
        let entries = if two { vec![&one, &other] } else { vec![&one] };
        let after = try_edit(&before, &entries, preference, replicate);
        let after = after.map_err(|refusal| TestCaseError::fail(format!("{refusal}:\n{before}")))?;
        let after = after.unwrap_or_else(|| before.clone());
        prop_assert_eq!(not_ours(&before, &entries), not_ours(&after, &entries));
        for entry in &entries {
            prop_assert!(reads_as_the_intent(&after, entry), "{}", after);
        }
        prop_assert!(keeps_lines(&after, &pieces), "{}", after);
        prop_assert_eq!(mark, after.starts_with('\u{feff}'));
        let (breaks, windows_breaks) = (after.matches('\n').count(), after.matches("\r\n").count());
        prop_assert_eq!(windows_breaks, if before.contains('\r') { breaks } else { 0 });
    }

    #[test]
    fn a_damaged_document_is_refused_or_edited_to_the_intent(
        pieces in document(),
        damage in vec((any::<prop::sample::Index>(), 0..6_usize, select(&PIECES[..])), 1..4),
        preference in preferences(),
    ) {
        let mut characters: Vec<char> = pieces.concat().chars().collect();
        for (at, length, piece) in damage {
            let at = at.index(characters.len() + 1);
            let end = (at + length).min(characters.len());
            characters.splice(at..end, piece.chars());
        }
        let before: String = characters.into_iter().collect();
        let (one, other) = (intent("default"), intent("eu"));
        let entries = [&one, &other];
        if let Ok(Some(after)) = try_edit(&before, &entries, preference, true) {
            prop_assert_eq!(not_ours(&before, &entries), not_ours(&after, &entries));
            prop_assert!(entries.iter().all(|entry| reads_as_the_intent(&after, entry)), "{}", after);
        }
    }

    #[test]
    fn no_text_of_yaml_pieces_makes_it_panic(pieces in vec(select(&PIECES[..]), 0..40)) {
        let _ = try_edit(&pieces.concat(), &[&intent("default")], Preference::First, true);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), text in any::<String>()) {
        let _ = ConfigYaml::parse(&bytes);
        let _ = try_edit(&text, &[&intent("default")], Preference::Last, true);
    }
}
