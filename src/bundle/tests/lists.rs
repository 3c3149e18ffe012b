//! The lists of location names.

use super::*;

const STORAGE_OF_TWO: &str = "DISTRIBUTED_STORAGE_CONFIG:\n  home: [LocalStorage, {}]\n  other: [LocalStorage, {}]\n";

/// What becomes of the lines after two foreign locations when `default` and `eu` are written beside them.
fn lists_after(lists: &str, preference: Preference, replicate: bool) -> String {
    let (one, two) = (intent("default"), intent("eu"));
    let before = format!("{STORAGE_OF_TWO}{lists}");
    let after = try_edit(&before, &[&one, &two], preference, replicate).unwrap().unwrap();
    let (_, lists) = after.split_once("s3cr3t/+\"\n  \"eu\":").unwrap();
    lists.split_once("s3cr3t/+\"\n").unwrap().1.to_owned()
}

#[test]
fn a_preference_is_kept_completed_or_reordered_as_asked() {
    use Preference::{First, Keep, Last};
    for (before, preference, after) in [
        ("[]", Keep, "[]"),
        ("[]", First, "[]"),
        (" null # all", Last, " null # all"),
        ("", Keep, ""),
        ("[home]", Keep, r#"[home, "default", "eu"]"#),
        ("[home, default]", Keep, r#"[home, default, "eu"]"#),
        ("[eu, home, default]", Keep, "[eu, home, default]"),
        ("[gone, home]", Keep, r#"[gone, home, "default", "eu"]"#),
        ("[gone, local_us] # c", Keep, r#"["default", "eu"] # c"#),
        ("[gone]", Last, r#"["default", "eu"]"#),
        ("[home, eu]", First, r#"["default", eu, home]"#),
        ("[default, eu, 'home']", First, "[default, eu, 'home']"),
        ("['default', home, eu]", Last, r#"[home, "default", eu]"#),
        ("[home]", Last, r#"[home, "default", "eu"]"#),
        ("\n- home # h\n# c\n- eu # e", First, "\n- \"default\" # h\n# c\n- eu # e\n- home"),
        ("\n  - home # h\n    # deeper", Keep, "\n  - home # h\n    # deeper\n  - \"default\"\n  - \"eu\""),
        ("\n-   gone\n-   local_us # l", Keep, "\n-   \"default\"\n-   \"eu\" # l"),
        ("[\n  home,\n  ]", Keep, "[\n  home,\n  \"default\",\n  \"eu\",\n  ]"),
    ] {
        let line = |list: &str| {
            let space = if list.starts_with('[') { " " } else { "" };
            format!("DISTRIBUTED_STORAGE_PREFERENCE:{space}{list}\nX: 1\n")
        };
        assert_eq!(lists_after(&line(before), preference, false), line(after), "{before} {preference:?}");
    }
}

#[test]
fn a_missing_preference_becomes_our_locations_in_spec_order() {
    for preference in [Preference::Keep, Preference::First, Preference::Last] {
        let after = "X: 1\nDISTRIBUTED_STORAGE_PREFERENCE:\n  - \"default\"\n  - \"eu\"\n";
        assert_eq!(lists_after("X: 1\n", preference, false), after);
    }
}

#[test]
fn default_locations_are_touched_only_to_replicate() {
    let with =
        |list: &str| format!("DISTRIBUTED_STORAGE_PREFERENCE: []\nDISTRIBUTED_STORAGE_DEFAULT_LOCATIONS:{list}\n");
    for (before, after) in [
        ("", r#" ["default", "eu"]"#),
        (" []", r#" ["default", "eu"]"#),
        (" ~ # all", r#" ["default", "eu"] # all"#),
        (" [eu]", r#" [eu, "default"]"#),
        ("\n- home", "\n- home\n- \"default\"\n- \"eu\""),
    ] {
        assert_eq!(lists_after(&with(before), Preference::Keep, false), with(before));
        assert_eq!(lists_after(&with(before), Preference::Keep, true), with(after));
    }
    let missing = "DISTRIBUTED_STORAGE_PREFERENCE: []\n";
    assert_eq!(lists_after(missing, Preference::Keep, false), missing);
    let added = format!("{missing}DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS:\n  - \"default\"\n  - \"eu\"\n");
    assert_eq!(lists_after(missing, Preference::Keep, true), added);
}

#[test]
fn a_location_that_the_document_will_not_have_is_in_no_list() {
    let document = ConfigYaml::parse(STORAGE_OF_TWO.as_bytes()).unwrap();
    let ours = ["absent".parse().unwrap(), "other".parse().unwrap()];
    let change = |ours| Change { entries: &[], ours, preference: Preference::First, replicate: true };
    let Ok(Edit::Changed(after)) = document.edit(&change(&ours)) else { panic!("no change") };
    let added =
        "DISTRIBUTED_STORAGE_PREFERENCE:\n  - \"other\"\nDISTRIBUTED_STORAGE_DEFAULT_LOCATIONS:\n  - \"other\"\n";
    assert_eq!(after.expose_secret(), format!("{STORAGE_OF_TWO}{added}"));
    assert!(matches!(document.edit(&change(&ours[..1])), Ok(Edit::Unchanged)));
}

#[test]
fn a_name_that_quay_reads_as_a_number_is_put_in_quotes() {
    let text = |name: &str| {
        format!(
            "DISTRIBUTED_STORAGE_CONFIG:\n  {name}: [STSS3Storage, {BRACES}]\nDISTRIBUTED_STORAGE_PREFERENCE: [{name}]\n"
        )
    };
    for name in ["123", "1.10", "0123", "1e5"] {
        let after = try_edit(&text(name), &[&intent(name)], Preference::Keep, false).unwrap();
        assert_eq!(after, Some(text(&format!("\"{name}\""))));
    }
}
