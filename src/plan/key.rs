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
    /// The key of these two parts, if it is one that an IAM user can have.
    pub fn new(id: &SecretString, secret: &SecretString) -> Option<Self> {
        let parts =
            [("AWS_ACCESS_KEY_ID".to_owned(), id.clone()), ("AWS_SECRET_ACCESS_KEY".to_owned(), secret.clone())];
        Self::from_secret("", &parts.into()).ok()
    }

    /// The key in a Secret's data, trimmed: a trailing newline would crash Quay.
    ///
    /// # Errors
    /// What is missing or wrong, naming the Secret and its keys, never a value.
    pub fn from_secret(secret_name: &str, data: &BTreeMap<String, SecretString>) -> Result<Self, Failure> {
        let (id_key, id) = value(secret_name, data, ID)?;
        let (secret_key, secret) = value(secret_name, data, SECRET)?;
        let id = id.expose_secret();
        if is_id(secret.expose_secret()) {
            return Err(Failure::new(
                Reason::MalformedKey,
                format!(
                    "Secret {secret_name}: {secret_key} holds an access key id (AKIA…). Are the two swapped? Put the secret access key there."
                ),
            ));
        }
        if !is_id(id) {
            return Err(Failure::new(
                Reason::MalformedKey,
                format!(
                    "Secret {secret_name}: {id_key} is no access key id: expected 16 to 128 of A-Z 0-9, such as AKIA…. Is it the secret access key, or are there quotes around it?"
                ),
            ));
        }
        if id.starts_with("ASIA") {
            return Err(Failure::new(
                Reason::TemporaryKey,
                format!(
                    "Secret {secret_name}: {id_key} begins with ASIA: it is a temporary key, which works only together with a session token, and Quay has no field for one. Create an access key of an IAM user (AKIA…) and put that there."
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
        last_four(&self.id)
    }
}

/// The last four characters of what has the form of an access key id; of anything else, which may be a secret that
/// somebody put in its place, nothing.
pub(super) fn last_four_of_id(text: &str) -> Option<&str> {
    is_id(text).then(|| last_four(text))
}

/// The last four characters of an access key's id.
pub fn last_four(id: &str) -> &str {
    id.get(id.len().saturating_sub(4)..).unwrap_or_default()
}

/// Whether a text has the form of an access key id. Secret access keys have lower-case letters.
fn is_id(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// A part of the key in either spelling, and the spelling in which it was found.
fn value<'a>(
    secret_name: &str,
    data: &BTreeMap<String, SecretString>,
    spellings: [&'a str; 2],
) -> Result<(&'a str, SecretString), Failure> {
    let [ours, theirs] = spellings;
    let trimmed = |key: &str| data.get(key).map(|value| value.expose_secret().trim()).filter(|value| !value.is_empty());
    let (key, value) = match (trimmed(ours), trimmed(theirs)) {
        (Some(one), Some(other)) if one != other => {
            return Err(Failure::new(
                Reason::AmbiguousKey,
                format!("Secret {secret_name}: {ours} and {theirs} differ. Remove the one that is not meant."),
            ));
        }
        (Some(value), _) => (ours, value),
        (None, Some(value)) => (theirs, value),
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
                "Secret {secret_name}: {key} has white space, control or non-ASCII characters inside. Put the value alone there, on one line."
            ),
        ));
    }
    Ok((key, SecretString::from(value)))
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
        let key = Ok(("AKIAEXAMPLEEXAMPLE".into(), "s3cr3t/+=".into()));
        assert_eq!(
            read(&[("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE\n"), ("AWS_SECRET_ACCESS_KEY", " s3cr3t/+=\r\n")]),
            key
        );
        assert_eq!(read(&[("aws_access_key_id", "AKIAEXAMPLEEXAMPLE"), ("aws_secret_access_key", "s3cr3t/+=")]), key);
        assert_eq!(
            read(&[
                ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE"),
                ("aws_access_key_id", "AKIAEXAMPLEEXAMPLE\n"),
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
                &[("AWS_ACCESS_KEY_ID", "AKIAHUSHHUSHHUSHHUSH"), ("AWS_SECRET_ACCESS_KEY", " \n")][..],
                Reason::MissingKey,
                "AWS_SECRET_ACCESS_KEY (or aws_secret_access_key) is empty",
            ),
            (
                &[
                    ("AWS_ACCESS_KEY_ID", "AKIAHUSHHUSHHUSHHUSH"),
                    ("aws_access_key_id", "AKIAHUSHHUSHHUSH2"),
                    ("AWS_SECRET_ACCESS_KEY", "x"),
                ][..],
                Reason::AmbiguousKey,
                "AWS_ACCESS_KEY_ID and aws_access_key_id differ",
            ),
            (
                &[("AWS_ACCESS_KEY_ID", "AKIAHUSHHUSHHUSHHUSH"), ("AWS_SECRET_ACCESS_KEY", "HU SH")][..],
                Reason::MalformedKey,
                "AWS_SECRET_ACCESS_KEY has white space",
            ),
            (
                &[("AWS_ACCESS_KEY_ID", "AKIA\"HUSH"), ("AWS_SECRET_ACCESS_KEY", "HUSH")][..],
                Reason::MalformedKey,
                "is no access key id",
            ),
            (
                &[("aws_access_key_id", "HUSHhush01234567890hushHUSH0123456789012"), ("AWS_SECRET_ACCESS_KEY", "HUSH")]
                    [..],
                Reason::MalformedKey,
                "aws_access_key_id is no access key id",
            ),
            (
                &[("AWS_ACCESS_KEY_ID", "HUSHhush"), ("AWS_SECRET_ACCESS_KEY", "AKIAHUSHHUSHHUSHHUSH")][..],
                Reason::MalformedKey,
                "Are the two swapped?",
            ),
            (
                &[("AWS_ACCESS_KEY_ID", "ASIAHUSHHUSHHUSHHUSH"), ("AWS_SECRET_ACCESS_KEY", "HUSH")][..],
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
