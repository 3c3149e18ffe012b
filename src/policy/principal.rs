//! Who and what a policy names and no manifest says: one user or role (never a whole account), an account, an issuer.

use std::str::FromStr;

/// `arn:<partition>:iam::<account>:user/<name>` or `…:role/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalArn(String);

impl PrincipalArn {
    /// The ARN as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition that it is of.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// The account that it is of.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    fn part(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }
}

/// That a text names no single user or role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the ARN of one IAM user or role, arn:aws:iam::<12-digit account>:user/<name>: an account, root or * would let in everybody there"
)]
pub struct NotOnePrincipal;

impl FromStr for PrincipalArn {
    type Err = NotOnePrincipal;

    fn from_str(text: &str) -> Result<Self, NotOnePrincipal> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", "aws" | "aws-cn" | "aws-us-gov", "iam", "", account, who] = parts.as_slice() else {
            return Err(NotOnePrincipal);
        };
        let name = who.strip_prefix("user/").or_else(|| who.strip_prefix("role/")).unwrap_or_default();
        let is_name = !name.is_empty()
            && !name.ends_with('/')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b));
        if is_name && is_account(account) { Ok(Self(text.to_owned())) } else { Err(NotOnePrincipal) }
    }
}

/// An AWS account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountId(String);

impl AccountId {
    /// Its twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if is_account(text) { Ok(Self(text.to_owned())) } else { Err("expected the 12 digits of an AWS account") }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The issuer of a cluster's tokens, as IAM names its identity provider: without the scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// The provider's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Issuer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let name = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b));
        if name.contains('.') && is_name {
            Ok(Self(name.to_owned()))
        } else {
            Err(
                "expected the issuer's URL, https://<host>[/<path>], as `kubectl get --raw /.well-known/openid-configuration` shows it",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_one_user_or_one_role() {
        let user: PrincipalArn = "arn:aws-cn:iam::123492922789:user/team/quay-user".parse().unwrap();
        assert_eq!((user.partition(), user.account()), ("aws-cn", "123492922789"));
        assert!("arn:aws:iam::123492922789:role/a".parse::<PrincipalArn>().is_ok());
        for everybody in [
            "*",
            "123492922789",
            "arn:aws:iam::123492922789:root",
            "arn:aws:iam::123492922789:user/*",
            "arn:aws:iam::123492922789:user/",
            "arn:aws:iam::1234:user/a",
            "arn:aws:sts::123492922789:assumed-role/a/quay",
        ] {
            assert!(everybody.parse::<PrincipalArn>().is_err(), "{everybody}");
        }
    }

    #[test]
    fn an_issuer_is_named_without_its_scheme() {
        for text in ["https://oidc.example.com/id", "oidc.example.com/id", "https://oidc.example.com/id/"] {
            assert_eq!(text.parse::<Issuer>().unwrap().as_str(), "oidc.example.com/id");
        }
        for text in ["", "http://oidc.example.com", "https://oidc.example.com/?a", "arn:aws:iam::1:oidc-provider/a.b"] {
            assert!(text.parse::<Issuer>().is_err(), "{text}");
        }
    }
}
