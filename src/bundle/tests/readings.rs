//! The short ways of the proof come to the same as the long ones.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_yaml::Value;

use super::any_style::any_document;
use super::properties::{PIECES, document};
use super::*;

/// Lines of block style, to be put between others.
const LINES: [&str; 10] = [
    "A: 1\n",
    "'SERVER_HOSTNAME': x\n",
    "- item\n",
    "  deeper: 1\n",
    "# comment\n",
    "OPEN: [\n",
    "QUOTE: 'a\n",
    "BLOCK: |+\n\n",
    "NONE:\n",
    "\"1\": {a: b\n}\n",
];

/// Ranges of a text and what to put there: anything anywhere, or lines between lines.
fn splices() -> impl Strategy<Value = Vec<(Index, usize, &'static str, bool)>> {
    let anywhere = (any::<Index>(), 0..6_usize, select(&PIECES[..]), Just(false));
    let lines = (any::<Index>(), 0..3_usize, select(&LINES[..]), Just(true));
    vec(prop_oneof![anywhere, lines], 1..3)
}

fn made(body: &str, splices: Vec<(Index, usize, &str, bool)>) -> Vec<Splice> {
    let breaks = body.match_indices('\n').map(|(at, _)| at + 1);
    let lines: Vec<usize> = std::iter::once(0).chain(breaks).chain([body.len()]).collect();
    let characters: Vec<usize> = body.char_indices().map(|(at, _)| at).chain([body.len()]).collect();
    let splice = |(at, length, text, of_lines): (Index, usize, &str, bool)| {
        let places = if of_lines { &lines } else { &characters };
        let at = at.index(places.len());
        let end = places[(at + length).min(places.len() - 1)];
        Splice::replace((places[at], end), text.to_owned())
    };
    let mut splices: Vec<Splice> = splices.into_iter().map(splice).collect();
    splices.sort_by_key(|splice| (splice.start, splice.end));
    splices
}

/// Where in the new text a place behind some splices is.
fn moved(at: usize, splices: &[Splice]) -> usize {
    let before = splices.iter().filter(|splice| splice.end <= at);
    before.fold(at, |at, splice| at + splice.text.expose_secret().len() - (splice.end - splice.start))
}

fn same((a, read_a): (&Pair, &[u8]), (b, read_b): (&Pair, &[u8])) -> bool {
    a.key.same(&b.key) && a.value.same(&b.value) && read_a == read_b
}

/// Whether the whole of a new text reads as the excerpt of it and what the excerpt leaves out. `None` where there is no
/// excerpt.
fn agrees(before: &str, splices: &[Splice]) -> Option<Result<(), TestCaseError>> {
    let old = ConfigYaml::parse(before.as_bytes()).ok()?;
    let mut new = String::new();
    text::apply(old.body(), (0, old.body().len()), splices, &mut new)?;
    let excerpt = Rewritten::excerpt(&old, splices)?;
    let whole = match ConfigYaml::parse(new.as_bytes()) {
        Ok(whole) => whole,
        Err(refusal) => return Some(Err(TestCaseError::fail(format!("{refusal}:\n{new}")))),
    };
    let mut left_out = old.keys().enumerate().filter(|(at, _)| !excerpt.has(*at)).map(|(_, pair)| pair).peekable();
    let mut read_again = excerpt.document.keys();
    for pair in whole.keys() {
        let known = left_out.next_if(|(old, _)| moved(old.key.start, splices) == pair.0.key.start);
        if !known.or_else(|| read_again.next()).is_some_and(|known| same(known, pair)) {
            return Some(Err(TestCaseError::fail(format!("{}\n{new}", pair.0.key.text().unwrap_or_default()))));
        }
    }
    let complete = left_out.next().is_none() && read_again.next().is_none();
    Some(if complete { Ok(()) } else { Err(TestCaseError::fail(format!("not all is in\n{new}"))) })
}

#[test]
fn an_edit_of_a_usual_document_is_proven_by_an_excerpt() {
    let before = "A: 1\nB: |\n  text\nC:\n- 1\nDISTRIBUTED_STORAGE_PREFERENCE: []\nD: 1\nE: 'e'\nF: 1";
    let old = ConfigYaml::parse(before.as_bytes()).unwrap();
    for (at, text, read) in [
        (before.find("D:").unwrap(), "DISTRIBUTED_STORAGE_CONFIG: {}\n", vec![2, 3, 4]),
        (before.find("[]").unwrap() + 1, "x", vec![2, 3, 4]),
        (0, "NEW: 1\n", vec![]),
        (2, " ", vec![0, 1, 3]),
        (before.len(), "\nNEW: 1", vec![3, 5, 6]),
    ] {
        let splices = [Splice::insert(at, text.to_owned())];
        let excerpt = Rewritten::excerpt(&old, &splices);
        let again: Vec<usize> =
            excerpt.map(|excerpt| (0..7).filter(|at| excerpt.has(*at)).collect()).unwrap_or_default();
        assert_eq!(read, again, "{text}");
        agrees(before, &splices).transpose().unwrap();
    }
}

#[test]
fn what_parts_could_tell_otherwise_than_the_whole_is_read_as_a_whole() {
    for (before, at, text) in [
        ("A: &a 1\nB: 1\nC: 1\nD: 1\nE: *a\n", "C", "X: 1\n"),
        ("A: 1\nB: 1\nC: 1\nD: 1\n", "D", "A: 2\n"),
        ("A: 1\nB: 1\nC: 1\nD: 1\n", "D", "E: [\n"),
        ("A: 1\nB: 1\nC: 1\nD: 1\n", "D", "E: 'e\n"),
        ("A: 1\nB: 1\nC: 1\nD: 1\n", "D", "1: e\n"),
        ("A: 1\nB: 1\nC: 1\nD: 1\n", "D", "&a E: *a\n"),
        ("A: 1\nB: 1\nC: 1\n!!str D: 1\n", "D", "E"),
        (" A: 1\n B: 1\n C: 1\n D: 1\n", "D", "E: 1\n "),
        ("{A: 1,\nB: 1,\nC: 1,\nD: 1}\n", "D", "E: 1,\n"),
    ] {
        let old = ConfigYaml::parse(before.as_bytes()).unwrap();
        let splices = [Splice::insert(before.find(at).unwrap(), text.to_owned())];
        assert!(Rewritten::excerpt(&old, &splices).is_none(), "{before}{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn an_excerpt_reads_as_the_whole_does(
        before in prop_oneof![document().prop_map(|pieces| pieces.concat()), any_document()],
        splices in splices(),
    ) {
        let splices = made(before.trim_start_matches('\u{feff}'), splices);
        agrees(&before, &splices).unwrap_or(Ok(()))?;
    }

    #[test]
    fn two_documents_read_the_same_only_if_their_values_are_the_same(
        before in any_document(),
        splices in splices(),
    ) {
        let body = before.trim_start_matches('\u{feff}');
        let mut after = String::new();
        if text::apply(body, (0, body.len()), &made(body, splices), &mut after).is_none() {
            return Ok(());
        }
        let [one, two] = [body, &after].map(|text| {
            let value = serde_yaml::from_str::<Value>(text.strip_prefix('\u{feff}').unwrap_or(text)).ok();
            let reading = ConfigYaml::parse(text.as_bytes()).ok();
            assert!(value.is_some() || reading.is_none(), "read, but no value:\n{text}");
            value.zip(reading)
        });
        if let (Some((value, one)), Some((other, two))) = (one, two) {
            let same = one.reading.pairs().eq(two.reading.pairs());
            prop_assert!(!same || value == other, "{}", after);
        }
    }
}
