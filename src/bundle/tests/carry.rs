//! An entry of one document put into another.

use super::*;

/// What a registry reads: written by us, and an entry of somebody else's.
fn output() -> String {
    format!(
        "DISTRIBUTED_STORAGE_CONFIG:\n  \"default\":\n{}  other:\n  - RadosGWStorage\n  - {{hostname: rgw, port: 80, is_secure: false, secret_key: 'a: {{b'}}\n",
        block(4)
    )
}

fn try_carry(source: &str, output: &str, name: &str) -> Result<Option<String>, Refusal> {
    let (source, output) = (ConfigYaml::parse(source.as_bytes())?, ConfigYaml::parse(output.as_bytes())?);
    let entry = output.carried(name)?.expect("the entry stands");
    match source.carry(&entry)? {
        Edit::Unchanged => Ok(None),
        Edit::Changed(new) => {
            let again = ConfigYaml::parse(new.expose_secret().as_bytes())?.carry(&entry)?;
            assert!(matches!(again, Edit::Unchanged), "a second time changes it again:\n{}", new.expose_secret());
            Ok(Some(new.expose_secret().to_owned()))
        }
    }
}

fn carried(source: &str, name: &str) -> String {
    try_carry(source, &output(), name).unwrap_or_else(|refusal| panic!("{refusal}")).expect("it changes")
}

#[test]
fn an_entry_of_ours_is_carried_in_the_form_in_which_we_write_it() {
    let written = format!("A: 1\nDISTRIBUTED_STORAGE_CONFIG:\n  \"default\":\n{}", block(4));
    assert_eq!(carried("A: 1\n", "default"), written);
    assert_eq!(try_carry(&written, &output(), "default").unwrap(), None, "it stands there already");
}

#[test]
fn whatever_stands_at_its_name_gives_way_and_nothing_else_changes() {
    let source = "A: 1 # one\nDISTRIBUTED_STORAGE_CONFIG:\n  first: [LocalStorage, {storage_path: /a}]\n  default:\n    - S3Storage\n    - s3_bucket: old\n  last: [LocalStorage, {storage_path: /b}]\nB: 2\n";
    let expected = format!(
        "A: 1 # one\nDISTRIBUTED_STORAGE_CONFIG:\n  first: [LocalStorage, {{storage_path: /a}}]\n  default:\n{}  last: [LocalStorage, {{storage_path: /b}}]\nB: 2\n",
        block(4)
    );
    assert_eq!(carried(source, "default"), expected);
}

#[test]
fn an_entry_of_another_driver_is_carried_as_it_is_spelled_and_value_by_value_into_another_style() {
    assert_eq!(
        carried("DISTRIBUTED_STORAGE_CONFIG:\n  a:\n  - LocalStorage\n  - storage_path: /a\n", "other"),
        "DISTRIBUTED_STORAGE_CONFIG:\n  a:\n  - LocalStorage\n  - storage_path: /a\n  \"other\":\n  - RadosGWStorage\n  - hostname: rgw\n    port: 80\n    is_secure: false\n    secret_key: \"a: {b\"\n"
    );
    assert_eq!(
        carried("{\"DISTRIBUTED_STORAGE_CONFIG\": {}}\n", "other"),
        "{\"DISTRIBUTED_STORAGE_CONFIG\": {\"other\": [RadosGWStorage, {hostname: rgw, port: 80, is_secure: false, secret_key: \"a: {b\"}]}}\n"
    );
    for shape in ["DISTRIBUTED_STORAGE_CONFIG:\nB: 1\n", "DISTRIBUTED_STORAGE_CONFIG: null\n", "{}\n", "A: 1"] {
        let new = carried(shape, "other");
        assert!(try_carry(&new, &output(), "other").unwrap().is_none(), "{new}");
    }
}

#[test]
fn a_notation_that_does_not_mean_the_same_elsewhere_is_refused() {
    let output = "A: &a x\nDISTRIBUTED_STORAGE_CONFIG:\n  default: [S3Storage, {s3_bucket: *a}]\n";
    let refusal = try_carry("B: 1\n", output, "default").unwrap_err();
    assert_eq!(refusal.problem, Problem::Alias);
}
