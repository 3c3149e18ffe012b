//! Texts of a fixed grammar, parsed once at the border.

use std::fmt;
use std::str::FromStr;

/// A value that does not have the form it must have: what was found, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {found:?}: expected {expected}")]
pub struct Malformed {
    pub(super) found: String,
    pub(super) expected: &'static str,
}

/// A text of a fixed grammar: the type, what its documentation says, the grammar in words, the test for it.
macro_rules! text_of_a_grammar {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(Malformed { found: text.into(), expected: $expected })
                }
            }
        }
    };
}

text_of_a_grammar!(
    /// The name of a storage location: a key of `DISTRIBUTED_STORAGE_CONFIG`, and a row in Quay's database.
    LocationName,
    "1 to 63 of A-Z a-z 0-9 . _ -, beginning with a letter or a digit",
    |text| (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
);

text_of_a_grammar!(
    /// The name of an S3 bucket.
    Bucket,
    "a bucket name: 3 to 63 of a-z 0-9 . -, beginning and ending with a letter or a digit",
    |text| (3..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
        && !text.starts_with(['.', '-'])
        && !text.ends_with(['.', '-'])
);

text_of_a_grammar!(
    /// `storage_path`: what Quay puts before every key. `""` and `/` are the bucket's root.
    StoragePath,
    "a path of at most 512 characters without control characters",
    |text| text.len() <= 512 && !text.chars().any(char::is_control)
);

text_of_a_grammar!(
    /// An AWS region, for example `eu-west-1`.
    Region,
    "an AWS region such as us-east-1",
    |text| {
        let parts: Vec<&str> = text.split('-').collect();
        text.len() <= 32
            && parts.len() >= 3
            && parts.iter().enumerate().all(|(i, part)| {
                let last = i + 1 == parts.len();
                !part.is_empty()
                    && part.bytes().all(|b| if last { b.is_ascii_digit() } else { b.is_ascii_lowercase() })
            })
    }
);
