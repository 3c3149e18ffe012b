//! What stood in a document before our first write to it, and its serialised form.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::piece::{Piece, Raw};
use super::standing::{self, StandingEntry};
use super::tree::{Kind, Pair};
use super::{Change, ConfigYaml, DEFAULTS, FoundEntry, PREFERENCE, STORAGE};
use crate::place::LocationName;

/// The serialised form that this program writes and reads.
const VERSION: u32 = 1;

/// What stood in a document before our first write to it, as far as that write touches it: what to put back. It holds
/// the registry's old secrets: it is wiped when dropped and cannot be printed.
#[derive(Serialize, Deserialize)]
pub struct Remembered {
    version: u32,
    /// All our locations, which the lists may have got from us.
    pub(super) ours: Vec<String>,
    /// Those of them that stood already.
    pub(super) stood: Vec<String>,
    /// Whether the text ended with a line break.
    pub(super) last_break: bool,
    /// A top level of `{}`, as it was spelled.
    pub(super) empty_root: Option<Raw>,
    pub(super) storage: Before<Storage>,
    pub(super) preference: Before<List>,
    pub(super) defaults: Before<List>,
    /// The entries that the write is about.
    pub(super) locations: BTreeMap<String, Before<Piece>>,
}

/// What stood at a place.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Before<T> {
    Absent,
    Present(T),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Storage {
    /// Null, or braces with nothing in them.
    Empty(Piece),
    /// Locations, ours or not.
    Filled,
}

/// A list of location names.
#[derive(Serialize, Deserialize)]
pub(super) struct List {
    pub(super) piece: Piece,
    pub(super) names: Vec<String>,
    /// A preference that named no location of the document: an edit replaces it as a whole.
    pub(super) unknown: bool,
}

impl Remembered {
    pub(super) fn of(document: &ConfigYaml, change: &Change<'_>) -> Self {
        let (body, root) = (document.body(), &document.root);
        let written: Vec<&str> = change.entries.iter().map(|entry| entry.name.as_str()).collect();
        let mut ours: Vec<String> = change.ours.iter().map(LocationName::to_string).collect();
        ours.extend(written.iter().filter(|name| !change.ours.iter().any(|ours| ours.as_str() == **name)).map(own));
        let known = |name: &str| document.location(name).is_some() || written.contains(&name);
        let list = |key: &str| match root.get(key) {
            None => Before::Absent,
            Some(pair) => {
                let names: Vec<String> = names(pair).into_iter().map(str::to_owned).collect();
                let unknown = key == PREFERENCE && !names.is_empty() && !names.iter().any(|name| known(name));
                Before::Present(List { piece: Piece::of(body, pair, root.is_flow()), names, unknown })
            }
        };
        let (storage, in_braces) = match root.get(STORAGE) {
            None => (Before::Absent, false),
            Some(pair) if pair.value.pairs().is_empty() => {
                (Before::Present(Storage::Empty(Piece::of(body, pair, root.is_flow()))), false)
            }
            Some(pair) => (Before::Present(Storage::Filled), pair.value.is_flow()),
        };
        let location = |name: &str| match document.location(name) {
            None => Before::Absent,
            Some(pair) => Before::Present(Piece::of(body, pair, in_braces)),
        };
        Self {
            version: VERSION,
            stood: ours.iter().filter(|name| document.location(name).is_some()).cloned().collect(),
            ours,
            last_break: body.ends_with('\n'),
            empty_root: root.pairs().is_empty().then(|| Raw::of(body.get(root.start..root.end).unwrap_or_default())),
            storage,
            preference: list(PREFERENCE),
            defaults: list(DEFAULTS),
            locations: written.iter().map(|name| (own(name), location(name))).collect(),
        }
    }

    /// The names of the locations that the write is about.
    pub fn locations(&self) -> impl Iterator<Item = &str> {
        self.locations.keys().map(String::as_str)
    }

    /// What stood at one of them; none where nothing did, or nothing that can be read by itself.
    pub fn standing(&self, location: &str) -> Option<StandingEntry> {
        self.pair(location).map(|pair| standing::entry(&pair))
    }

    /// The same, as far as it tells where its blobs are.
    pub fn found(&self, location: &str) -> Option<FoundEntry> {
        self.pair(location).map(|pair| FoundEntry::of(&pair.value))
    }

    fn pair(&self, location: &str) -> Option<Pair> {
        match self.locations.get(location)? {
            Before::Absent => None,
            Before::Present(piece) => piece.reading().filter(|pair| !pair.value.is_null()),
        }
    }

    /// Whether what stood at one of them stands in a document now, spelled as it was.
    pub fn stands_in(&self, document: &ConfigYaml, location: &str) -> bool {
        match (self.locations.get(location), document.location(location)) {
            (Some(Before::Present(piece)), Some(pair)) => piece.stands_at(document.body(), pair),
            (Some(Before::Absent), None) => true,
            _ => false,
        }
    }

    /// The same without what stood at a location.
    pub fn forget(&mut self, location: &str) {
        self.locations.remove(location);
    }

    /// The serialised form, to be kept where secrets are kept.
    pub fn to_text(&self) -> SecretString {
        // Nothing in it can fail to be serialised; an empty text is one that nobody reads back.
        SecretString::from(serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads the serialised form; `None` for one that this program did not write.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|remembered: &Self| remembered.version == VERSION)
    }
}

fn own(name: &&str) -> String {
    (*name).to_owned()
}

/// The names in a list, whatever else is in it.
pub(super) fn names(pair: &Pair) -> Vec<&str> {
    match &pair.value.kind {
        Kind::List { items, .. } => items.iter().filter_map(|item| item.text()).collect(),
        _ => Vec::new(),
    }
}
