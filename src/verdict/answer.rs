//! What AWS answered, as far as it matters. No request id, time or raw text gets through: the same failure gives the
//! same message.

use std::fmt;

/// An answer other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// AWS's own error code.
    Refused(Refused),
    /// An HTTP status without an error code that could be read, and the bucket's region if the answer names it.
    Status(u16, Option<String>),
    /// No connection, or it broke.
    NoConnection,
    /// The address that a host resolves to is one that the operator's administrator has not allowed.
    AddressNotAllowed,
    /// No answer in time.
    TimedOut,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => f.write_str(&refused.code),
            Self::Status(status, _) => write!(f, "HTTP status {status}"),
            Self::NoConnection | Self::AddressNotAllowed | Self::TimedOut => f.write_str("nothing"),
        }
    }
}

impl Answer {
    /// Without the bucket's region where that is the one that was asked: it says nothing.
    #[must_use]
    pub fn asked_in(&self, region: &str) -> Self {
        match self {
            Self::Status(status, Some(named)) if named == region => Self::Status(*status, None),
            Self::Refused(refused) if refused.region.as_deref() == Some(region) => {
                Self::Refused(Refused { region: None, ..refused.clone() })
            }
            other => other.clone(),
        }
    }

    /// The bucket's region, where the answer names one.
    pub fn region(&self) -> Option<&str> {
        let region = match self {
            Self::Refused(refused) => refused.region.as_deref(),
            Self::Status(_, region) => region.as_deref(),
            Self::NoConnection | Self::AddressNotAllowed | Self::TimedOut => None,
        };
        region.filter(|region| region.parse::<crate::place::Region>().is_ok())
    }
}

/// An error of AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status that it came with.
    pub status: u16,
    /// The error code, for example `AccessDenied`.
    pub code: String,
    /// Its text speaks of an expired or future signature.
    pub about_time: bool,
    /// Its text speaks of a KMS key.
    pub about_kms: bool,
    /// Which policy refused, where AWS says so.
    pub blame: Option<Blame>,
    /// The bucket's region, where the answer names it.
    pub region: Option<String>,
}

/// Which policy refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blame {
    /// The kind of policy.
    pub policy: Policy,
    /// Whether a statement denies; otherwise none allows.
    pub explicit: bool,
}

/// A kind of policy, as AWS's answers name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Of the user or the role.
    Identity,
    /// Of the bucket, the key, or the role's trust.
    Resource,
    /// The boundary of the user or the role.
    PermissionsBoundary,
    /// Of the organization, on accounts.
    ServiceControl,
    /// Of the organization, on resources.
    ResourceControl,
    /// Of the VPC endpoint.
    VpcEndpoint,
    /// Passed with the session.
    Session,
}

/// The words by which AWS's answers name a policy, the longer ones first.
const POLICIES: [(&str, Policy); 8] = [
    ("identity-based policy", Policy::Identity),
    ("resource-based policy", Policy::Resource),
    ("role trust policy", Policy::Resource),
    ("permissions boundary", Policy::PermissionsBoundary),
    ("service control policy", Policy::ServiceControl),
    ("resource control policy", Policy::ResourceControl),
    ("VPC endpoint policy", Policy::VpcEndpoint),
    ("session policy", Policy::Session),
];

impl Refused {
    /// Reads an error's code and text.
    pub fn read(code: &str, text: &str, region: Option<String>) -> Self {
        Self {
            status: 0,
            code: code.into(),
            about_time: text.contains("Signature expired") || text.contains("Signature not yet current"),
            about_kms: code.starts_with("KMS.") || text.contains("kms:"),
            blame: blame(text),
            region,
        }
    }
}

/// "because no identity-based policy allows …", "with an explicit deny in a service control policy".
fn blame(text: &str) -> Option<Blame> {
    let after = |phrase: &str| text.split_once(phrase).map(|(_, rest)| rest);
    let (rest, explicit) = match (after("with an explicit deny in "), after("because no ")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return None,
    };
    let rest = rest.trim_start_matches("a ").trim_start_matches("an ").trim_start_matches("the ");
    let policy = POLICIES.iter().find(|(words, _)| rest.starts_with(words)).map(|(_, policy)| *policy)?;
    Some(Blame { policy, explicit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_that_refused_is_read_from_awss_own_phrases() {
        let of = |text: &str| blame(text).map(|blame| (blame.policy, blame.explicit));
        let who = "User: arn:aws:iam::123456789012:user/quay is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::210987654321:role/quay";
        for (phrase, expected) in [
            ("because no identity-based policy allows the sts:AssumeRole action", Some((Policy::Identity, false))),
            ("because no resource-based policy allows the sts:AssumeRole action", Some((Policy::Resource, false))),
            ("with an explicit deny in a service control policy", Some((Policy::ServiceControl, true))),
            ("with an explicit deny in a resource control policy", Some((Policy::ResourceControl, true))),
            ("with an explicit deny in a permissions boundary", Some((Policy::PermissionsBoundary, true))),
            (
                "because no permissions boundary allows the s3:PutObject action",
                Some((Policy::PermissionsBoundary, false)),
            ),
            ("with an explicit deny in a VPC endpoint policy", Some((Policy::VpcEndpoint, true))),
            ("because no VPC endpoint policy allows the s3:PutObject action", Some((Policy::VpcEndpoint, false))),
            (
                "with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/x",
                Some((Policy::Identity, true)),
            ),
            ("with an explicit deny in the resource-based policy", Some((Policy::Resource, true))),
            ("because no session policy allows the s3:GetObject action", Some((Policy::Session, false))),
            ("", None),
            ("because no reason was given", None),
        ] {
            assert_eq!(of(&format!("{who} {phrase}")), expected, "{phrase}");
        }
    }
}
