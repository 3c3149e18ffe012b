//! A version of Quay, and what Quay can do since when.

use std::fmt;
use std::str::FromStr;

/// A version of Quay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuayVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

/// That a text is no version of Quay: a build of somebody's own, for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVersion;

impl FromStr for QuayVersion {
    type Err = NoVersion;

    /// `3.15.1`, also as `v3.15.1`, and with what a build appends.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut pieces = numbers.split('.').map(|piece| piece.parse().map_err(|_| NoVersion));
        let mut next = || pieces.next().unwrap_or(Err(NoVersion));
        Ok(Self { major: next()?, minor: next()?, patch: next()? })
    }
}

impl fmt::Display for QuayVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl QuayVersion {
    const fn of(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Whether an entry without a role makes Quay's driver use what the pod has: before, it assumes no role at all, and
    /// every process of the pod dies of it. It came into three lines of releases.
    pub fn knows_web_identity(self) -> bool {
        match (self.major, self.minor) {
            (3, 13) => self >= Self::of(3, 13, 5),
            (3, 14) => self >= Self::of(3, 14, 1),
            _ => self >= Self::of(3, 15, 0),
        }
    }

    /// Whether Quay's driver takes `signature_version`: before, any key that it does not know kills it.
    pub fn knows_signature_version(self) -> bool {
        self >= Self::of(3, 12, 1)
    }

    /// Whether config-tool sends `AssumeRole` to `endpoint_url` when a pod starts.
    pub fn asks_endpoint_url_for_roles(self) -> bool {
        self >= Self::of(3, 17, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> QuayVersion {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_quay_operator_reports_is_read_and_anything_else_is_no_version() {
        for (text, told) in
            [("3.15.1", "3.15.1"), (" v3.9.0\n", "3.9.0"), ("3.15.0-rc.2", "3.15.0"), ("3.14.1+abc", "3.14.1")]
        {
            assert_eq!(version(text).to_string(), told);
        }
        for text in ["", "dev", "3", "3.15", "3.x.1", "3.15.-1", "quay"] {
            assert_eq!(text.parse::<QuayVersion>(), Err(NoVersion), "{text}");
        }
        assert!(version("3.9.10") > version("3.9.9") && version("3.10.0") > version("3.9.10"));
    }

    #[test]
    fn each_ability_begins_with_the_release_that_brought_it() {
        let yes_and_no = |able: fn(QuayVersion) -> bool, yes: &[&str], no: &[&str]| {
            for (text, expected) in yes.iter().map(|text| (text, true)).chain(no.iter().map(|text| (text, false))) {
                assert_eq!(able(version(text)), expected, "{text}");
            }
        };
        yes_and_no(
            QuayVersion::knows_web_identity,
            &["3.13.5", "3.13.11", "3.14.1", "3.15.0", "3.17.2", "4.0.0"],
            &["3.11.9", "3.12.7", "3.13.4", "3.14.0"],
        );
        yes_and_no(QuayVersion::knows_signature_version, &["3.12.1", "3.13.0"], &["3.11.0", "3.11.14", "3.12.0"]);
        yes_and_no(QuayVersion::asks_endpoint_url_for_roles, &["3.17.0", "3.18.1"], &["3.16.9", "3.12.1"]);
    }
}
