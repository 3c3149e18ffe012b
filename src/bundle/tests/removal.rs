//! The inverse edit: what comes back, and what stays.

use super::*;

/// The text after a write.
pub(super) fn after(text: &str, change: &Change<'_>) -> Result<String, Refusal> {
    Ok(match ConfigYaml::parse(text.as_bytes())?.edit(change)? {
        Edit::Unchanged => text.to_owned(),
        Edit::Changed(new) => new.expose_secret().to_owned(),
    })
}

/// What is remembered before a write, through its serialised form.
pub(super) fn remembered(text: &str, change: &Change<'_>) -> Result<Remembered, Refusal> {
    let memory = ConfigYaml::parse(text.as_bytes())?.remember(change).to_text();
    Ok(Remembered::from_text(memory.expose_secret()).unwrap())
}

pub(super) fn restored(text: &str, remembered: &Remembered) -> Result<String, Refusal> {
    Ok(match ConfigYaml::parse(text.as_bytes())?.restore(remembered)? {
        Edit::Unchanged => text.to_owned(),
        Edit::Changed(new) => new.expose_secret().to_owned(),
    })
}

/// The one intent `default` is written to `before`; others turn the outcome into what `then` makes of it; and it is
/// restored.
fn round(before: &str, then: impl FnOnce(String) -> String) -> Result<String, Refusal> {
    round_of(before, &[&intent("default")], Preference::Keep, then)
}

fn round_of(
    before: &str,
    entries: &[&StorageEntry],
    preference: Preference,
    then: impl FnOnce(String) -> String,
) -> Result<String, Refusal> {
    let ours: Vec<LocationName> = entries.iter().map(|entry| entry.name.clone()).collect();
    let change = Change { entries, ours: &ours, preference, replicate: true };
    let memory = remembered(before, &change)?;
    let edited = after(before, &change)?;
    let has_ours = |text: &str| text.contains("quay-bucket");
    assert!(has_ours(&edited), "nothing was written:\n{edited}");
    restored(&then(edited), &memory)
}

fn replaced<'a>(from: &'a str, to: &'a str) -> impl FnOnce(String) -> String + 'a {
    move |text| {
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        text.replacen(from, to, 1)
    }
}

const PREFERRED: &str = "DISTRIBUTED_STORAGE_PREFERENCE: [local]\nDISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: []\n";

#[test]
fn what_nobody_else_touched_comes_back_byte_for_byte() {
    let odd = "DISTRIBUTED_STORAGE_CONFIG: # storage\n  default: # home\n\n    # driver\n    - STSS3Storage # sts\n    -   s3_bucket: b # b\n        host: h # h\n         # deeper\n        port: 1 # p\n         # deepest\n\n  # the end\nA: 1\n";
    let replaced = "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    # a driver\n    - S3Storage # static\n    # and its keys\n    - s3_access_key: 'AKIAOLD' # old\n";
    let numbers = "DISTRIBUTED_STORAGE_CONFIG: {default: [\n    S3Storage, {s3_bucket: 123}]}\nDISTRIBUTED_STORAGE_PREFERENCE: [default, 0123]\n";
    for (says, before) in [
        ("no storage", "A: 1\n"),
        ("no last line break", "A: 1"),
        ("spaces instead of one", "A: 1\n  "),
        ("a comment at the end", "A: 1\n# the end"),
        ("a byte order mark", "\u{feff}A: ü\n"),
        ("a document start", "---\nA: 1\n"),
        ("a text block at the end", "A: |+\n  text\n\n\n"),
        ("empty braces", "{ # nothing yet\n  }\n"),
        ("braces", "{ A: 1, } # c"),
        ("a key without a value", "{A: }"),
        ("JSON", "{\n    \"A\": 1\n}"),
        ("nothing in the configuration", "DISTRIBUTED_STORAGE_CONFIG:\nA: 1\n"),
        ("null", "DISTRIBUTED_STORAGE_CONFIG: ~ # c\n      # deeper\n  # beside\nA: 1\n"),
        ("braces over two lines", "DISTRIBUTED_STORAGE_CONFIG: {\n  # none\n  }\nA: 1"),
        ("braces on a line of their own", "DISTRIBUTED_STORAGE_CONFIG:\n  # leads\n  {} # none\n"),
        ("comments in odd places", odd),
        ("comments inside of what is replaced", replaced),
        ("names and values without quotes", numbers),
        (
            "one key last, without a line break",
            "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - STSS3Storage\n    - s3_bucket: b\n      port: 443",
        ),
        (
            "lists",
            "DISTRIBUTED_STORAGE_PREFERENCE:\n- gone # g\n- away\nDISTRIBUTED_STORAGE_DEFAULT_LOCATIONS:\n  - local # l\n    # deeper\n",
        ),
    ] {
        for before in [before.to_owned(), before.replace('\n', "\r\n")] {
            for preference in [Preference::Keep, Preference::First, Preference::Last] {
                let entries = [&intent("default"), &intent("eu")];
                assert_eq!(round_of(&before, &entries, preference, |text| text), Ok(before.clone()), "{says}");
            }
        }
    }
}

#[test]
fn a_name_that_was_a_number_is_one_again() {
    let before =
        "DISTRIBUTED_STORAGE_CONFIG:\n  123: [S3Storage,\n    {}]\nDISTRIBUTED_STORAGE_PREFERENCE: [local, 123]\n";
    for preference in [Preference::Keep, Preference::First, Preference::Last] {
        assert_eq!(round_of(before, &[&intent("123")], preference, |text| text).as_deref(), Ok(before));
    }
}

#[test]
fn what_others_wrote_elsewhere_stays() {
    let before = "A: 1\nDISTRIBUTED_STORAGE_CONFIG:\n  local: [LocalStorage, {}]\n  # the end\nB: 2\n";
    for (says, from, to) in [
        ("a key above", "A: 1\n", "NEW: 1 # n\nA: 1\n"),
        ("a key between", "B: 2\n", "NEW: 1 # n\nB: 2\n"),
        ("another value", "A: 1\n", "A: 'one' # changed\n"),
        ("a location before ours", "  \"default\":", "  new: [LocalStorage, {a: b}] # n\n  \"default\":"),
        ("a location behind ours", "  # the end\n", "  new: [LocalStorage, {a: b}] # n\n  # the end\n"),
        ("another comment", "# the end", "# still the end"),
        ("a comment less", "  # the end\n", ""),
        ("another location", "{}]", "{storage_path: /p}]"),
    ] {
        let wanted = if from == "  \"default\":" {
            before.replacen("  # the end", "  new: [LocalStorage, {a: b}] # n\n  # the end", 1)
        } else {
            before.replacen(from, to, 1)
        };
        assert_eq!(round(before, replaced(from, to)), Ok(wanted), "{says}");
    }
    let last = "DISTRIBUTED_STORAGE_PREFERENCE: []\nDISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: []\nDISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - S3Storage\n  - {}\n";
    let more = |text: String| text + "\n\n# theirs\n";
    assert_eq!(round(last, more), Ok(more(last.to_owned())));
    let end = "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS:\n  - \"default\"\n";
    let more = format!("{end}# more\nNEW: |+\n  text\n\n");
    assert_eq!(round(before, replaced(end, &more)), Ok(format!("{before}# more\nNEW: |+\n  text\n\n")));
}

#[test]
fn comments_that_others_wrote_around_an_old_entry_stay() {
    let before = format!(
        "DISTRIBUTED_STORAGE_CONFIG:\n  default: # home\n  - S3Storage\n  - s3_bucket: b # b\n  # the end\n  eu: [LocalStorage, {{}}]\n{PREFERRED}"
    );
    for (says, from, to) in [
        ("above", "  default:", "  # new\n  default:"),
        ("beside the key", "# home", "# new"),
        ("below", "  # the end\n", "  # new\n\n  # the end\n"),
        ("instead of the one below", "  # the end\n", "  # new\n"),
        ("at a location that comes right behind", "  # the end\n", "  new: [LocalStorage, {}] # new\n  # the end\n"),
    ] {
        assert_eq!(round(&before, replaced(from, to)), Ok(before.replacen(from, to, 1)), "{says}");
    }
    let beside = "\"s3cr3t/+\" # new";
    let wanted = before.replace("# b\n", "# new\n");
    assert_eq!(round(&before, replaced("\"s3cr3t/+\"", beside)).map(|text| text.replace(" # b", "")), Ok(wanted));
}

#[test]
fn a_key_that_others_still_need_stays() {
    let without_ours = |others: &str, lists: &str| format!("A: 1\n{others}{lists}");
    let theirs = "  \"default\":\n    - \"STSS3Storage\"";
    let after =
        round("A: 1\n", replaced(theirs, "  new: [LocalStorage, {}] # n\n  \"default\":\n    - \"STSS3Storage\""));
    assert_eq!(after, Ok(without_ours("DISTRIBUTED_STORAGE_CONFIG:\n  new: [LocalStorage, {}] # n\n", "")));
    for (key, to) in [
        (PREFERENCE, "\n  - new # n\n  - \"default\"\n"),
        (PREFERENCE, "\n  - \"default\"\n  - new # n\n"),
        (DEFAULTS, "\n  - new # n\n  - \"default\"\n"),
    ] {
        let ours = format!("{key}:\n  - \"default\"\n");
        let list = format!("{key}:\n  - new # n\n");
        assert_eq!(round("A: 1\n", replaced(&ours, &format!("{key}:{to}"))), Ok(without_ours("", &list)));
    }
    let pair = "DISTRIBUTED_STORAGE_PREFERENCE: [\"default\"]";
    for list in
        ["[new, \"default\"]", "[\"default\", new]", "[\n  \"default\",\n  new]", "[\"default\", \"default\" , new]"]
    {
        let list = format!("DISTRIBUTED_STORAGE_PREFERENCE: {list}");
        let after = round("{A: 1}", replaced(pair, &list)).unwrap();
        assert!(after == "{A: 1, DISTRIBUTED_STORAGE_PREFERENCE: [new]}" || after.contains("[\n  new]"), "{after}");
    }
}

#[test]
fn only_our_names_leave_a_list_that_others_have_changed() {
    let with = |list: &str| {
        format!(
            "DISTRIBUTED_STORAGE_CONFIG:\n  local: [L, {{}}]\n  new: [L, {{}}]\nDISTRIBUTED_STORAGE_PREFERENCE:{list}\n"
        )
    };
    for (before, from, to, after) in [
        (" [local]", "[local, \"default\"]", "[local, new, \"default\"]", " [local, new]"),
        (" [local]", "[local, \"default\"]", "[\"default\", new, local]", " [new, local]"),
        (" [local]", "[local, \"default\"]", "[new, # n\n  \"default\"]", " [new, # n\n  ]"),
        (" [local]", "[local, \"default\"]", "[\"default\"]", " []"),
        (" [local]", "[local, \"default\"]", "[local]", " [local]"),
        (" [local]", "[local, \"default\"]", "[]", " []"),
        (" [local]", "[local, \"default\"]", "local", " local"),
        (" [local, default]", "[local, default]", "[new, default]", " [new, default]"),
        (" [gone]", "[\"default\"]", "[\"default\", new]", " [new]"),
        ("\n- local # l", "\n- \"default\"", "\n# d\n- \"default\" # d\n- new # n", "\n- local # l\n# d\n- new # n"),
    ] {
        let after = with(after);
        assert_eq!(round(&with(before), replaced(from, to)), Ok(after), "{before} {to}");
    }
}

#[test]
fn an_entry_that_is_gone_or_is_somebody_elses_is_left_alone() {
    let old = format!("DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - S3Storage\n  - {{}}\n{PREFERRED}");
    let list =
        ["DISTRIBUTED_STORAGE_PREFERENCE: [\"default\"]", "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: [\"default\"]"];
    let restored_lists = |text: &str| {
        text.replace(list[0], "DISTRIBUTED_STORAGE_PREFERENCE: [local]")
            .replace(list[1], "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: []")
    };
    // Of somebody else: only the lists are put back, for the location stood before.
    let mut theirs = String::new();
    let back = round(&old, |text| {
        theirs = text.replace("\"STSS3Storage\"", "RadosGWStorage");
        theirs.clone()
    });
    assert_eq!(back, Ok(restored_lists(&theirs)));
    // Gone: it does not come back.
    let gone = format!("DISTRIBUTED_STORAGE_CONFIG: {{}}\n{PREFERRED}");
    let back = round(&old, |_| format!("DISTRIBUTED_STORAGE_CONFIG: {{}}\n{}\n{}\n", list[0], list[1]));
    assert_eq!(back, Ok(gone.clone()));
    // A location that did not stand, and that somebody else has now: it stays with its names.
    let theirs = format!("DISTRIBUTED_STORAGE_CONFIG: {{default: [LocalStorage, {{}}]}}\n{}\n{}\n", list[0], list[1]);
    assert_eq!(round(&gone, |_| theirs.clone()), Ok(theirs.clone()));
    // Everything of ours was removed by hand.
    for text in ["A: 1\n", "A: 1\nDISTRIBUTED_STORAGE_CONFIG: {}\nDISTRIBUTED_STORAGE_PREFERENCE: []\n"] {
        assert_eq!(round("A: 1\n", |_| text.to_owned()).as_deref(), Ok(text));
    }
}

#[test]
fn what_others_laid_out_anew_is_put_back_at_its_new_place_or_refused() {
    let before = "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - S3Storage # s\n    - s3_bucket: b\n      host: |\n        h\nDISTRIBUTED_STORAGE_PREFERENCE: []\n";
    let deeper = |text: String| text.replace("\n ", "\n   ");
    let lists = "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS:\n    - \"default\"\n";
    assert_eq!(round(before, deeper).unwrap(), deeper(before.to_owned()));
    assert!(!deeper(before.to_owned()).contains(lists));
    let one_line = format!(
        "DISTRIBUTED_STORAGE_CONFIG:\n  default: [STSS3Storage, {BRACES}]\nDISTRIBUTED_STORAGE_PREFERENCE: []\n"
    );
    assert_eq!(round(before, |_| one_line.clone()).as_deref(), Ok(before));
    // As JSON there is no place for a block.
    let json = format!("{{\"DISTRIBUTED_STORAGE_CONFIG\": {{\"default\": [\"STSS3Storage\", {BRACES}]}}}}");
    assert_eq!(round(before, |_| json.clone()), Err(Refusal::whole(Problem::CannotVerify)));
}

#[test]
fn what_cannot_be_put_back_with_certainty_is_refused_where_it_stands() {
    let with = |value: &str| format!("DISTRIBUTED_STORAGE_CONFIG:\n  local: [LocalStorage, {{}}]\n  {value}\n");
    for (says, now, refusal) in [
        ("an anchor", with("default: &d [STSS3Storage, {}]\n  eu: *d"), Refusal::at(3, 12, Problem::Anchor)),
        ("an anchor inside", with("default: [STSS3Storage, {s3_bucket: &b b}]"), Refusal::at(3, 39, Problem::Anchor)),
        ("a tag", with("default: [STSS3Storage, !!map {}]"), Refusal::at(3, 27, Problem::Tag)),
        (
            "nothing would be left",
            "DISTRIBUTED_STORAGE_PREFERENCE: [default]\n".to_owned(),
            Refusal::whole(Problem::CannotVerify),
        ),
        (
            "a list of something else",
            "A: 1\nDISTRIBUTED_STORAGE_PREFERENCE: [default, [x]]\n".to_owned(),
            Refusal::at(2, 43, Problem::WrongKind { key: PREFERENCE.to_owned(), expected: "a list of location names" }),
        ),
        (
            "an alias elsewhere is none of ours",
            "A: &a [default]\nB: *a\nDISTRIBUTED_STORAGE_PREFERENCE: [&c default]\n".to_owned(),
            Refusal::at(3, 34, Problem::Anchor),
        ),
    ] {
        assert_eq!(round("A: 1\n", |_| now), Err(refusal), "{says}");
    }
}

#[test]
fn the_locations_of_two_writes_come_back_one_after_the_other() {
    let before = "A: 1\nDISTRIBUTED_STORAGE_PREFERENCE: [default]\n";
    let ours: Vec<LocationName> = ["default", "eu"].map(|name| name.parse().unwrap()).into();
    let (one, two) = ([&intent("default")], [&intent("eu")]);
    let change = |entries| Change { entries, ours: &ours, preference: Preference::Keep, replicate: true };
    let (first, second) = (change(&one), change(&two));
    let memory = remembered(before, &first).unwrap();
    let edited = after(before, &first).unwrap();
    let later = remembered(&edited, &second).unwrap();
    let twice = after(&edited, &second).unwrap();
    assert_eq!(restored(&twice, &later), Ok(edited.clone()));
    assert_eq!(restored(&edited, &memory).as_deref(), Ok(before));
    // The first alone: the other location stays, and is preferred as before.
    let back = restored(&twice, &memory).unwrap();
    assert!(back.contains("\"eu\":\n") && !back.contains("\"default\":\n"), "{back}");
    assert!(back.contains("PREFERENCE: [default, \"eu\"]") && back.contains("LOCATIONS:\n  - \"eu\"\n"), "{back}");
}
