//! What is noted of keys. A key cannot be tagged: its user is, by a tag that is named after the key.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

/// What the tags of keys begin with.
const PREFIX: &str = "registry-sts.dev/key-";
/// The tag that says that a key is about to be made.
pub const INTENT: &str = "registry-sts.dev/making-key";
/// What it says once the key was made and is noted.
pub const MADE: &str = "made";

/// The tag that speaks of a key.
pub fn tag_of(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was made, and nobody has it but the process that made it.
    Pending,
    /// It was put into the Secret.
    Published,
    /// It was deactivated, and activated again because somebody used it.
    StillUsed,
    /// It is about to be deactivated by this operator, which saw nobody use it.
    Retired,
    /// This operator deactivated it.
    Deactivated,
    /// Somebody else deactivated it, and has reasons: it is never activated again.
    Disabled,
    /// Its secret is lost and its place is needed: it is watched for a while, whether anybody uses it.
    Spare,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Pending,
        Self::Published,
        Self::StillUsed,
        Self::Retired,
        Self::Deactivated,
        Self::Disabled,
        Self::Spare,
    ];

    /// As the tag has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Published => "published",
            Self::StillUsed => "still-used",
            Self::Retired => "retired",
            Self::Deactivated => "deactivated",
            Self::Disabled => "disabled",
            Self::Spare => "spare",
        }
    }
}

/// A note of a key: what it is for, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// What for.
    pub phase: Phase,
    /// Since when, by the operator's clock.
    pub since: Timestamp,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.phase.word(), self.since.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl Marker {
    /// Reads a tag's value.
    fn read(text: &str) -> Option<Self> {
        let (word, since) = text.split_once('/')?;
        let phase = Phase::ALL.into_iter().find(|phase| phase.word() == word)?;
        Some(Self { phase, since: since.parse().ok()? })
    }
}

/// That a key is about to be made, and which there are: another one of that time, of which nothing is noted, is the one that
/// was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// When.
    pub since: Timestamp,
    /// The ids of the keys that there were.
    pub before: Vec<String>,
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.since.strftime("%Y-%m-%dT%H:%M:%SZ"))?;
        self.before.iter().try_for_each(|id| write!(f, "/{id}"))
    }
}

/// What the tags of a user say of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// By the key's id.
    pub markers: BTreeMap<String, Marker>,
    /// Of the key that is being made.
    pub intent: Option<Intent>,
}

impl Notes {
    /// Reads a user's tags. A note that cannot be read is none.
    pub fn of(tags: &BTreeMap<String, String>) -> Self {
        let marker =
            |(key, value): (&String, &String)| Some((key.strip_prefix(PREFIX)?.to_owned(), Marker::read(value)?));
        let intent = tags.get(INTENT).and_then(|value| {
            let mut parts = value.split('/');
            let since = parts.next()?.parse().ok()?;
            Some(Intent { since, before: parts.map(str::to_owned).collect() })
        });
        Self { markers: tags.iter().filter_map(marker).collect(), intent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again() {
        let since: Timestamp = "2026-11-23T20:00:00Z".parse().unwrap();
        let mut tags =
            BTreeMap::from([(INTENT.to_owned(), Intent { since, before: vec!["AKIA1".into()] }.to_string())]);
        for (id, phase) in ["A", "B", "C", "D", "F", "G", "H"].into_iter().zip(Phase::ALL) {
            tags.insert(tag_of(id), Marker { phase, since }.to_string());
        }
        tags.insert(tag_of("E"), "whatever".into());
        tags.insert("team".into(), "quay".into());
        let notes = Notes::of(&tags);
        assert_eq!(notes.intent.unwrap().before, ["AKIA1"]);
        assert_eq!(notes.markers.len(), 7);
        assert_eq!(notes.markers["B"], Marker { phase: Phase::Published, since });
        let none = Intent { since, before: Vec::new() };
        assert_eq!(Notes::of(&BTreeMap::from([(INTENT.to_owned(), none.to_string())])).intent, Some(none));
        assert_eq!(Notes::of(&BTreeMap::from([(INTENT.to_owned(), MADE.to_owned())])).intent, None);
        assert_eq!(Notes::of(&BTreeMap::new()), Notes::default());
    }
}
