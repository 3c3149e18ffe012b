//! What a bundle does not say, and a person has to fill in. While all is worked out a stand-in is in its place that the
//! grammar takes; where it is printed stands a placeholder that the API server refuses.

use crate::arn::Partition;
use crate::policy::location::Told;

/// Stands in for the bucket's region.
pub(super) const REGION: &str = "registry-sts-fill-in-region-1";
/// Stands in for the service account of Quay's pods.
pub(super) const ACCOUNT: &str = "registry-sts-fill-in-account";
/// Stands in for the bundle Secret.
pub(super) const BUNDLE: &str = "registry-sts-fill-in-bundle";
/// Stands in for an access key's id.
pub(super) const KEY_ID: &str = "AKIAREGISTRYSTSFILLIN";
/// Stands in for an AWS account.
const AWS_ACCOUNT: &str = "000000000000";
/// The name of the role that stands in for one.
const ROLE: &str = "registry-sts-fill-in-role";

/// Stands in for a role.
pub(super) fn role(partition: Partition, told: &Told) -> String {
    let account = told.account.as_ref().map_or(AWS_ACCOUNT, |account| account.as_str());
    format!("arn:{}:iam::{account}:role/{ROLE}", partition.as_str())
}

/// A text as it is printed.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(ROLE) {
        let (before, after) = (&rest[..at], &rest[at + ROLE.len()..]);
        let start = before.rfind("arn:").unwrap_or(at);
        out.push_str(&before[..start]);
        out.push_str("<ARN of the role>");
        rest = after;
    }
    out.push_str(rest);
    if text.contains(ROLE) {
        out = out.replace(AWS_ACCOUNT, "<account>");
    }
    out.replace(REGION, "<region of the bucket>")
        .replace(ACCOUNT, "<service account of Quay's pods>")
        .replace(BUNDLE, "<name of the bundle Secret>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_is_printed_as_what_is_to_be_filled_in_and_all_else_as_it_is() {
        let role = role(Partition::China, &Told::default());
        assert!(role.parse::<crate::arn::RoleArn>().is_ok() && REGION.parse::<crate::place::Region>().is_ok());
        let text = format!("a: {role}, b: '{role}', owner: {AWS_ACCOUNT}, {REGION}/{ACCOUNT}/{BUNDLE}");
        assert_eq!(
            shown(&text),
            "a: <ARN of the role>, b: '<ARN of the role>', owner: <account>, <region of the bucket>/<service account of Quay's pods>/<name of the bundle Secret>"
        );
        let other = "arn:aws:iam::000000000000:role/quay in us-east-1";
        assert_eq!(shown(other), other);
    }
}
