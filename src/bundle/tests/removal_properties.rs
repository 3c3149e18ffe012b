//! What holds of every document that is edited and then restored.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_yaml::Value;

use super::properties::{PIECES, document, not_ours, preferences};
use super::removal::{after, remembered, restored};
use super::*;

/// Pairs of a top level in braces; the last are values of ours.
const PAIRS: [&str; 8] = [
    "\"A\": 1",
    "B: [x, {c: d}] # b",
    "\"E\": {\"f\": \"g\"}",
    "H: ",
    "I: \"two\n     lines\"",
    "J: {\n      k: 1\n    }",
    "L: !!str 1",
    "M: {n: {o: p,},}",
];

const STORAGES: [&str; 10] = [
    "",
    "DISTRIBUTED_STORAGE_CONFIG: ",
    "DISTRIBUTED_STORAGE_CONFIG: {  }",
    "'DISTRIBUTED_STORAGE_CONFIG': null",
    "\"DISTRIBUTED_STORAGE_CONFIG\": {\"default\": [\"S3Storage\", {\"s3_bucket\": \"x\"}]}",
    "DISTRIBUTED_STORAGE_CONFIG: {\n  # first\n  local: [LocalStorage, {}], # l\n  eu:\n    [STSS3Storage, # here\n  {port: 1, s3_region: x}] # e\n  }",
    "DISTRIBUTED_STORAGE_CONFIG: {local: [LocalStorage,\n {}], \"default\": [STSS3Storage, {s3_bucket: x,\n  storage_path: '/y'}],}",
    "DISTRIBUTED_STORAGE_CONFIG: {default: [S3Storage,\n  s3_bucket: b], eu: [\n\n  S3Storage, {}]}",
    "DISTRIBUTED_STORAGE_CONFIG: {default: , eu: [STSS3Storage, {s3_bucket: x,}]}",
    "DISTRIBUTED_STORAGE_CONFIG: {\n    eu: [STSS3Storage, {port: 1,\n    },],\n    default: ~,\n  }",
];

const LISTS: [&str; 9] = [
    "",
    "KEY: ",
    "KEY: []",
    "KEY: ~",
    "KEY: [default]",
    "\"KEY\": [\"local\", # l\n    \"eu\"]",
    "KEY: [gone, local_us]",
    "KEY: [\n    eu, 'local',\n    default,\n  ]",
    "KEY: [gone, # g\n\n default]",
];

/// Comments where an edit adds and removes lines.
const ODD_STORAGES: [&str; 9] = [
    "DISTRIBUTED_STORAGE_CONFIG: # none yet\n      # deeper\n   # less deep\n\n# beside\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  # leads\n  {} # none\n        # deeper\n",
    "DISTRIBUTED_STORAGE_CONFIG: {\n  # inside\n  } # none\n      # deeper\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default: # home\n\n    # driver\n    - STSS3Storage # sts\n    -   s3_bucket: b # b\n        # who\n        host: h # h\n         # deeper\n        # who\n        port: 1 # p\n         # deepest\n\n         # apart\n        # who\n  # the end\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - STSS3Storage\n  - sts_user_secret_key: |+\n      old\n\n\n  # e\n\n  eu:\n  - STSS3Storage\n  - port: |\n      # no comment\n\n      # deeper\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  local: [LocalStorage, {}]\n        # local\n  # beside\n\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n      default   : [\n       S3Storage,\n             {}] # c\n      'eu' :\n              # deep\n            - S3Storage\n            -\n                host: h\n                        # deep\n               # deep\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - STSS3Storage\n    - endpoint_url: https://a # e\n      sts_user_access_key: AKIA\n         OLD # c\n      s3_region:\n       # r\n       us-east-1\n      sts_user_secret_key: # none\n       # none at all\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  eu:\n  - STSS3Storage\n  - s3_bucket: b\n    s3_region: us-east-1\n    storage_path: >-\n",
];

const ODD_LISTS: [&str; 7] = [
    "KEY: # none\n      # deep\n# beside\n",
    "KEY:\n  # leads\n  []\n    # deep\n",
    "KEY:\n  # leads\n  - local # l\n  # between\n  -   default # d\n     # deep\n\n    # deep too\n",
    "KEY:\n- >-\n  local\n- eu\n   # deep\n  # deep\n# beside\n",
    "KEY:\n-\n  eu # e\n- 'local'\n",
    "KEY: [ # opens\n  local # l\n  # between\n  , default ] # closes\n",
    "KEY:\n- gone # g\n# between\n- away # a\n   # deep\n",
];

/// A document in braces, on one line or on many.
fn in_braces() -> impl Strategy<Value = String> {
    let lists = (select(&LISTS[..]), select(&LISTS[..]));
    (subsequence(PAIRS.to_vec(), 0..=PAIRS.len()), select(&STORAGES[..]), lists, 0..3_usize, any::<[bool; 2]>())
        .prop_flat_map(|(others, storage, (preference, defaults), space, [last_comma, comment])| {
            let mut pairs: Vec<String> = others.into_iter().map(str::to_owned).collect();
            pairs.push(storage.to_owned());
            pairs.push(preference.replace("KEY", PREFERENCE));
            pairs.push(defaults.replace("KEY", DEFAULTS));
            pairs.retain(|pair| !pair.is_empty());
            let comma = last_comma && !pairs.is_empty();
            (Just(pairs).prop_shuffle(), Just((space, comma, comment)))
        })
        .prop_map(|(pairs, (space, comma, comment))| {
            let (open, between, close) = [("{", ", ", "}"), ("{ ", " , ", " }"), ("{\n  ", ",\n  ", "\n}")][space];
            let one_line = |pair: String| if pair.contains(" # b") { pair.replace(" # b", " # b\n  ") } else { pair };
            let pairs: Vec<String> = pairs.into_iter().map(one_line).collect();
            let (comma, comment) = (if comma { " ," } else { "" }, if comment { " # the end\n" } else { "" });
            format!("{open}{}{comma}{close}{comment}", pairs.join(between))
        })
}

/// A document of block style in which the pieces that are ours are odd ones.
fn odd_document() -> impl Strategy<Value = String> {
    let odd = (select(&ODD_STORAGES[..]), select(&ODD_LISTS[..]), select(&ODD_LISTS[..]), 1..8_u8);
    (document(), odd).prop_map(|(pieces, (storage, preference, defaults, which))| {
        let odd = |piece: &str| match piece {
            piece if piece.contains(STORAGE) && which & 1 > 0 => storage.to_owned(),
            piece if piece.starts_with(PREFERENCE) && which & 2 > 0 => preference.replace("KEY", PREFERENCE),
            piece if piece.starts_with(DEFAULTS) && which & 4 > 0 => defaults.replace("KEY", DEFAULTS),
            piece => piece.to_owned(),
        };
        pieces.into_iter().map(odd).collect()
    })
}

/// A document in any style, with either line end, with and without a byte order mark and a last line break.
pub(super) fn any_document() -> impl Strategy<Value = String> {
    let block = document().prop_map(|pieces| pieces.concat());
    (prop_oneof![2 => block, 2 => odd_document(), 1 => in_braces()], any::<[bool; 3]>()).prop_map(
        |(mut text, [crlf, mark, cut])| {
            if cut && !text.trim_end().ends_with("- and dashes") {
                text = text.trim_end_matches('\n').to_owned();
            }
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            if mark {
                text.insert(0, '\u{feff}');
            }
            text
        },
    )
}

/// One write of ours: which locations, with what arguments, and where in the lists.
#[derive(Clone, Debug)]
struct Write {
    names: Vec<&'static str>,
    preference: Preference,
    replicate: bool,
    url: bool,
    chunk: bool,
    secret: String,
}

fn write() -> impl Strategy<Value = Write> {
    let names = select(vec![vec!["default"], vec!["eu"], vec!["default", "eu"], vec!["eu", "default"]]);
    (names, preferences(), any::<[bool; 3]>(), "[ -~ü]{1,40}").prop_map(
        |(names, preference, [replicate, url, chunk], secret)| Write {
            names,
            preference,
            replicate,
            url,
            chunk,
            secret,
        },
    )
}

impl Write {
    fn entries(&self) -> Vec<StorageEntry> {
        let entry = |name: &&str| {
            let mut entry = intent(name);
            entry.secret_access_key = SecretString::from(self.secret.clone());
            entry.maximum_chunk_size_gb = self.chunk.then_some(7);
            if self.url {
                entry.endpoint = Endpoint::Url("https://s3.example.com".parse().unwrap());
            }
            entry
        };
        self.names.iter().map(entry).collect()
    }

    /// The same locations with other arguments.
    fn again(&self, other: &Self) -> Self {
        Self { names: self.names.clone(), ..other.clone() }
    }

    fn with<T>(&self, does: impl FnOnce(&Change<'_>) -> T) -> T {
        let entries = self.entries();
        let entries: Vec<&StorageEntry> = entries.iter().collect();
        let ours: Vec<LocationName> = entries.iter().map(|entry| entry.name.clone()).collect();
        does(&Change { entries: &entries, ours: &ours, preference: self.preference, replicate: self.replicate })
    }
}

fn fails(says: &str, text: &str) -> impl FnOnce(Refusal) -> TestCaseError {
    let says = format!("{says}:\n{text}");
    move |refusal| TestCaseError::fail(format!("{refusal}: {says}"))
}

/// The values of a list that are not ours.
fn names_of_others(text: &str, key: &str) -> Vec<Value> {
    let all: Value = serde_yaml::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    let list = all.get(key).and_then(Value::as_sequence).cloned().unwrap_or_default();
    list.into_iter().filter(|name| !["default", "eu"].contains(&name.as_str().unwrap_or_default())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(250) })]

    #[test]
    fn what_was_edited_comes_back_byte_for_byte(before in any_document(), write in write()) {
        let edited = match write.with(|change| after(&before, change)) {
            Ok(edited) => edited,
            Err(Refusal { problem: Problem::NoFinalNewline | Problem::OddNotation | Problem::CannotVerify, .. }) => return Ok(()),
            Err(refusal) => return Err(fails("not edited", &before)(refusal)),
        };
        let Ok(memory) = write.with(|change| remembered(&before, change)) else { return Ok(()) };
        let back = restored(&edited, &memory).map_err(fails("not restored", &edited))?;
        prop_assert_eq!(&back, &before, "{}", edited);
        let again = restored(&back, &memory).map_err(fails("not restored twice", &back))?;
        prop_assert_eq!(again, before);
    }

    #[test]
    fn many_writes_of_ours_come_back_as_one(
        before in any_document(),
        first in write(),
        others in vec(write(), 1..4),
    ) {
        let Ok(memory) = first.with(|change| remembered(&before, change)) else { return Ok(()) };
        let mut text = before.clone();
        for write in std::iter::once(first.clone()).chain(others.iter().map(|other| first.again(other))) {
            text = match write.with(|change| after(&text, change)) {
                Ok(edited) => edited,
                Err(_) => return Ok(()),
            };
        }
        let back = restored(&text, &memory).map_err(fails("not restored", &text))?;
        prop_assert_eq!(back, before, "{}", text);
    }

    #[test]
    fn writes_to_different_locations_come_back_last_first(before in any_document(), writes in vec(write(), 2..5)) {
        let (mut text, mut memories) = (before.clone(), Vec::new());
        for write in &writes {
            let Ok(memory) = write.with(|change| remembered(&text, change)) else { return Ok(()) };
            memories.push(memory);
            text = match write.with(|change| after(&text, change)) {
                Ok(edited) => edited,
                Err(_) => return Ok(()),
            };
        }
        for memory in memories.iter().rev() {
            text = restored(&text, memory).map_err(fails("not restored", &text))?;
        }
        prop_assert_eq!(text, before);
    }

    #[test]
    fn what_others_wrote_in_between_stays(
        pieces in document(),
        first in write(),
        second in write(),
        (above, below, name, location) in any::<(bool, bool, bool, bool)>(),
    ) {
        let before = pieces.concat();
        let Ok(memory) = first.with(|change| remembered(&before, change)) else { return Ok(()) };
        let mut text = first.with(|change| after(&before, change)).map_err(fails("not edited", &before))?;
        let mut wanted = before.clone();
        for (wants, line) in [(above, "ABOVE: 'their # key' # theirs\n"), (below, "BELOW: |+\n  text\n\n")] {
            for text in [&mut text, &mut wanted] {
                if wants && line.starts_with('A') {
                    text.insert_str(0, line);
                } else if wants {
                    text.push_str(line);
                }
            }
        }
        let mut foreign = None;
        if location && text.contains("\nDISTRIBUTED_STORAGE_CONFIG:\n") {
            let read: Value = serde_yaml::from_str(&text).unwrap();
            let at = text.find("DISTRIBUTED_STORAGE_CONFIG:\n").unwrap() + "DISTRIBUTED_STORAGE_CONFIG:\n".len();
            let spaces = text[at..].len() - text[at..].trim_start_matches(' ').len();
            if read[STORAGE].is_mapping() && spaces > 0 && !text[at..].trim_start().starts_with('#') {
                let line = format!("{}theirs: [LocalStorage, {{}}] # t\n", " ".repeat(spaces));
                text.insert_str(at, &line);
                foreign = Some(line);
            }
        }
        let mut named = false;
        if name && text.contains("DISTRIBUTED_STORAGE_PREFERENCE:\n") {
            let at = text.find("DISTRIBUTED_STORAGE_PREFERENCE:\n").unwrap() + "DISTRIBUTED_STORAGE_PREFERENCE:\n".len();
            let spaces = text[at..].len() - text[at..].trim_start_matches(' ').len();
            if text[at + spaces..].starts_with("- ") {
                text.insert_str(at, &format!("{}- theirs # t\n", " ".repeat(spaces)));
                named = true;
            }
        }
        let text = first.again(&second).with(|change| after(&text, change)).map_err(fails("not rotated", &text))?;
        let back = restored(&text, &memory).map_err(fails("not restored", &text))?;
        if foreign.is_none() && !named {
            prop_assert_eq!(&back, &wanted, "{}", text);
        }
        let entries = first.entries();
        let entries: Vec<&StorageEntry> = entries.iter().collect();
        prop_assert_eq!(not_ours(&text, &entries), not_ours(&back, &entries));
        prop_assert!(foreign.is_none_or(|line| back.contains(&line)), "{}", back);
        if named {
            let has_no_known = |list: &[Value]| !list.iter().any(|name| name == "local");
            let (then, now) = (names_of_others(&text, PREFERENCE), names_of_others(&back, PREFERENCE));
            prop_assert!(now == then || has_no_known(&then), "{}", back);
            prop_assert!(now.iter().any(|name| name == "theirs"), "{}", back);
        }
        for key in [PREFERENCE, DEFAULTS] {
            let empty = |text: &str| text.contains(&format!("{key}: []")) || text.contains(&format!("{key}: ~"));
            prop_assert!(before.contains(key) || !back.contains(key) || named && key == PREFERENCE, "{}", back);
            prop_assert!(!empty(&before) || empty(&back), "{}", back);
        }
    }

    #[test]
    fn a_damaged_document_that_is_edited_comes_back(
        before in any_document(),
        damage in vec((any::<Index>(), 0..6_usize, select(&PIECES[..])), 1..4),
        first in write(),
        second in write(),
    ) {
        let before = damaged(&before, damage);
        let Ok(edited) = first.with(|change| after(&before, change)) else { return Ok(()) };
        let Ok(memory) = first.with(|change| remembered(&before, change)) else { return Ok(()) };
        let back = restored(&edited, &memory).map_err(fails("not restored", &format!("{before}\n=====\n{edited}")))?;
        prop_assert_eq!(&back, &before, "{}", edited);
        let Ok(edited) = first.again(&second).with(|change| after(&edited, change)) else { return Ok(()) };
        let back = restored(&edited, &memory).map_err(fails("not restored", &edited))?;
        prop_assert_eq!(&back, &before, "{}", edited);
    }

    #[test]
    fn a_document_damaged_since_is_refused_or_keeps_what_is_not_ours(
        before in any_document(),
        damage in vec((any::<Index>(), 0..6_usize, select(&PIECES[..])), 1..4),
        write in write(),
    ) {
        let Ok(edited) = write.with(|change| after(&before, change)) else { return Ok(()) };
        let Ok(memory) = write.with(|change| remembered(&before, change)) else { return Ok(()) };
        let edited = damaged(&edited, damage);
        if let Ok(back) = restored(&edited, &memory) {
            let entries = write.entries();
            let entries: Vec<&StorageEntry> = entries.iter().collect();
            prop_assert_eq!(not_ours(&edited, &entries), not_ours(&back, &entries));
        }
    }

    #[test]
    fn no_text_makes_it_panic(before in any_document(), other in any_document(), write in write(), text in any::<String>()) {
        let _ = Remembered::from_text(&text);
        let Ok(memory) = write.with(|change| remembered(&before, change)) else { return Ok(()) };
        let Ok(edited) = write.with(|change| after(&other, change)) else { return Ok(()) };
        let _ = restored(&edited, &memory);
        let memory = memory.to_text().expose_secret().replace('1', "18446744073709551615").replace('2', "{");
        if let Some(memory) = Remembered::from_text(&memory.replace("\"version\":18446744073709551615", "\"version\":1")) {
            let _ = restored(&edited, &memory);
        }
    }
}

fn damaged(text: &str, damage: Vec<(Index, usize, &str)>) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, length, piece) in damage {
        let at = at.index(characters.len() + 1);
        let end = (at + length).min(characters.len());
        characters.splice(at..end, piece.chars());
    }
    characters.into_iter().collect()
}
