//! Proof after the fact: what was edited reads as the intent, and everything else as it did.

use secrecy::ExposeSecret;
use serde_yaml::{Mapping, Value};

use super::lists::Expected;
use super::refusal::{Problem, Refusal};
use super::tree::{Kind, Node, Pair, Style};
use super::{Change, ConfigYaml, DEFAULTS, PREFERENCE, STORAGE};

/// Reads the document with a second parser, one of the family of `PyYAML` and yaml.v3, and compares the top level's
/// keys and everything that stands at ours.
pub(super) fn second_reader_agrees(body: &str, root: &Node) -> Result<(), Refusal> {
    let value: Value = serde_yaml::from_str(body).map_err(|error| match error.location() {
        Some(place) => Refusal::at(place.line(), place.column(), Problem::Invalid),
        None => Refusal::whole(Problem::Invalid),
    })?;
    let mapping = value.as_mapping().ok_or_else(|| Refusal::whole(Problem::CannotVerify))?;
    if mapping.len() != root.pairs().len() {
        return Err(Refusal::whole(Problem::CannotVerify));
    }
    for (pair, (key, value)) in root.pairs().iter().zip(mapping) {
        let ours = pair.key.text().is_some_and(|key| [STORAGE, PREFERENCE, DEFAULTS].contains(&key));
        if !agrees(&pair.key, key) || (ours && !agrees(&pair.value, value)) {
            return Err(pair.key.refuse(Problem::CannotVerify));
        }
    }
    Ok(())
}

fn agrees(node: &Node, value: &Value) -> bool {
    if node.tagged || matches!(node.kind, Kind::Alias) {
        return true;
    }
    match (&node.kind, value) {
        (Kind::Scalar { text, .. }, Value::String(read)) => text.expose_secret() == read,
        (Kind::Scalar { style: Style::Plain, .. }, Value::Null | Value::Bool(_) | Value::Number(_)) => true,
        (Kind::List { items, .. }, Value::Sequence(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| agrees(item, value))
        }
        (Kind::Map { pairs, .. }, Value::Mapping(values)) => {
            pairs.len() == values.len()
                && pairs
                    .iter()
                    .zip(values)
                    .all(|(pair, (key, value))| agrees(&pair.key, key) && agrees(&pair.value, value))
        }
        _ => false,
    }
}

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
        && others(old, &is_expected, &is_written) == others(new, &is_expected, &is_written)
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

/// The second parser's reading of everything that is not ours: the other keys, and the other locations.
fn others(
    document: &ConfigYaml,
    is_expected: impl Fn(&str) -> bool,
    is_written: impl Fn(&str) -> bool,
) -> Option<[Vec<(Value, Value)>; 2]> {
    let value: Value = serde_yaml::from_str(document.body()).ok()?;
    let Value::Mapping(mapping) = value else { return None };
    let storage = mapping.get(STORAGE).and_then(Value::as_mapping).cloned().unwrap_or_default();
    let keys = without(document.root.pairs(), mapping, |key| key == STORAGE || is_expected(key));
    Some([keys, without(document.locations(), storage, is_written)])
}

/// A mapping's pairs but for some, told by their keys' text, because a number's spelling is lost in a value.
fn without(pairs: &[Pair], mapping: Mapping, left_out: impl Fn(&str) -> bool) -> Vec<(Value, Value)> {
    let compared = |pair: &Pair| pair.key.text().is_none_or(|key| !left_out(key));
    pairs.iter().zip(mapping).filter(|(pair, _)| compared(pair)).map(|(_, pair)| pair).collect()
}
