//! The splices that bring the two lists of location names to the intent.

use super::draft::Draft;
use super::layout::Layout;
use super::refusal::{Problem, Refusal};
use super::screen::quoted;
use super::text::{Splice, column, is_first_on_line, value_range};
use super::tree::{Kind, Node, Pair, Style};
use super::{Change, DEFAULTS, PREFERENCE, Preference};
use crate::place::LocationName;

/// What a list must read as after the edit.
pub(super) struct Expected {
    pub(super) key: &'static str,
    pub(super) names: Vec<String>,
}

/// One name of the list to be: one that stands, or a new one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name<'a> {
    Standing(usize),
    New(&'a str),
}

/// Plans both lists. `standing` are the locations that the document has before the edit.
pub(super) fn splice(draft: &mut Draft<'_>, change: &Change<'_>, standing: &[Pair]) -> Result<Vec<Expected>, Refusal> {
    for pair in standing {
        if change.ours.iter().any(|name| pair.key.text() == Some(name.as_str())) {
            pair.key.guard()?;
        }
    }
    let written: Vec<&str> = change.entries.iter().map(|entry| entry.name.as_str()).collect();
    let known: Vec<&str> = standing.iter().filter_map(|pair| pair.key.text()).chain(written.iter().copied()).collect();
    // A location whose unquoted name some reader takes for a number is not found by its name in quotes.
    let by_name: Vec<&str> = standing.iter().filter_map(|pair| pair.key.string()).chain(written).collect();
    let ours: Vec<&str> = change.ours.iter().map(LocationName::as_str).filter(|name| by_name.contains(name)).collect();
    let mut expected = Vec::new();
    if ours.is_empty() {
        return Ok(expected);
    }
    expected.extend(preference(draft, change.preference, &ours, &known)?);
    if change.replicate {
        expected.extend(defaults(draft, &ours)?);
    }
    Ok(expected)
}

fn preference(
    draft: &mut Draft<'_>,
    preference: Preference,
    ours: &[&str],
    known: &[&str],
) -> Result<Option<Expected>, Refusal> {
    let Some(pair) = draft.root.get(PREFERENCE) else {
        return Ok(Some(add(draft, PREFERENCE, ours)));
    };
    let items = items(pair, PREFERENCE)?;
    if items.is_empty() {
        return Ok(None);
    }
    if !items.iter().any(|item| item.text().is_some_and(|text| known.contains(&text))) {
        return replace(draft, pair, PREFERENCE, ours).map(Some);
    }
    let is_ours = |i: &usize| items[*i].text().is_some_and(|text| ours.contains(&text));
    let standing = |name: &str| -> Vec<Name<'_>> {
        (0..items.len()).filter(|i| items[*i].text() == Some(name)).map(Name::Standing).collect()
    };
    let ours_in_spec_order = ours.iter().flat_map(|name| match standing(name) {
        found if found.is_empty() => vec![Name::New(name)],
        found => found,
    });
    let others = (0..items.len()).filter(|i| !is_ours(i)).map(Name::Standing);
    let names: Vec<Name<'_>> = match preference {
        Preference::Keep => {
            let new = ours_in_spec_order.filter(|name| matches!(name, Name::New(_)));
            (0..items.len()).map(Name::Standing).chain(new).collect()
        }
        Preference::First => ours_in_spec_order.chain(others).collect(),
        Preference::Last => others.chain(ours_in_spec_order).collect(),
    };
    rearrange(draft, pair, PREFERENCE, &names, ours).map(Some)
}

fn defaults(draft: &mut Draft<'_>, ours: &[&str]) -> Result<Option<Expected>, Refusal> {
    let Some(pair) = draft.root.get(DEFAULTS) else {
        return Ok(Some(add(draft, DEFAULTS, ours)));
    };
    let items = items(pair, DEFAULTS)?;
    if items.is_empty() {
        return replace(draft, pair, DEFAULTS, ours).map(Some);
    }
    let missing = ours.iter().filter(|name| !items.iter().any(|item| item.text() == Some(**name)));
    let names: Vec<Name<'_>> =
        (0..items.len()).map(Name::Standing).chain(missing.map(|name| Name::New(name))).collect();
    rearrange(draft, pair, DEFAULTS, &names, ours).map(Some)
}

/// The names in a list; none for null.
pub(super) fn items<'a>(pair: &'a Pair, key: &str) -> Result<&'a [Node], Refusal> {
    pair.value.guard_all()?;
    let problem = || Problem::WrongKind { key: key.to_owned(), expected: "a list of location names" };
    match &pair.value.kind {
        _ if pair.value.is_null() => Ok(&[]),
        Kind::List { items, .. } => match items.iter().find(|item| item.text().is_none()) {
            Some(item) => Err(item.refuse(problem())),
            None => Ok(items),
        },
        _ => Err(pair.value.refuse(problem())),
    }
}

fn expect(key: &'static str, names: &[&str]) -> Expected {
    Expected { key, names: names.iter().map(|name| (*name).to_owned()).collect() }
}

/// The whole key, where there is none.
fn add(draft: &mut Draft<'_>, key: &'static str, names: &[&str]) -> Expected {
    let layout = &draft.layout;
    let mut lines = vec![format!("{key}:")];
    lines.extend(layout.block_list(names).iter().map(|line| format!("{}{line}", " ".repeat(layout.dash))));
    let quoted_names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let pair = layout.pair(key, &layout.enclose('[', &quoted_names, ']', draft.tall_base()));
    draft.added.push((lines, pair));
    expect(key, names)
}

/// Another list instead of the one that stands.
fn replace(draft: &mut Draft<'_>, pair: &Pair, key: &'static str, names: &[&str]) -> Result<Expected, Refusal> {
    let (start, end) = value_range(draft.body, pair)?;
    let text = match &pair.value.kind {
        Kind::List { flow: false, .. } => {
            let lines = draft.layout.block_list(names);
            draft.layout.lines(&lines, column(draft.body, start)).trim().to_owned()
        }
        _ if start == end => format!(" {}", Layout::flow_list(names)),
        _ => Layout::flow_list(names),
    };
    draft.splices.push(Splice::replace((start, end), text));
    Ok(expect(key, names))
}

/// The names that stand in another order, and new ones behind them. Comments stay where they are.
fn rearrange(
    draft: &mut Draft<'_>,
    pair: &Pair,
    key: &'static str,
    names: &[Name<'_>],
    ours: &[&str],
) -> Result<Expected, Refusal> {
    let (body, items) = (draft.body, items(pair, key)?);
    let text_of = |name: &Name<'_>| match name {
        Name::Standing(i) => items[*i].text().unwrap_or_default().to_owned(),
        Name::New(name) => (*name).to_owned(),
    };
    let mut new = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let text = text_of(name);
        let is_ours = ours.contains(&text.as_str());
        let Some(item) = items.get(i) else {
            new.push((text, name));
            continue;
        };
        let stays = *name == Name::Standing(i);
        if stays && (!is_ours || item.string().is_some()) {
            continue;
        }
        let spelled = if is_ours { quoted(&text) } else { spelling(body, items, name)?.to_owned() };
        spelling(body, items, &Name::Standing(i))?;
        draft.splices.push(Splice::replace((item.start, item.end), spelled));
    }
    if let (Some(last), false) = (items.last(), new.is_empty()) {
        let mut spelled = Vec::new();
        for (text, name) in &new {
            let is_ours = ours.contains(&text.as_str());
            spelled.push(if is_ours { quoted(text) } else { spelling(body, items, name)?.to_owned() });
        }
        if pair.value.is_flow() {
            let own_line = is_first_on_line(body, last.start);
            let between = if own_line { format!(",{}", draft.layout.line(last.column)) } else { ", ".to_owned() };
            let text: String = spelled.iter().flat_map(|name| [between.as_str(), name]).collect();
            draft.splices.push(Splice::insert(last.end, text));
        } else {
            let (start, _) = value_range(body, pair)?;
            let gap = " ".repeat(super::layout::dash_and_gap(body, pair).map_or(2, |(_, gap)| gap) - 1);
            let lines: Vec<String> = spelled.iter().map(|name| format!("-{gap}{name}")).collect();
            draft.add_lines_after(pair.value.end, &lines, column(body, start));
        }
    }
    Ok(Expected { key, names: names.iter().map(text_of).collect() })
}

/// How a name that stands is spelled, if it can be moved: on one line.
fn spelling<'a>(body: &'a str, items: &[Node], name: &Name<'_>) -> Result<&'a str, Refusal> {
    let Name::Standing(i) = name else { return Ok("") };
    let item = &items[*i];
    let spelled = body.get(item.start..item.end).unwrap_or_default();
    let movable = matches!(item.kind, Kind::Scalar { style: Style::Plain | Style::Quoted, .. });
    if movable && !spelled.is_empty() && !spelled.contains('\n') {
        Ok(spelled)
    } else {
        Err(item.refuse(Problem::OddNotation))
    }
}
