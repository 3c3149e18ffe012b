//! Documents that are left alone, and what is said about them.

use super::*;

fn refusal(text: &str) -> Refusal {
    match try_edit(text, &[&intent("default")], Preference::Keep, true) {
        Err(refusal) => refusal,
        Ok(new) => panic!("not refused:\n{text}\n{new:?}"),
    }
}

fn wrong(key: &str, expected: &'static str) -> Problem {
    Problem::WrongKind { key: key.to_owned(), expected }
}

#[test]
fn a_document_that_some_reader_rejects_is_refused_where_it_is_wrong() {
    for (text, at, problem) in [
        ("A: 1\nB: [\n", (3, 1), Problem::Invalid),
        ("A: 1\nB: [", (2, 5), Problem::Invalid),
        ("A: ü\r\nB: {\r\nü", (3, 1), Problem::Invalid),
        ("A: 1\n B: 2\n", (2, 3), Problem::Invalid),
        // As once published: without the dash before the arguments.
        (
            "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - STSS3Storage\n      s3_bucket: x\n",
            (4, 16),
            Problem::Invalid,
        ),
        ("A: {b: c?d}\n", (1, 8), Problem::Invalid),
        ("A: {[b]: c}\n", (1, 5), Problem::OddNotation),
        ("A: 1\n~: 2\n", (2, 1), Problem::OddNotation),
        ("A:\t1\n", (1, 4), Problem::Tab),
        ("A: 1\t# c\n", (1, 5), Problem::Tab),
        ("{\n\t\"A\": 1\n}\n", (2, 1), Problem::Tab),
        ("A: 'ü\u{1}'\n", (1, 6), Problem::ControlCharacter),
        ("A: 1\nB: \0\n", (2, 4), Problem::ControlCharacter),
        ("A: 1\n# \u{2028}B: 2\n", (2, 3), Problem::LineBreak),
        ("A: 1\rB: 2\r", (1, 5), Problem::LineBreak),
        ("A: 1\nB: \u{feff}\n", (2, 4), Problem::ByteOrderMark),
        ("%YAML 1.2\n---\nA: 1\n", (1, 1), Problem::Directive),
        ("A: 1\n---\nB: 2\n", (2, 1), Problem::SeveralDocuments),
        ("A: 1\n---\n", (2, 1), Problem::SeveralDocuments),
        ("A: 1\n...\n", (2, 1), Problem::SeveralDocuments),
        ("A: 1\nB: 2\n\"A\": 3\n", (3, 1), Problem::DuplicateKey(None)),
        ("- A\n", (1, 1), Problem::NotAMapping),
        ("text\n", (1, 1), Problem::NotAMapping),
        ("A: 1\nB: |\n  text", (3, 3), Problem::NoFinalNewline),
    ] {
        assert_eq!(refusal(text), Refusal::at(at.0, at.1, problem), "{text:?}");
    }
    for empty in ["", "\n", "# only a comment\n", "---\n", "~\n", "\u{feff}"] {
        assert_eq!(refusal(empty), Refusal::whole(Problem::Empty), "{empty:?}");
    }
    let latin = ConfigYaml::parse(b"A: 1\nB: gr\xfcn\n").err();
    assert_eq!(latin, Some(Refusal::at(2, 6, Problem::NotUtf8)));
}

#[test]
fn what_readers_resolve_differently_is_refused_where_it_is_ours() {
    let locations = "a mapping of locations";
    let names = "a list of location names";
    for (text, at, problem) in [
        (
            "DISTRIBUTED_STORAGE_CONFIG: {}\n'DISTRIBUTED_STORAGE_CONFIG': {}\n",
            (2, 1),
            Problem::DuplicateKey(Some(STORAGE.into())),
        ),
        ("DISTRIBUTED_STORAGE_CONFIG:\n  a: []\n  a: []\n", (3, 3), Problem::DuplicateKey(None)),
        (
            "DISTRIBUTED_STORAGE_CONFIG: {default: [S, {s3_bucket: a, \"s3_bucket\": b}]}",
            (1, 58),
            Problem::DuplicateKey(Some("s3_bucket".into())),
        ),
        ("X: &x {A: 1}\n<<: *x\n", (2, 1), Problem::MergeKey),
        ("X: &x {a: []}\nDISTRIBUTED_STORAGE_CONFIG:\n  <<: *x\n", (3, 3), Problem::MergeKey),
        ("X: &x {a: []}\nDISTRIBUTED_STORAGE_CONFIG: *x\n", (2, 29), Problem::Alias),
        ("DISTRIBUTED_STORAGE_CONFIG: &x {}\n", (1, 29), Problem::Anchor),
        ("&k DISTRIBUTED_STORAGE_CONFIG: {}\n", (1, 1), Problem::Anchor),
        ("DISTRIBUTED_STORAGE_CONFIG:\n  default: &d [S3Storage, {}]\n  eu: *d\n", (2, 12), Problem::Anchor),
        ("X: &x [S3Storage, {}]\nDISTRIBUTED_STORAGE_CONFIG:\n  default: *x\n", (3, 12), Problem::Alias),
        (
            "X: &x {a: 1}\nDISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - S3Storage\n  - <<: *x\n",
            (5, 5),
            Problem::MergeKey,
        ),
        ("DISTRIBUTED_STORAGE_CONFIG: !!map {}\n", (1, 29), Problem::Tag),
        ("DISTRIBUTED_STORAGE_CONFIG: {default: [S3Storage, {a: !x b}]}\n", (1, 55), Problem::Tag),
        ("DISTRIBUTED_STORAGE_CONFIG: text\n", (1, 29), wrong(STORAGE, locations)),
        ("DISTRIBUTED_STORAGE_CONFIG: ''\n", (1, 29), wrong(STORAGE, locations)),
        ("DISTRIBUTED_STORAGE_CONFIG: []\n", (1, 29), wrong(STORAGE, locations)),
        (
            "DISTRIBUTED_STORAGE_CONFIG: {default: {a: b}}\n",
            (1, 39),
            wrong("default", "a list of a driver and its arguments"),
        ),
        ("DISTRIBUTED_STORAGE_PREFERENCE: default\n", (1, 33), wrong(PREFERENCE, names)),
        ("DISTRIBUTED_STORAGE_PREFERENCE: [[default]]\n", (1, 34), wrong(PREFERENCE, names)),
        ("DISTRIBUTED_STORAGE_PREFERENCE: [&a default]\n", (1, 34), Problem::Anchor),
        ("DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: {}\n", (1, 40), wrong(DEFAULTS, names)),
        ("? DISTRIBUTED_STORAGE_CONFIG\n: {}\n", (1, 3), Problem::OddNotation),
        ("{A: 1}: B\n", (1, 1), Problem::OddNotation),
    ] {
        assert_eq!(refusal(text), Refusal::at(at.0, at.1, problem), "{text:?}");
    }
}

#[test]
fn no_document_takes_more_time_or_stack_than_its_size_warrants() {
    let deep = [
        ("[".repeat(200), Problem::TooDeep),
        ("[".repeat(300_000), Problem::Invalid),
        ("{a: ".repeat(200), Problem::TooDeep),
        ("{a: ".repeat(100_000), Problem::Invalid),
        ("- ".repeat(300_000), Problem::TooDeep),
        ((0..500).flat_map(|i| [" ".repeat(i), "a:\n".to_owned()]).collect(), Problem::TooDeep),
    ];
    for (text, problem) in deep {
        assert_eq!(refusal(&text).problem, problem, "{}", &text[..20]);
    }
    let mut laughs = "A0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let line = format!("A{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
        laughs.push_str(&line);
    }
    assert_eq!(refusal(&laughs).problem, Problem::AliasesUnfold);
    assert_eq!(refusal("A: &a [*a]\n").problem, Problem::AliasesUnfold);
    let lines: Vec<String> = (0..20_000).map(|i| format!("KEY_{i}: \"value ü {i}\" # comment\n")).collect();
    let large = lines.concat();
    assert!(edited(&large).starts_with(&large));
}

#[test]
fn a_refusal_says_what_where_and_what_to_do_and_nothing_secret() {
    for (text, says) in [
        (
            "SECRET: hunter2\nDISTRIBUTED_STORAGE_CONFIG: hunter2\n",
            "config.yaml has a DISTRIBUTED_STORAGE_CONFIG that is not a mapping of locations (line 2, column 29): correct it, or remove it and let it be written",
        ),
        ("hunter2: 1\nhunter2: 2\n", "config.yaml holds the same key twice (line 2, column 1): remove one of the two"),
        (
            "DISTRIBUTED_STORAGE_CONFIG: &hunter2 {}\n",
            "config.yaml has an anchor (&) on the storage configuration (line 1, column 29): write the values out there",
        ),
        ("# hunter2\n", "config.yaml is empty: write Quay's configuration into it first"),
        (
            "A: 'hunter2\n",
            "config.yaml is not valid YAML (line 1, column 4): correct it there; check the indentation and the quotes",
        ),
    ] {
        assert_eq!(refusal(text).to_string(), says);
    }
}

#[test]
fn a_refusal_at_the_end_of_a_text_names_a_line_that_the_text_has() {
    // The first is refused by the second reader only, the others by the first one.
    for (text, lines) in [("{? \n:#!!x }", 2), ("A: [", 1), ("A: 'b\n", 2), ("{A: b", 1), ("A:\n  - [b", 2)] {
        let refused = refusal(text);
        assert!(refused.line.is_some_and(|line| line <= lines), "{text:?}: {refused}");
    }
}
