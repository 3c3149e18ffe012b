//! Proof after the fact: what was edited reads as the intent, and everything else as it did.

use super::lists::Expected;
use super::tree::{Kind, Pair};
use super::{Change, ConfigYaml, STORAGE};

/// Whether the new document says what was wanted, and in all else what the old one said.
pub(super) fn is_the_intent(old: &ConfigYaml, new: &ConfigYaml, change: &Change<'_>, expected: &[Expected]) -> bool {
    let is_expected = |key: &str| expected.iter().any(|list| list.key == key);
    let is_written = |name: &str| change.entries.iter().any(|entry| entry.name.as_str() == name);
    let entries_are_current = change.entries.iter().all(|entry| new.is_current(entry));
    let lists_are_as_expected = expected.iter().all(|list| reads_as(new, list));
    entries_are_current && lists_are_as_expected && nothing_else_changed(old, new, is_expected, is_written)
}

/// Whether two documents read the same but for some keys and some locations.
pub(super) fn nothing_else_changed(
    old: &ConfigYaml,
    new: &ConfigYaml,
    is_expected: impl Fn(&str) -> bool,
    is_written: impl Fn(&str) -> bool,
) -> bool {
    let other_keys = |pair: &&Pair| pair.key.text().is_none_or(|key| key != STORAGE && !is_expected(key));
    let other_locations = |pair: &&Pair| pair.key.text().is_none_or(|name| !is_written(name));
    same_pairs(old.root.pairs(), new.root.pairs(), other_keys)
        && same_pairs(old.locations(), new.locations(), other_locations)
        && others(old.root.pairs(), old.reading.pairs(), other_keys).eq(others(
            new.root.pairs(),
            new.reading.pairs(),
            other_keys,
        ))
        && others(old.locations(), old.reading.locations(), other_locations).eq(others(
            new.locations(),
            new.reading.locations(),
            other_locations,
        ))
}

fn same_pairs(old: &[Pair], new: &[Pair], compared: impl Fn(&&Pair) -> bool) -> bool {
    let (mut old, mut new) = (old.iter().filter(&compared), new.iter().filter(&compared));
    loop {
        match (old.next(), new.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.key.same(&b.key) && a.value.same(&b.value) => {}
            _ => return false,
        }
    }
}

pub(super) fn reads_as(document: &ConfigYaml, list: &Expected) -> bool {
    let found = document.root.get(list.key).map(|pair| &pair.value.kind);
    let Some(Kind::List { items, .. }) = found else { return false };
    items.len() == list.names.len() && items.iter().zip(&list.names).all(|(item, name)| item.text() == Some(name))
}

/// The second parser's reading of what is compared, told by the keys' text, because a number's spelling is lost in it.
fn others<'a>(
    pairs: &'a [Pair],
    reading: impl Iterator<Item = &'a [u8]>,
    compared: impl Fn(&&Pair) -> bool,
) -> impl Iterator<Item = &'a [u8]> {
    pairs.iter().zip(reading).filter(move |(pair, _)| compared(pair)).map(|(_, read)| read)
}
