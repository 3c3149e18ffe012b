//! The room through its public door: what goes in, what comes out.

mod any_style;
mod block;
mod carry;
mod entries;
mod flow;
mod lists;
mod mask;
mod properties;
mod readings;
mod refusals;
mod remembered;
mod removal;
mod removal_properties;
mod standing;

use secrecy::ExposeSecret;

use super::*;
use crate::place::Endpoint;

/// The intent that most tests write: location `default`, in us-east-1.
fn intent(name: &str) -> StorageEntry {
    StorageEntry {
        name: name.parse().unwrap(),
        role_key: Some(RoleKey {
            role_arn: "arn:aws:iam::123456789012:role/quay".parse().unwrap(),
            access_key_id: "AKIAEXAMPLE".to_owned(),
            secret_access_key: SecretString::from("s3cr3t/+"),
        }),
        bucket: "quay-bucket".parse().unwrap(),
        storage_path: "/datastorage".parse().unwrap(),
        endpoint: Endpoint::Region("us-east-1".parse().unwrap()),
        maximum_chunk_size_gb: None,
        signature_version: None,
    }
}

/// The value of the intent in block style, dashes indented by `dash`.
fn block(dash: usize) -> String {
    let indented = |line: &str| format!("{}{line}\n", " ".repeat(dash));
    [
        r#"- "STSS3Storage""#,
        r#"- sts_role_arn: "arn:aws:iam::123456789012:role/quay""#,
        r#"  s3_bucket: "quay-bucket""#,
        r#"  storage_path: "/datastorage""#,
        r#"  s3_region: "us-east-1""#,
        r#"  sts_user_access_key: "AKIAEXAMPLE""#,
        r#"  sts_user_secret_key: "s3cr3t/+""#,
    ]
    .map(indented)
    .concat()
}

/// The intent's arguments in braces.
const BRACES: &str = r#"{sts_role_arn: "arn:aws:iam::123456789012:role/quay", s3_bucket: "quay-bucket", storage_path: "/datastorage", s3_region: "us-east-1", sts_user_access_key: "AKIAEXAMPLE", sts_user_secret_key: "s3cr3t/+"}"#;

/// Edits a text; `None` where nothing changes. What comes out is edited once more, and must not change again.
fn try_edit(
    text: &str,
    entries: &[&StorageEntry],
    preference: Preference,
    replicate: bool,
) -> Result<Option<String>, Refusal> {
    let ours: Vec<LocationName> = entries.iter().map(|entry| entry.name.clone()).collect();
    let change = Change { entries, ours: &ours, preference, replicate };
    match ConfigYaml::parse(text.as_bytes())?.edit(&change)? {
        Edit::Unchanged => Ok(None),
        Edit::Changed(new) => {
            let again = ConfigYaml::parse(new.expose_secret().as_bytes())?.edit(&change)?;
            assert!(matches!(again, Edit::Unchanged), "a second edit changes it again:\n{}", new.expose_secret());
            Ok(Some(new.expose_secret().to_owned()))
        }
    }
}

/// Writes the one intent `default`.
fn edited(text: &str) -> String {
    match try_edit(text, &[&intent("default")], Preference::Keep, false) {
        Ok(Some(new)) => new,
        Ok(None) => text.to_owned(),
        Err(refusal) => panic!("{refusal}:\n{text}"),
    }
}
