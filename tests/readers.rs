//! What is written is read as it was meant: by the very readers that Quay, its config-tool and its operator use. See
//! readers/README.md.

// A test that cannot go on has failed, and says on stderr what it looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "readers/documents.rs"]
mod documents;
#[path = "readers/intent.rs"]
mod intent;
#[path = "readers/programs.rs"]
mod programs;
#[path = "readers/shapes.rs"]
mod shapes;
#[path = "readers/spelling.rs"]
mod spelling;
#[path = "readers/stories.rs"]
mod stories;

use documents::Case;
use programs::{Reader, Reading};
use registry_sts::bundle::{Change, ConfigYaml, Edit};
use secrecy::ExposeSecret as _;

/// The text after the edit; why not, where it is refused.
fn edit(case: &Case) -> Result<String, String> {
    let entries: Vec<_> = case.intent.entries.iter().collect();
    let (preference, replicate) = (case.intent.preference, case.intent.replicate);
    let change = Change { entries: &entries, ours: &case.intent.ours, preference, replicate };
    let edit = ConfigYaml::parse(case.text.as_bytes()).and_then(|document| document.edit(&change));
    match edit.map_err(|refusal| refusal.to_string())? {
        Edit::Unchanged => Ok(case.text.clone()),
        Edit::Changed(new) => Ok(new.expose_secret().to_owned()),
    }
}

/// What came of many documents.
#[derive(Default)]
struct Tally {
    edited: usize,
    refused: usize,
    /// Readings that failed even before the edit; nothing is said of those after it.
    unreadable: usize,
    wrong: Vec<String>,
}

fn judge(readers: &mut [Reader], cases: &[(String, Case)]) -> Tally {
    let mut tally = Tally::default();
    let mut edited = Vec::new();
    for (title, case) in cases {
        match edit(case) {
            Ok(after) => edited.push((title, case, after)),
            Err(_) => tally.refused += 1,
        }
    }
    tally.edited = edited.len();
    let documents: Vec<&str> = edited.iter().flat_map(|(_, case, after)| [case.text.as_str(), after]).collect();
    let readings = programs::read(readers, &documents);
    for (reader, readings) in readers.iter().zip(&readings) {
        for ((title, case, after), read) in edited.iter().zip(readings.chunks(2)) {
            tally.unreadable += usize::from(read[0].is_err());
            if let Some(wrong) = wrong(&reader.name, &read[0], &read[1], case) {
                let name = &reader.name;
                tally.wrong.push(format!("{title}, {name}: {wrong}\n--- before\n{}\n--- after\n{after}", case.text));
            }
        }
    }
    tally
}

fn wrong(reader: &str, before: &Reading, after: &Reading, case: &Case) -> Option<String> {
    match (before, after) {
        (Err(_), _) => None,
        (Ok(_), Err(error)) => Some(format!("cannot read it any more: {error}")),
        (Ok(before), Ok(after)) => intent::wrong(reader, before, after, &case.intent, case.names.as_ref()),
    }
}

/// Cases by their numbers: `READERS_SEED` is the first of them, `READERS_DOCUMENTS` how many.
fn generated(generate: impl Fn(u64) -> Case, documents: u64) -> Vec<(String, Case)> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("READERS_SEED").unwrap_or(1);
    let documents = number("READERS_DOCUMENTS").unwrap_or(documents);
    (first..first + documents).map(|seed| (format!("document {seed}"), generate(seed))).collect()
}

/// Fails with the documents that are read wrongly: the shortest of them, as many as a person looks at.
fn assert_none_wrong(what: &str, tally: &mut Tally) {
    let Tally { edited, refused, unreadable, wrong } = tally;
    eprintln!("{what}: {edited} edited, {refused} refused, {unreadable} readings failed before the edit");
    wrong.sort_by_key(String::len);
    let shown = wrong[..wrong.len().min(3)].join("\n\n");
    assert!(wrong.is_empty(), "{} readings are not what was meant:\n{shown}", wrong.len());
}

#[test]
fn every_story_is_read_as_it_was_meant() {
    let stories = stories::all();
    assert!(stories.len() >= 5, "there are {} stories", stories.len());
    for story in &stories {
        assert_eq!(edit(&story.case).as_ref(), Ok(&story.told), "{}", story.title);
    }
    let cases: Vec<_> = stories.into_iter().map(|story| (story.title, story.case)).collect();
    let mut tally = judge(&mut programs::start(), &cases);
    assert_none_wrong("stories", &mut tally);
    assert_eq!(tally.unreadable, 0, "a story is of documents that all readers read");
}

#[test]
fn every_usual_document_is_read_as_it_was_meant() {
    let cases = generated(documents::usual, 3000);
    let mut tally = judge(&mut programs::start(), &cases);
    assert_none_wrong("usual documents", &mut tally);
    assert!(tally.edited * 5 >= cases.len() * 4, "only {} of {} were edited", tally.edited, cases.len());
    assert!(tally.unreadable * 20 <= tally.edited * 3, "{} readings say nothing", tally.unreadable);
}

#[test]
fn every_damaged_document_that_is_edited_is_read_as_it_was_meant() {
    let mut tally = judge(&mut programs::start(), &generated(documents::damaged, 2000));
    assert_none_wrong("damaged documents", &mut tally);
}
