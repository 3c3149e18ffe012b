//! A document as a tree that knows where each node stands, as byte offsets into the text.

use std::collections::HashSet;

use secrecy::{ExposeSecret, SecretString};

use super::refusal::{Problem, Refusal};
use super::screen::{plain_is_null, plain_is_string};

/// Up to so many keys are compared one with another.
pub(super) const FEW_KEYS: usize = 16;

/// How a scalar is spelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    /// `|` or `>`.
    Block,
}

pub(super) enum Kind {
    Scalar { text: SecretString, style: Style },
    Alias,
    List { items: Vec<Node>, flow: bool },
    Map { pairs: Vec<Pair>, flow: bool },
}

pub(super) struct Pair {
    pub(super) key: Node,
    pub(super) value: Node,
}

pub(super) struct Node {
    /// Where the node begins. Of a block list this lies after the first dash; of a text block, in its content.
    pub(super) start: usize,
    /// Where it ends, without what is only white space or a comment.
    pub(super) end: usize,
    /// Counted from 1.
    pub(super) line: usize,
    /// Characters before it on its line.
    pub(super) column: usize,
    pub(super) anchored: bool,
    pub(super) tagged: bool,
    pub(super) kind: Kind,
    /// How many nodes it is with aliases unfolded.
    pub(super) weight: usize,
}

impl Node {
    pub(super) fn refuse(&self, problem: Problem) -> Refusal {
        Refusal::at(self.line, self.column + 1, problem)
    }

    /// The text of a scalar, whatever its style.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text.expose_secret()),
            _ => None,
        }
    }

    /// The text of a scalar that all three readers take for the same string.
    pub(super) fn string(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { style: Style::Plain, .. } => self.text().filter(|text| plain_is_string(text)),
            _ => self.text(),
        }
        .filter(|_| !self.anchored && !self.tagged)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, style: Style::Plain } if plain_is_null(text.expose_secret()))
    }

    pub(super) fn pairs(&self) -> &[Pair] {
        match &self.kind {
            Kind::Map { pairs, .. } => pairs,
            _ => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Pair> {
        self.pairs().iter().find(|pair| pair.key.text() == Some(key))
    }

    pub(super) fn is_flow(&self) -> bool {
        matches!(self.kind, Kind::List { flow: true, .. } | Kind::Map { flow: true, .. })
    }

    /// Refuses what the readers do not resolve alike, on this very node.
    pub(super) fn guard(&self) -> Result<(), Refusal> {
        match self {
            Self { kind: Kind::Alias, .. } => Err(self.refuse(Problem::Alias)),
            Self { anchored: true, .. } => Err(self.refuse(Problem::Anchor)),
            Self { tagged: true, .. } => Err(self.refuse(Problem::Tag)),
            Self { kind: Kind::Map { pairs, .. }, .. } => {
                match pairs.iter().find(|pair| pair.key.text() == Some("<<")) {
                    Some(merge) => Err(merge.key.refuse(Problem::MergeKey)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The same for everything in it.
    pub(super) fn guard_all(&self) -> Result<(), Refusal> {
        self.guard()?;
        match &self.kind {
            Kind::List { items, .. } => items.iter().try_for_each(Self::guard_all),
            Kind::Map { pairs, .. } => pairs.iter().try_for_each(|pair| {
                pair.key.guard_all()?;
                pair.value.guard_all()
            }),
            Kind::Scalar { .. } | Kind::Alias => Ok(()),
        }
    }

    /// Refuses keys that the readers do not take alike. A key twice in one mapping, quoted or not, is an error for
    /// config-tool and a coin toss for the others; a collection as a key is an error for Quay, and null for the Quay
    /// operator.
    pub(super) fn guard_keys(&self) -> Result<(), Refusal> {
        let is_odd = |key: &Self| key.is_null() || matches!(key.kind, Kind::List { .. } | Kind::Map { .. });
        if let Some(odd) = self.pairs().iter().find(|pair| is_odd(&pair.key)) {
            return Err(odd.key.refuse(Problem::OddNotation));
        }
        let again = if self.pairs().len() <= FEW_KEYS {
            let is_before = |i: usize, key| self.pairs().iter().take(i).any(|pair| pair.key.text() == Some(key));
            self.pairs().iter().enumerate().position(|(i, pair)| pair.key.text().is_some_and(|key| is_before(i, key)))
        } else {
            let mut seen = HashSet::with_capacity(self.pairs().len());
            self.pairs().iter().position(|pair| pair.key.text().is_some_and(|key| !seen.insert(key)))
        };
        match again.and_then(|at| self.pairs().get(at)) {
            Some(Pair { key, .. }) => {
                let ours = key.text().filter(|key| super::is_our_key(key)).map(str::to_owned);
                Err(key.refuse(Problem::DuplicateKey(ours)))
            }
            None => Ok(()),
        }
    }

    /// Whether two nodes read the same and are spelled the same, wherever they stand.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.anchored == other.anchored
            && self.tagged == other.tagged
            && match (&self.kind, &other.kind) {
                (Kind::Scalar { style, .. }, Kind::Scalar { style: other_style, .. }) => {
                    style == other_style && self.text() == other.text()
                }
                (Kind::Alias, Kind::Alias) => true,
                (Kind::List { items, .. }, Kind::List { items: others, .. }) => {
                    items.len() == others.len() && items.iter().zip(others).all(|(a, b)| a.same(b))
                }
                (Kind::Map { pairs, .. }, Kind::Map { pairs: others, .. }) => {
                    pairs.len() == others.len()
                        && pairs.iter().zip(others).all(|(a, b)| a.key.same(&b.key) && a.value.same(&b.value))
                }
                _ => false,
            }
    }
}
