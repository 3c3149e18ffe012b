//! What holds of every document that is edited and then restored.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_yaml::Value;

use super::any_style::any_document;
use super::properties::{PIECES, document, not_ours, preferences};
use super::removal::{after, remembered, restored};
use super::*;

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
            entry.role_key.as_mut().unwrap().secret_access_key = SecretString::from(self.secret.clone());
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
