//! The splices inside of an `STSS3Storage` entry that stands: a rotated key changes one line.

use super::draft::Draft;
use super::refusal::Refusal;
use super::storage::{Argument, DRIVER, StorageEntry};
use super::text::{Splice, line_start, next_line, value_range};
use super::tree::{Node, Pair};

/// Whether an entry's items are the driver and a mapping that holds some of what is wanted, so that single arguments
/// can be changed. In brackets (`flow`) a mapping of one pair may lack braces; that one cannot.
pub(super) fn same_shape(entry: &StorageEntry, items: &[Node], flow: bool) -> bool {
    let [driver, arguments] = items else { return false };
    driver.string() == Some(DRIVER)
        && (arguments.is_flow() || !flow)
        && entry.arguments().iter().any(|(key, _)| arguments.get(key).is_some())
}

/// Changes the values that differ, removes what is not accepted, adds what is missing.
pub(super) fn splice(draft: &mut Draft<'_>, entry: &StorageEntry, arguments: &Node) -> Result<(), Refusal> {
    let wanted = entry.arguments();
    let is_wanted = |pair: &Pair| wanted.iter().any(|(key, _)| pair.key.text() == Some(*key));
    let mut missing: Vec<_> = wanted.iter().filter(|(key, _)| arguments.get(key).is_none()).collect();
    let mut surplus: Vec<&Pair> = arguments.pairs().iter().filter(|pair| !is_wanted(pair)).collect();
    if arguments.is_flow() && !(missing.is_empty() && surplus.is_empty()) {
        let body = draft.body;
        let tall = draft.layout.tall && body[arguments.start..arguments.end].contains('\n');
        let base = tall.then(|| super::text::indentation(body, arguments.start));
        let text = draft.layout.flow_arguments(entry, base);
        draft.splices.push(Splice::replace((arguments.start, arguments.end), text));
        return Ok(());
    }
    for (key, value) in &wanted {
        if let Some(pair) = arguments.get(key)
            && !value.is_read_at(&pair.value)
        {
            set(draft, pair, value)?;
        }
    }
    // A region that gives way to a URL, or the other way round, is one line that changes.
    let is_endpoint = |key: &str| matches!(key, "s3_region" | "endpoint_url");
    let old = surplus.iter().position(|pair| pair.key.text().is_some_and(is_endpoint));
    let new = missing.iter().position(|(key, _)| is_endpoint(key));
    if let (Some(old), Some(new)) = (old, new) {
        let (pair, (key, value)) = (surplus.remove(old), missing.remove(new));
        let (_, end) = value_range(draft.body, pair)?;
        let text = draft.layout.pair(key, &value.spelled());
        draft.splices.push(Splice::replace((pair.key.start, end), text));
    }
    let kept = |pair: &&Pair| !surplus.iter().any(|gone| std::ptr::eq(*gone, *pair));
    let last = arguments.pairs().iter().rev().find(kept);
    let (Some(last), Some(first)) = (last, arguments.pairs().iter().find(kept)) else {
        return Ok(());
    };
    for pair in &surplus {
        if pair.key.start > first.key.start {
            let (_, end) = value_range(draft.body, pair)?;
            draft.splices.push(Splice::replace(
                (line_start(draft.body, pair.key.start), next_line(draft.body, end)),
                String::new(),
            ));
        }
    }
    let leading = arguments.pairs().first().filter(|pair| pair.key.start < first.key.start);
    if let Some(leading) = leading {
        // What follows the dash cannot go with its line.
        draft.splices.push(Splice::replace((leading.key.start, first.key.start), String::new()));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = missing.iter().map(|(key, value)| format!("{key}: {}", value.spelled())).collect();
    draft.add_lines_after(last.value.end.max(last.key.end), &lines, arguments.column);
    Ok(())
}

/// Puts another value behind a key.
fn set(draft: &mut Draft<'_>, pair: &Pair, value: &Argument<'_>) -> Result<(), Refusal> {
    let (start, end) = value_range(draft.body, pair)?;
    let space = if start == end { " " } else { "" };
    draft.splices.push(Splice::replace((start, end), format!("{space}{}", value.spelled())));
    Ok(())
}
