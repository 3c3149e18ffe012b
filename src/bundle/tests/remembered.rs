//! What is kept between a write and its undoing: its form, and what comes of one that is not ours.

use super::removal::restored;
use super::*;

#[test]
fn the_serialised_form_is_stable_and_nothing_else_is_read() {
    let entry = intent("default");
    let change = Change {
        entries: &[&entry],
        ours: &["default".parse().unwrap()],
        preference: Preference::Keep,
        replicate: false,
    };
    let text = "DISTRIBUTED_STORAGE_CONFIG: {default: [S3Storage, {}]} # c\nDISTRIBUTED_STORAGE_PREFERENCE: []\n";
    let form = ConfigYaml::parse(text.as_bytes()).unwrap().remember(&change).to_text();
    let expected = concat!(
        r#"{"version":1,"ours":["default"],"stood":["default"],"last_break":true,"empty_root":null,"storage":{"present":"filled"},"#,
        r#""preference":{"present":{"piece":{"key":"DISTRIBUTED_STORAGE_PREFERENCE","gap":": ","value":"[]","rest":"","below":"\n","#,
        r#""key_column":0,"value_column":32,"in_braces":false},"names":[],"unknown":false}},"defaults":"absent","#,
        r#""locations":{"default":{"present":{"key":"default","gap":": ","value":"[S3Storage, {}]","rest":"","below":"","#,
        r#""key_column":29,"value_column":38,"in_braces":true}}}}"#,
    );
    assert_eq!(form.expose_secret(), expected);
    let read = Remembered::from_text(expected).unwrap();
    assert_eq!(read.to_text().expose_secret(), expected);
    for wrong in [
        "",
        "{}",
        "null",
        &expected.replace("\"version\":1", "\"version\":2"),
        &expected.replace("\"defaults\":\"absent\",", ""),
        &expected.replace("29", "-1"),
        &expected[..expected.len() - 1],
    ] {
        assert!(Remembered::from_text(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn what_was_remembered_of_another_document_writes_no_key_that_is_not_ours() {
    let edited =
        edited("DISTRIBUTED_STORAGE_CONFIG:\n  default: [S3Storage, {}]\nDISTRIBUTED_STORAGE_PREFERENCE: []\n");
    let piece = |value: &str, rest: &str, below: &str, in_braces: bool| {
        let piece = serde_json::json!({
            "key": "default", "gap": ": ", "value": value, "rest": rest, "below": below,
            "key_column": 2, "value_column": 11, "in_braces": in_braces,
        });
        let memory = serde_json::json!({
            "version": 1, "ours": ["default"], "stood": ["default"], "last_break": true, "empty_root": null,
            "storage": {"present": "filled"}, "preference": "absent", "defaults": "absent",
            "locations": {"default": {"present": piece}},
        });
        restored(&edited, &Remembered::from_text(&memory.to_string()).unwrap())
    };
    assert!(piece("[S3Storage, {}]", "", "\n", false).unwrap().contains("  default: [S3Storage, {}]\n"));
    for (value, rest, below) in [
        ("[]\nEVIL: 1", "", "\n"),
        ("[]", "\nEVIL: 1", "\n"),
        ("[]", "", "\nEVIL: 1\n"),
        ("[]", "", "\n  evil: []\n"),
        ("[", "", "\n"),
        ("*x", "", "\n"),
        ("[]}", "", ""),
    ] {
        for in_braces in [false, true] {
            let back = piece(value, rest, below, in_braces);
            assert!(back.as_ref().is_ok_and(|text| !text.to_lowercase().contains("evil")) || back.is_err(), "{back:?}");
        }
    }
}
