//! The splices that bring `DISTRIBUTED_STORAGE_CONFIG` to the intent.

use super::carry::Entry;
use super::draft::Draft;
use super::refusal::{Problem, Refusal};
use super::screen::quoted;
use super::text::{Splice, colon_end, column, indentation, is_first_on_line, value_range};
use super::tree::{Kind, Pair};
use super::{STORAGE, arguments};

/// Writes the entries that the document does not have as they shall be.
pub(super) fn splice(draft: &mut Draft<'_>, entries: &[Entry<'_>]) -> Result<(), Refusal> {
    let storage = draft.root.get(STORAGE);
    let mut missing = Vec::new();
    for entry in entries {
        match storage.and_then(|storage| storage.value.get(entry.name())) {
            None => missing.push(*entry),
            Some(pair) if entry.is_read_at(pair) => {}
            Some(pair) => replace(draft, *entry, pair)?,
        }
    }
    match storage {
        _ if missing.is_empty() => Ok(()),
        None => {
            add_configuration(draft, &missing);
            Ok(())
        }
        Some(storage) if storage.value.pairs().is_empty() => fill(draft, storage, &missing),
        Some(storage) => append(draft, storage, &missing),
    }
}

/// The whole key, where there is none.
fn add_configuration(draft: &mut Draft<'_>, entries: &[Entry<'_>]) {
    let layout = &draft.layout;
    let mut lines = vec![format!("{STORAGE}:")];
    lines.extend(block_lines(draft, entries).iter().map(|line| format!("{}{line}", " ".repeat(layout.step))));
    let pair = layout.pair(STORAGE, &in_braces(draft, entries, draft.tall_base()));
    draft.added.push((lines, pair));
}

fn block_lines(draft: &Draft<'_>, entries: &[Entry<'_>]) -> Vec<String> {
    entries.iter().flat_map(|entry| entry.block_location(&draft.layout)).collect()
}

fn in_braces(draft: &Draft<'_>, entries: &[Entry<'_>], base: Option<usize>) -> String {
    let inner = base.map(|base| base + draft.layout.step);
    let locations: Vec<String> = entries.iter().map(|entry| entry.flow_location(&draft.layout, inner)).collect();
    draft.layout.enclose('{', &locations, '}', base)
}

/// Puts locations where the value is missing, null or `{}`.
fn fill(draft: &mut Draft<'_>, storage: &Pair, entries: &[Entry<'_>]) -> Result<(), Refusal> {
    if draft.root.is_flow() {
        let base = draft.layout.tall.then(|| indentation(draft.body, storage.key.start));
        return fill_in_braces(draft, storage, &in_braces(draft, entries, base));
    }
    let (lines, inside) = (block_lines(draft, entries), storage.key.column + draft.layout.step);
    fill_with_lines(draft, storage, &lines, inside)
}

/// Puts an entry where the value of its name is missing or null.
fn fill_entry(draft: &mut Draft<'_>, pair: &Pair, entry: Entry<'_>) -> Result<(), Refusal> {
    if draft.root.get(STORAGE).is_some_and(|storage| storage.value.is_flow()) {
        let tall = draft.layout.tall && is_first_on_line(draft.body, pair.key.start);
        let base = tall.then(|| indentation(draft.body, pair.key.start));
        return fill_in_braces(draft, pair, &entry.flow_entry(&draft.layout, base));
    }
    let (lines, inside) = (entry.block_entry(&draft.layout), pair.key.column + draft.layout.dash);
    fill_with_lines(draft, pair, &lines, inside)
}

fn fill_in_braces(draft: &mut Draft<'_>, pair: &Pair, text: &str) -> Result<(), Refusal> {
    let (start, end) = value_range(draft.body, pair)?;
    let space = if start == colon_end(draft.body, pair)? { " " } else { "" };
    draft.splices.push(Splice::replace((start, end), format!("{space}{text}")));
    Ok(())
}

fn fill_with_lines(draft: &mut Draft<'_>, pair: &Pair, lines: &[String], inside: usize) -> Result<(), Refusal> {
    let (start, end) = value_range(draft.body, pair)?;
    let colon = colon_end(draft.body, pair)?;
    let value_on_key_line = !draft.body[colon..start].contains('\n');
    if value_on_key_line {
        // A comment behind the value stays on the line of the key.
        if end > start {
            draft.splices.push(Splice::replace((colon, end), String::new()));
        }
        draft.add_lines_after(end, lines, inside);
        return Ok(());
    }
    let at = column(draft.body, start);
    let text = draft.layout.lines(lines, at).trim().to_owned();
    draft.splices.push(Splice::replace((start, end), text));
    Ok(())
}

/// Puts locations after those that stand.
fn append(draft: &mut Draft<'_>, storage: &Pair, entries: &[Entry<'_>]) -> Result<(), Refusal> {
    let Some(last) = storage.value.pairs().last() else { return Ok(()) };
    let (body, layout) = (draft.body, &draft.layout);
    if !storage.value.is_flow() {
        let lines = block_lines(draft, entries);
        draft.add_lines_after(storage.value.end, &lines, storage.value.column);
        return Ok(());
    }
    let (_, end) = value_range(body, last)?;
    let own_line = is_first_on_line(body, last.key.start);
    let tall = layout.tall && own_line && body[last.value.start..last.value.end].contains('\n');
    let between = if own_line { format!(",{}", layout.line(last.key.column)) } else { ", ".to_owned() };
    let base = tall.then_some(last.key.column);
    let text: String = entries.iter().flat_map(|entry| [between.clone(), entry.flow_location(layout, base)]).collect();
    draft.splices.push(Splice::insert(end, text));
    Ok(())
}

/// Brings an entry that stands to the intent.
fn replace(draft: &mut Draft<'_>, entry: Entry<'_>, pair: &Pair) -> Result<(), Refusal> {
    pair.key.guard_all()?;
    pair.value.guard_all()?;
    if pair.key.string() != Some(entry.name()) {
        draft.splices.push(Splice::replace((pair.key.start, pair.key.end), quoted(entry.name())));
    }
    if pair.value.is_null() {
        return fill_entry(draft, pair, entry);
    }
    let Kind::List { items, flow } = &pair.value.kind else {
        let (key, expected) = (entry.name().to_owned(), "a list of a driver and its arguments");
        return Err(pair.value.refuse(Problem::WrongKind { key, expected }));
    };
    if let Entry::Meant(entry) = entry
        && arguments::same_shape(entry, items, *flow)
    {
        return arguments::splice(draft, entry, &items[1]);
    }
    let (start, end) = value_range(draft.body, pair)?;
    let text = if *flow {
        let spread = draft.layout.tall && draft.body[start..end].contains('\n');
        entry.flow_entry(&draft.layout, spread.then(|| indentation(draft.body, pair.key.start)))
    } else {
        let lines = entry.block_entry(&draft.layout);
        let at = column(draft.body, start);
        draft.layout.lines(&lines, at).trim().to_owned()
    };
    draft.splices.push(Splice::replace((start, end), text));
    Ok(())
}
