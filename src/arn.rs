//! The ARN of an IAM role, parsed once at the border.

use std::fmt;
use std::str::FromStr;

/// A separate group of AWS regions with its own IAM and its own STS hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Partition {
    /// Commercial AWS (`aws`).
    Aws,
    /// China (`aws-cn`).
    China,
    /// GovCloud (`aws-us-gov`).
    GovCloud,
}

impl Partition {
    /// The partition as an ARN spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// The partition that a region belongs to, by the region's name; none for one of those that are not listed here
    /// (isolated regions, the European Sovereign Cloud).
    pub fn of_region(region: &str) -> Option<Self> {
        if region.starts_with("cn-") {
            Some(Self::China)
        } else if region.starts_with("us-gov-") {
            Some(Self::GovCloud)
        } else if region.contains("-iso") || region.starts_with("eusc-") {
            None
        } else {
            Some(Self::Aws)
        }
    }
}

/// `arn:<partition>:iam::<12-digit account>:role/<path><name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleArn {
    text: String,
    partition: Partition,
}

impl RoleArn {
    /// The ARN as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition whose STS can assume this role.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The account that the role is of: twelve digits.
    pub fn account(&self) -> &str {
        self.text.split(':').nth(4).unwrap_or_default()
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no role ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleArnError {
    /// It does not have the six colon-separated parts of an ARN.
    #[error("is not an ARN: expected arn:aws:iam::<12-digit account>:role/<name>")]
    NotAnArn,
    /// The partition is none that we can prove a role in.
    #[error("is in partition {0:?}: expected aws, aws-cn or aws-us-gov")]
    Partition(String),
    /// An ARN of something other than IAM.
    #[error("is an ARN of service {0:?}: expected an IAM role, arn:aws:iam::<account>:role/<name>")]
    NotIam(String),
    /// IAM ARNs have no region.
    #[error("names the region {0:?}: an IAM ARN has none, leave it empty (arn:aws:iam::<account>:…)")]
    Region(String),
    /// The account is not twelve digits.
    #[error("has the account {0:?}: expected 12 digits")]
    Account(String),
    /// An IAM ARN of a user, group, policy, instance profile …
    #[error("is the ARN of {0:?}: expected a role, role/<name>")]
    NotARole(String),
    /// The role's path or name has characters that IAM does not allow, or is empty or too long.
    #[error("has the role name {0:?}: expected 1 to 64 of A-Z a-z 0-9 + = , . @ _ -, with an optional path")]
    Name(String),
}

impl FromStr for RoleArn {
    type Err = RoleArnError;

    fn from_str(text: &str) -> Result<Self, RoleArnError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", partition, service, region, account, resource] = parts.as_slice() else {
            return Err(RoleArnError::NotAnArn);
        };
        let partition = match partition {
            "aws" => Partition::Aws,
            "aws-cn" => Partition::China,
            "aws-us-gov" => Partition::GovCloud,
            other => return Err(RoleArnError::Partition(other.into())),
        };
        if service != "iam" {
            return Err(RoleArnError::NotIam(service.into()));
        }
        if !region.is_empty() {
            return Err(RoleArnError::Region(region.into()));
        }
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RoleArnError::Account(account.into()));
        }
        let Some(path_and_name) = resource.strip_prefix("role/") else {
            let kind = resource.split('/').next().unwrap_or_default();
            return Err(RoleArnError::NotARole(kind.into()));
        };
        let (path, name) = path_and_name.rsplit_once('/').unwrap_or(("", path_and_name));
        let name_fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
        // IAM paths are 1 to 512 of the printable ASCII characters, slashes at both ends included.
        let path_fits = path.len() <= 510 && path.bytes().all(|b| b.is_ascii_graphic());
        if !name_fits || !path_fits {
            return Err(RoleArnError::Name(path_and_name.into()));
        }
        Ok(Self { text: text.into(), partition })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_arn_keeps_its_text_and_tells_its_partition() {
        for (text, partition) in [
            ("arn:aws:iam::123492922789:role/example-role", Partition::Aws),
            ("arn:aws-cn:iam::123492922789:role/a", Partition::China),
            ("arn:aws-us-gov:iam::123492922789:role/team/quay/s3", Partition::GovCloud),
        ] {
            let arn: RoleArn = text.parse().unwrap();
            assert_eq!(arn.to_string(), text);
            assert_eq!(arn.partition(), partition);
        }
    }

    #[test]
    fn what_is_no_role_arn_is_refused_with_what_was_found() {
        for (text, says) in [
            ("example-role", "is not an ARN"),
            ("arn:aws:iam::123492922789", "is not an ARN"),
            ("arn:aws-iso:iam::123492922789:role/a", "\"aws-iso\""),
            ("arn:aws:sts::123492922789:assumed-role/a/quay", "\"sts\""),
            ("arn:aws:iam:us-east-1:123492922789:role/a", "\"us-east-1\""),
            ("arn:aws:iam::1234:role/a", "\"1234\""),
            ("arn:aws:iam::123492922789:user/quay-user", "\"user\""),
            ("arn:aws:iam::123492922789:role/", "has the role name \"\""),
            ("arn:aws:iam::123492922789:role/a b", "\"a b\""),
            ("arn:aws:iam::123492922789:role/a\n", "\"a\\n\""),
        ] {
            let refused = text.parse::<RoleArn>().unwrap_err().to_string();
            assert!(refused.contains(says), "{text:?}: {refused}");
        }
    }
}
