//! Proof after the fact: what was edited reads as the intent, and everything else as it did.

use super::excerpt::Rewritten;
use super::lists::Expected;
use super::tree::{Kind, Pair};
use super::{Change, ConfigYaml, STORAGE};

/// Whether the new document says what was wanted, and in all else what the old one said.
pub(super) fn is_the_intent(old: &ConfigYaml, new: &Rewritten, change: &Change<'_>, expected: &[Expected]) -> bool {
    let is_expected = |key: &str| expected.iter().any(|list| list.key == key);
    let is_written = |name: &str| change.entries.iter().any(|entry| entry.name.as_str() == name);
    let entries_are_current = change.entries.iter().all(|entry| new.document.is_current(entry));
    let lists_are_as_expected = expected.iter().all(|list| reads_as(&new.document, list));
    entries_are_current && lists_are_as_expected && nothing_else_changed(old, new, is_expected, is_written)
}

/// Whether two documents read the same but for some keys and some locations, to both parsers.
pub(super) fn nothing_else_changed(
    old: &ConfigYaml,
    new: &Rewritten,
    is_expected: impl Fn(&str) -> bool,
    is_written: impl Fn(&str) -> bool,
) -> bool {
    let other_key = |pair: &Pair| pair.key.text().is_none_or(|key| key != STORAGE && !is_expected(key));
    let other_location = |pair: &Pair| pair.key.text().is_none_or(|name| !is_written(name));
    let read_again = old.keys().enumerate().filter(|(at, _)| new.has(*at)).map(|(_, key)| key);
    same_pairs(read_again, new.document.keys(), other_key)
        && same_pairs(old.locations_as_read(), new.document.locations_as_read(), other_location)
}

/// Whether pairs are the same, of those that are compared. A pair is told by its key's text, because a number's
/// spelling is lost in the second reading.
fn same_pairs<'a>(
    old: impl Iterator<Item = (&'a Pair, &'a [u8])>,
    new: impl Iterator<Item = (&'a Pair, &'a [u8])>,
    is_compared: impl Fn(&Pair) -> bool,
) -> bool {
    let mut old = old.filter(|(pair, _)| is_compared(pair));
    let mut new = new.filter(|(pair, _)| is_compared(pair));
    loop {
        match (old.next(), new.next()) {
            (None, None) => return true,
            (Some((a, read_a)), Some((b, read_b)))
                if a.key.same(&b.key) && a.value.same(&b.value) && read_a == read_b => {}
            _ => return false,
        }
    }
}

pub(super) fn reads_as(document: &ConfigYaml, list: &Expected) -> bool {
    let found = document.root.get(list.key).map(|pair| &pair.value.kind);
    let Some(Kind::List { items, .. }) = found else { return false };
    items.len() == list.names.len() && items.iter().zip(&list.names).all(|(item, name)| item.text() == Some(name))
}
