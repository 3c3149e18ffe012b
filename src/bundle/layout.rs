//! The document's own style, and new text written in it.

use super::screen::quoted;
use super::storage::{DRIVER, StorageEntry};
use super::text::{column, indentation, value_range};
use super::tree::{Kind, Node, Pair};

/// How the document indents and ends its lines.
pub(super) struct Layout {
    pub(super) newline: &'static str,
    /// How much deeper a mapping in a mapping stands.
    pub(super) step: usize,
    /// How much deeper than its key a list's dash stands.
    pub(super) dash: usize,
    /// From a dash to what follows it.
    pub(super) gap: usize,
    /// Keys are quoted, as JSON wants it.
    pub(super) json: bool,
    /// A top level in braces, which stand on lines of their own.
    pub(super) tall: bool,
}

impl Layout {
    /// Looks at what the document has; the storage configuration first, then the other keys of the top level.
    pub(super) fn of(body: &str, root: &Node, storage: Option<&Pair>) -> Self {
        let newline = match body.find('\n') {
            Some(at) if body[..at].ends_with('\r') => "\r\n",
            _ => "\n",
        };
        let flow = root.is_flow();
        let json = flow && root.pairs().first().is_none_or(|pair| body[pair.key.start..].starts_with('"'));
        let tall = flow && body[root.start..root.end].contains('\n');
        let step = if flow {
            let first = root.pairs().first().filter(|pair| pair.key.line > root.line);
            first.map(|pair| pair.key.column.saturating_sub(indentation(body, root.start)))
        } else {
            storage.into_iter().chain(root.pairs()).find_map(|pair| match &pair.value.kind {
                Kind::Map { pairs, flow: false } => {
                    pairs.first().map(|child| child.key.column.saturating_sub(pair.key.column))
                }
                _ => None,
            })
        };
        let step = step.filter(|step| (1..=8).contains(step)).unwrap_or(2);
        let storage = storage.map(|pair| pair.value.pairs()).unwrap_or_default();
        let lists = storage.iter().chain(root.pairs()).find_map(|pair| dash_and_gap(body, pair));
        let (dash, gap) = lists.unwrap_or((step, 2));
        Self { newline, step, dash, gap, json, tall }
    }

    fn key(&self, key: &str) -> String {
        if self.json { quoted(key) } else { key.to_owned() }
    }

    /// A top-level pair in braces, or an argument: its key as this document writes keys.
    pub(super) fn pair(&self, key: &str, value: &str) -> String {
        format!("{}: {value}", self.key(key))
    }

    /// The lines of a list of strings in block style, each without its indentation.
    pub(super) fn block_list(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("-{}{}", " ".repeat(self.gap - 1), quoted(name))).collect()
    }

    /// The lines of an entry's value in block style, each without the indentation of the dashes.
    pub(super) fn block_entry(&self, entry: &StorageEntry) -> Vec<String> {
        let mut lines = self.block_list(&[DRIVER]);
        for (i, (key, value)) in entry.arguments().iter().enumerate() {
            let before = if i == 0 { format!("-{}", " ".repeat(self.gap - 1)) } else { " ".repeat(self.gap) };
            lines.push(format!("{before}{key}: {}", value.spelled()));
        }
        lines
    }

    /// A list of strings in brackets.
    pub(super) fn flow_list(names: &[&str]) -> String {
        format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
    }

    /// An entry's arguments in braces. `base` is the indentation of the line where they begin, if they shall take
    /// more lines than one.
    pub(super) fn flow_arguments(&self, entry: &StorageEntry, base: Option<usize>) -> String {
        let parts: Vec<String> =
            entry.arguments().iter().map(|(key, value)| self.pair(key, &value.spelled())).collect();
        self.enclose('{', &parts, '}', base)
    }

    /// An entry's value in brackets.
    pub(super) fn flow_entry(&self, entry: &StorageEntry, base: Option<usize>) -> String {
        let arguments = self.flow_arguments(entry, base.map(|base| base + self.step));
        self.enclose('[', &[quoted(DRIVER), arguments], ']', base)
    }

    /// Brackets or braces around parts.
    pub(super) fn enclose(&self, open: char, parts: &[String], close: char, base: Option<usize>) -> String {
        match base {
            None => format!("{open}{}{close}", parts.join(", ")),
            Some(base) => {
                let (outer, inner) = (self.line(base), self.line(base + self.step));
                format!("{open}{inner}{}{outer}{close}", parts.join(&format!(",{inner}")))
            }
        }
    }

    /// A line break and the indentation after it.
    pub(super) fn line(&self, indentation: usize) -> String {
        format!("{}{}", self.newline, " ".repeat(indentation))
    }

    /// Whole lines, each with its indentation and its break.
    pub(super) fn lines(&self, lines: &[String], indentation: usize) -> String {
        let indentation = " ".repeat(indentation);
        lines.iter().flat_map(|line| [indentation.as_str(), line, self.newline]).collect()
    }
}

/// Of a pair with a block list: how much deeper than the key its dashes stand, and how far from them the items.
pub(super) fn dash_and_gap(body: &str, pair: &Pair) -> Option<(usize, usize)> {
    let Kind::List { items, flow: false } = &pair.value.kind else { return None };
    let (start, _) = value_range(body, pair).ok()?;
    let dash = column(body, start);
    let item = items.first()?;
    let apart = item.column.saturating_sub(dash);
    let gap = if (2..=8).contains(&apart) && body[start + 1..].starts_with(' ') { apart } else { 2 };
    Some((dash.checked_sub(pair.key.column)?, gap))
}
