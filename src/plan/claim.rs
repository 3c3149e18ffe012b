//! Who writes a location when several resources name the same one of the same bundle.

/// A resource that wants to write a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant<'a> {
    /// The resource's name.
    pub name: &'a str,
    /// Seconds since the epoch at which it was created.
    pub created: i64,
    /// Whether its status shows the location as written by it into this bundle.
    pub written: bool,
}

/// The claimant whose status shows the location written; among none or several, the oldest, then by name.
pub fn owner<'a>(claimants: impl IntoIterator<Item = Claimant<'a>>) -> Option<&'a str> {
    claimants.into_iter().min_by_key(|c| (!c.written, c.created, c.name)).map(|c| c.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(name: &str, created: i64, written: bool) -> Claimant<'_> {
        Claimant { name, created, written }
    }

    #[test]
    fn who_has_written_keeps_writing_else_the_oldest_else_the_first_by_name() {
        assert_eq!(owner([]), None);
        assert_eq!(owner([claimant("b", 1, false), claimant("a", 2, true)]), Some("a"));
        assert_eq!(owner([claimant("b", 1, false), claimant("a", 2, false)]), Some("b"));
        assert_eq!(owner([claimant("b", 1, false), claimant("a", 1, false)]), Some("a"));
        assert_eq!(owner([claimant("b", 1, true), claimant("a", 2, true)]), Some("b"));
    }
}
