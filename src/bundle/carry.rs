//! An entry that stands in one document, put into another: what a registry reads is kept while the document that it is
//! derived from goes on.

use super::excerpt::Rewritten;
use super::layout::Layout;
use super::refusal::Refusal;
use super::screen::quoted;
use super::storage::StorageEntry;
use super::tree::{Kind, Node, Pair, Style};
use super::verify::nothing_else_changed;
use super::{ConfigYaml, Draft, Edit, locations};

/// An entry as it stands in a document. It holds secrets, and cannot be printed.
pub struct CarriedEntry<'a> {
    pair: &'a Pair,
    /// What the second parser reads there.
    read: &'a [u8],
}

/// An entry to put into a document.
#[derive(Clone, Copy)]
pub(super) enum Entry<'a> {
    /// One that is meant.
    Meant(&'a StorageEntry),
    /// One that stands elsewhere.
    Standing(&'a Pair),
}

impl ConfigYaml {
    /// What stands at a location's name, to be carried into another document; nothing where nothing stands.
    ///
    /// # Errors
    /// A notation that does not mean the same elsewhere: an alias, an anchor, a tag.
    pub fn carried(&self, name: &str) -> Result<Option<CarriedEntry<'_>>, Refusal> {
        let found = self.locations_as_read().find(|(pair, _)| pair.key.text() == Some(name) && !pair.value.is_null());
        let Some((pair, read)) = found else { return Ok(None) };
        pair.key.guard_all()?;
        pair.value.guard_all()?;
        Ok(Some(CarriedEntry { pair, read }))
    }

    /// Whether anything stands at a location's name.
    pub fn has_location(&self, name: &str) -> bool {
        self.location(name).is_some_and(|pair| !pair.value.is_null())
    }

    /// The text with an entry of another document at its name, every other byte as it was.
    ///
    /// # Errors
    /// That it cannot be put there with certainty.
    pub fn carry(&self, entry: &CarriedEntry<'_>) -> Result<Edit, Refusal> {
        let name = entry.pair.key.text().unwrap_or_default();
        if self.has(entry) {
            return Ok(Edit::Unchanged);
        }
        let mut draft = Draft::of(self);
        locations::splice(&mut draft, &[Entry::Standing(entry.pair)])?;
        draft.add_top_level()?;
        self.finish(draft.splices, |new: &Rewritten| {
            new.document.has(entry) && nothing_else_changed(self, new, |_| false, |other| other == name)
        })
    }

    fn has(&self, entry: &CarriedEntry<'_>) -> bool {
        let mut locations = self.locations_as_read();
        let found = locations.find(|(pair, _)| pair.key.text() == entry.pair.key.text());
        found.is_some_and(|(pair, read)| read == entry.read && is_alike(&pair.value, &entry.pair.value))
    }
}

impl Entry<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Meant(entry) => entry.name.as_str(),
            Self::Standing(pair) => pair.key.text().unwrap_or_default(),
        }
    }

    /// Whether it is what stands there already.
    pub(super) fn is_read_at(&self, pair: &Pair) -> bool {
        match self {
            Self::Meant(entry) => entry.is_read_at(pair),
            Self::Standing(standing) => is_alike(&standing.value, &pair.value),
        }
    }

    /// The lines of its value in block style, each without the indentation of the dashes.
    pub(super) fn block_entry(&self, layout: &Layout) -> Vec<String> {
        match self {
            Self::Meant(entry) => layout.block_entry(entry),
            Self::Standing(pair) => block_list(layout, &pair.value),
        }
    }

    /// Its lines in block style, its key without indentation.
    pub(super) fn block_location(&self, layout: &Layout) -> Vec<String> {
        let mut lines = vec![format!("{}:", quoted(self.name()))];
        lines.extend(self.block_entry(layout).iter().map(|line| format!("{}{line}", " ".repeat(layout.dash))));
        lines
    }

    /// Its value in brackets. `base` is the indentation of the line where it begins, if it shall take more lines than
    /// one.
    pub(super) fn flow_entry(&self, layout: &Layout, base: Option<usize>) -> String {
        match self {
            Self::Meant(entry) => layout.flow_entry(entry, base),
            Self::Standing(pair) => in_flow(&pair.value),
        }
    }

    /// It in braces, without the braces.
    pub(super) fn flow_location(&self, layout: &Layout, base: Option<usize>) -> String {
        format!("{}: {}", quoted(self.name()), self.flow_entry(layout, base))
    }
}

/// The lines of a driver and its arguments; what is deeper is in brackets and braces.
fn block_list(layout: &Layout, value: &Node) -> Vec<String> {
    let Kind::List { items, .. } = &value.kind else { return vec![in_flow(value)] };
    if items.is_empty() {
        return vec![in_flow(value)];
    }
    let mut lines = Vec::new();
    for item in items {
        let dash = format!("-{}", " ".repeat(layout.gap - 1));
        if item.pairs().is_empty() {
            lines.push(format!("{dash}{}", in_flow(item)));
        }
        for (i, pair) in item.pairs().iter().enumerate() {
            let before = if i == 0 { dash.clone() } else { " ".repeat(layout.gap) };
            let line = format!("{before}{}: {}", in_flow(&pair.key), in_flow(&pair.value));
            lines.push(line.trim_end().to_owned());
        }
    }
    lines
}

/// A node on one line.
fn in_flow(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { style: Style::Plain, .. } => node.text().unwrap_or_default().to_owned(),
        Kind::Scalar { .. } => quoted(node.text().unwrap_or_default()),
        Kind::List { items, .. } => format!("[{}]", items.iter().map(in_flow).collect::<Vec<_>>().join(", ")),
        Kind::Map { pairs, .. } => {
            let pair = |pair: &Pair| format!("{}: {}", in_flow(&pair.key), in_flow(&pair.value));
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        // It is refused before.
        Kind::Alias => String::new(),
    }
}

/// Whether two nodes read the same: quotes and text blocks are as good as each other.
fn is_alike(one: &Node, other: &Node) -> bool {
    let plain = |style: &Style| *style == Style::Plain;
    let pairs = |a: &Pair, b: &Pair| is_alike(&a.key, &b.key) && is_alike(&a.value, &b.value);
    !(one.anchored || other.anchored || one.tagged || other.tagged)
        && match (&one.kind, &other.kind) {
            (Kind::Scalar { style, .. }, Kind::Scalar { style: other_style, .. }) => {
                plain(style) == plain(other_style) && one.text() == other.text()
            }
            (Kind::List { items, .. }, Kind::List { items: others, .. }) => {
                items.len() == others.len() && items.iter().zip(others).all(|(a, b)| is_alike(a, b))
            }
            (Kind::Map { pairs: all, .. }, Kind::Map { pairs: others, .. }) => {
                all.len() == others.len() && all.iter().zip(others).all(|(a, b)| pairs(a, b))
            }
            _ => false,
        }
}
