//! What a second parser, one of the family of `PyYAML` and yaml.v3, reads: as bytes that are the same where the
//! readings are. They are made while it reads, so that nothing has to be read again to compare two documents.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use secrecy::{ExposeSecret, SecretSlice};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::refusal::{Problem, Refusal};
use super::tree::{FEW_KEYS, Kind, Node, Style};
use super::{OURS, STORAGE};

/// Each value begins with one of these. A text ends with a byte that occurs in no UTF-8; a collection with [`END`].
const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const POSITIVE: u8 = 3;
const NEGATIVE: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const TAGGED: u8 = 7;
const LIST: u8 = 8;
const MAP: u8 = 9;
const END: u8 = 10;
const TEXT_END: u8 = 0xff;

/// A reading of a whole document. It holds the registry's secrets: it is wiped when dropped and cannot be printed.
pub(super) struct Reading {
    bytes: SecretSlice<u8>,
    /// Where the pairs of the top level are.
    pairs: Vec<Range<usize>>,
    /// Where the locations are.
    locations: Vec<Range<usize>>,
}

impl Reading {
    /// Reads a document. It must have the tree's keys at the top level, and at ours all that the tree has.
    pub(super) fn of(body: &str, root: &Node) -> Result<Self, Refusal> {
        let (reading, disagreement) = read(body, root)?;
        match disagreement {
            None => Ok(reading),
            Some(at) => Err(match root.pairs().get(at) {
                Some(pair) if reading.pairs.len() == root.pairs().len() => pair.key.refuse(Problem::CannotVerify),
                _ => Refusal::whole(Problem::CannotVerify),
            }),
        }
    }

    /// The pairs of the top level, in order.
    pub(super) fn pairs(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.parts(&self.pairs)
    }

    /// The locations, in order.
    pub(super) fn locations(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.parts(&self.locations)
    }

    fn parts<'a>(&'a self, ranges: &'a [Range<usize>]) -> impl ExactSizeIterator<Item = &'a [u8]> {
        ranges.iter().map(|range| self.bytes.expose_secret().get(range.clone()).unwrap_or_default())
    }
}

fn read(body: &str, root: &Node) -> Result<(Reading, Option<usize>), Refusal> {
    // Wiped if it is not outgrown: what grows leaves its old bytes behind.
    let mut out = Out { bytes: Vec::with_capacity(2 * body.len() + 64), ..Out::default() };
    let seed = Seed { out: &mut out, node: Some(root), place: Place::Root };
    let outcome = seed.deserialize(serde_yaml::Deserializer::from_str(body));
    let Out { bytes, pairs, locations, disagreement, .. } = out;
    let reading = Reading { bytes: SecretSlice::from(bytes), pairs, locations };
    match outcome {
        Ok(true) => Ok((reading, disagreement)),
        Ok(false) => Err(Refusal::whole(Problem::CannotVerify)),
        Err(error) => Err(match error.location() {
            Some(place) => Refusal::at(place.line(), place.column(), Problem::Invalid).within(body),
            None => Refusal::whole(Problem::Invalid),
        }),
    }
}

#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    pairs: Vec<Range<usize>>,
    locations: Vec<Range<usize>>,
    /// The keys of the mappings that are being read.
    keys: Vec<Range<usize>>,
    /// The pair of the top level at which tree and reading first disagree.
    disagreement: Option<usize>,
}

impl Out {
    fn text(&mut self, kind: u8, text: &str) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(TEXT_END);
    }

    fn number(&mut self, kind: u8, bytes: [u8; 8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&bytes);
    }

    fn disagree(&mut self) {
        self.disagreement.get_or_insert(self.pairs.len());
    }

    /// Takes the keys from `first` on off the list; whether one of them was there twice.
    fn has_twice(&mut self, first: usize) -> bool {
        let key = |range: &Range<usize>| self.bytes.get(range.clone());
        let keys = self.keys.get(first..).unwrap_or_default();
        let twice = if keys.len() <= FEW_KEYS {
            keys.iter().enumerate().any(|(i, range)| keys.iter().take(i).any(|other| key(other) == key(range)))
        } else {
            let mut seen = HashSet::with_capacity(keys.len());
            keys.iter().any(|range| !seen.insert(key(range)))
        };
        self.keys.truncate(first);
        twice
    }
}

#[derive(Clone, Copy)]
enum Place {
    Root,
    Storage,
    Elsewhere,
}

/// Reads one value. `node` is what the tree has there, where the two are compared. The answer is whether it is a
/// mapping.
struct Seed<'a, 't> {
    out: &'a mut Out,
    node: Option<&'t Node>,
    place: Place,
}

impl<'a, 't> Seed<'a, 't> {
    fn of(out: &'a mut Out, node: Option<&'t Node>, place: Place) -> Self {
        // A tag and an alias have no value in the tree.
        let node = node.filter(|node| !node.tagged && !matches!(node.kind, Kind::Alias));
        Self { out, node, place }
    }

    fn plain(&mut self) {
        if self.node.is_some_and(|node| !matches!(node.kind, Kind::Scalar { style: Style::Plain, .. })) {
            self.out.disagree();
        }
    }

    /// What of the tree a pair of the mapping is compared with, and where its value stands.
    fn pair(&self, at: usize) -> (Option<&'t Node>, Option<&'t Node>, Place) {
        let Some(pair) = self.node.and_then(|node| node.pairs().get(at)) else { return (None, None, Place::Elsewhere) };
        match self.place {
            Place::Root => match pair.key.text() {
                Some(STORAGE) => (Some(&pair.key), Some(&pair.value), Place::Storage),
                Some(key) if OURS.contains(&key) => (Some(&pair.key), Some(&pair.value), Place::Elsewhere),
                _ => (Some(&pair.key), None, Place::Elsewhere),
            },
            Place::Storage | Place::Elsewhere => (Some(&pair.key), Some(&pair.value), Place::Elsewhere),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E: Error>(mut self) -> Result<bool, E> {
        self.plain();
        self.out.bytes.push(NULL);
        Ok(false)
    }

    fn visit_none<E: Error>(self) -> Result<bool, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<bool, E> {
        self.plain();
        self.out.bytes.push(if value { TRUE } else { FALSE });
        Ok(false)
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<bool, E> {
        self.plain();
        let kind = if value < 0 { NEGATIVE } else { POSITIVE };
        self.out.number(kind, value.to_be_bytes());
        Ok(false)
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<bool, E> {
        self.plain();
        self.out.number(POSITIVE, value.to_be_bytes());
        Ok(false)
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<bool, E> {
        self.plain();
        // As numbers are compared: there is one zero, and whatever is not a number is the same.
        let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
        self.out.number(FLOAT, value.to_bits().to_be_bytes());
        Ok(false)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        if self.node.is_some_and(|node| node.text() != Some(text)) {
            self.out.disagree();
        }
        self.out.text(TEXT, text);
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let items = self.node.map(|node| match &node.kind {
            Kind::List { items, .. } => Some(items.as_slice()),
            _ => None,
        });
        self.out.bytes.push(LIST);
        let mut length = 0;
        loop {
            let node = items.flatten().and_then(|items| items.get(length));
            if list.next_element_seed(Seed::of(self.out, node, Place::Elsewhere))?.is_none() {
                break;
            }
            length += 1;
        }
        self.out.bytes.push(END);
        if items.is_some_and(|items| items.is_none_or(|items| items.len() != length)) {
            self.out.disagree();
        }
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        self.out.bytes.push(MAP);
        let first_key = self.out.keys.len();
        let mut length = 0;
        loop {
            let (key, value, place) = self.pair(length);
            let start = self.out.bytes.len();
            if map.next_key_seed(Seed::of(self.out, key, Place::Elsewhere))?.is_none() {
                break;
            }
            let key = start..self.out.bytes.len();
            self.out.keys.push(key);
            map.next_value_seed(Seed::of(self.out, value, place))?;
            let pair = start..self.out.bytes.len();
            match self.place {
                Place::Root => self.out.pairs.push(pair),
                Place::Storage => self.out.locations.push(pair),
                Place::Elsewhere => {}
            }
            length += 1;
        }
        self.out.bytes.push(END);
        if self.out.has_twice(first_key) {
            return Err(A::Error::custom("the same key twice"));
        }
        let same = |node: &Node| matches!(&node.kind, Kind::Map { pairs, .. } if pairs.len() == length);
        if self.node.is_some_and(|node| !same(node)) {
            self.out.disagree();
        }
        Ok(true)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<bool, A::Error> {
        if self.node.is_some() {
            self.out.disagree();
        }
        let (tag, contents) = data.variant::<String>()?;
        if tag.is_empty() {
            return Err(A::Error::custom("an empty tag"));
        }
        self.out.text(TAGGED, &tag);
        contents.newtype_variant_seed(Seed::of(self.out, None, Place::Elsewhere))?;
        Ok(false)
    }
}
