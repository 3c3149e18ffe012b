//! An IAM user's access key as a Secret holds it.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use crate::reason::{Failure, Reason};

/// Both spellings of the access key's id: ours (AWS's own variable) and the Cloud Credential Operator's.
const ID: [&str; 2] = ["AWS_ACCESS_KEY_ID", "aws_access_key_id"];
/// Both spellings of the secret access key.
const SECRET: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"];

/// A long-lived access key of an IAM user. It has no Debug.
#[derive(Clone)]
pub struct AccessKey {
    id: String,
    secret: SecretString,
}

impl AccessKey {
    /// The key in a Secret's data, trimmed: a trailing newline would crash Quay.
    ///
    /// # Errors
    /// What is missing or wrong, naming the Secret and its keys, never a value.
    pub fn from_secret(secret_name: &str, data: &BTreeMap<String, SecretString>) -> Result<Self, Failure> {
        let id = value(secret_name, data, ID)?;
        let secret = value(secret_name, data, SECRET)?;
        let id = id.expose_secret();
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Failure::new(
                Reason::MalformedKey,
                format!(
                    "Secret {secret_name}: {} is no access key id: it has characters other than A-Z a-z 0-9 _. Put the id alone there, for example AKIA…",
                    ID[0]
                ),
            ));
        }
        if id.starts_with("ASIA") {
            return Err(Failure::new(
                Reason::TemporaryKey,
                format!(
                    "Secret {secret_name}: {} begins with ASIA: it is a temporary key, which works only together with a session token, and Quay has no field for one. Create an access key of an IAM user (AKIA…) and put that there.",
                    ID[0]
                ),
            ));
        }
        Ok(Self { id: id.to_owned(), secret })
    }

    /// The access key's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret access key.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The id's last four characters, enough for people to tell keys apart.
    pub fn last_four(&self) -> &str {
        self.id.get(self.id.len().saturating_sub(4)..).unwrap_or_default()
    }
}

fn value(
    secret_name: &str,
    data: &BTreeMap<String, SecretString>,
    spellings: [&str; 2],
) -> Result<SecretString, Failure> {
    let [ours, theirs] = spellings;
    let trimmed = |key: &str| data.get(key).map(|value| value.expose_secret().trim()).filter(|value| !value.is_empty());
    let value = match (trimmed(ours), trimmed(theirs)) {
        (Some(one), Some(other)) if one != other => {
            return Err(Failure::new(
                Reason::AmbiguousKey,
                format!("Secret {secret_name}: {ours} and {theirs} differ. Remove the one that is not meant."),
            ));
        }
        (Some(value), _) | (None, Some(value)) => value,
        (None, None) => {
            let what = if data.contains_key(ours) || data.contains_key(theirs) { "is empty" } else { "is missing" };
            let found: Vec<&str> = data.keys().map(String::as_str).take(8).collect();
            let has = if found.is_empty() { "it has no keys".into() } else { format!("it has {}", found.join(", ")) };
            return Err(Failure::new(
                Reason::MissingKey,
                format!(
                    "Secret {secret_name}: {ours} (or {theirs}) {what}; {has}. Put both parts of the access key into this Secret."
                ),
            ));
        }
    };
    if !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::new(
            Reason::MalformedKey,
            format!(
                "Secret {secret_name}: {ours} has white space, control or non-ASCII characters inside. Put the value alone there, on one line."
            ),
        ));
    }
    Ok(SecretString::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<(String, String), (Reason, String)> {
        let data = pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretString::from(*v))).collect();
        match AccessKey::from_secret("quay-user", &data) {
            Ok(key) => Ok((key.id().into(), key.secret().expose_secret().into())),
            Err(failure) => Err((failure.reason, failure.message)),
        }
    }

    #[test]
    fn either_spelling_is_read_and_white_space_around_is_dropped() {
        let key = Ok(("AKIAEXAMPLE".into(), "s3cr3t/+=".into()));
        assert_eq!(read(&[("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE\n"), ("AWS_SECRET_ACCESS_KEY", " s3cr3t/+=\r\n")]), key);
        assert_eq!(read(&[("aws_access_key_id", "AKIAEXAMPLE"), ("aws_secret_access_key", "s3cr3t/+=")]), key);
        assert_eq!(
            read(&[
                ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
                ("aws_access_key_id", "AKIAEXAMPLE\n"),
                ("AWS_SECRET_ACCESS_KEY", "s3cr3t/+="),
                ("credentials", "[default]"),
            ]),
            key
        );
    }

    #[test]
    fn each_thing_wrong_with_a_key_has_its_reason_and_no_value_is_told() {
        for (pairs, reason, says) in [
            (&[][..], Reason::MissingKey, "AWS_ACCESS_KEY_ID (or aws_access_key_id) is missing; it has no keys"),
            (&[("user", "x")][..], Reason::MissingKey, "is missing; it has user"),
            (
                &[("AWS_ACCESS_KEY_ID", "AKIAHUSH"), ("AWS_SECRET_ACCESS_KEY", " \n")][..],
                Reason::MissingKey,
                "AWS_SECRET_ACCESS_KEY (or aws_secret_access_key) is empty",
            ),
            (
                &[
                    ("AWS_ACCESS_KEY_ID", "AKIAHUSH"),
                    ("aws_access_key_id", "AKIAHUSH2"),
                    ("AWS_SECRET_ACCESS_KEY", "x"),
                ][..],
                Reason::AmbiguousKey,
                "AWS_ACCESS_KEY_ID and aws_access_key_id differ",
            ),
            (
                &[("AWS_ACCESS_KEY_ID", "AKIAHUSH"), ("AWS_SECRET_ACCESS_KEY", "HU SH")][..],
                Reason::MalformedKey,
                "AWS_SECRET_ACCESS_KEY has white space",
            ),
            (
                &[("AWS_ACCESS_KEY_ID", "AKIA\"HUSH"), ("AWS_SECRET_ACCESS_KEY", "HUSH")][..],
                Reason::MalformedKey,
                "is no access key id",
            ),
            (
                &[("AWS_ACCESS_KEY_ID", "ASIAHUSH"), ("AWS_SECRET_ACCESS_KEY", "HUSH")][..],
                Reason::TemporaryKey,
                "begins with ASIA",
            ),
        ] {
            let (found, message) = read(pairs).unwrap_err();
            assert_eq!(found, reason, "{message}");
            assert!(message.contains(says) && message.contains("quay-user"), "{message}");
            assert!(!message.contains("HUSH"), "{message}");
        }
    }
}
