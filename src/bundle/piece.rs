//! The raw text of a key and its value as they stood, and the splices that put it back.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reader;
use super::text::{Splice, column, line_break, next_line, value_range};
use super::tree::{Kind, Pair};

/// A key that stands farther to the right than this has not been written by a person.
const MAX_COLUMN: usize = 4096;

/// Text of the document, secrets and all.
pub(super) struct Raw(SecretString);

impl Raw {
    pub(super) fn of(text: &str) -> Self {
        Self(SecretString::from(text.to_owned()))
    }

    pub(super) fn text(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}

/// A pair as it stood, cut where an edit cuts.
#[derive(Serialize, Deserialize)]
pub(super) struct Piece {
    key: Raw,
    /// From the key to the value.
    gap: Raw,
    value: Raw,
    /// What follows the value on its line. In braces nothing, as an edit changes nothing there.
    rest: Raw,
    /// The line break, and the blank lines and comments below.
    below: Raw,
    key_column: usize,
    value_column: usize,
    in_braces: bool,
}

/// Where the parts of a pair are.
struct Extent {
    key: (usize, usize),
    value: (usize, usize),
    line_end: usize,
    below_end: usize,
}

impl Extent {
    fn of(body: &str, pair: &Pair, in_braces: bool) -> Self {
        let key = (pair.key.start, pair.key.end);
        let value = value_range(body, pair).unwrap_or_else(|_| {
            let end = pair.value.end.max(key.1);
            (pair.value.start.clamp(key.1, end), end)
        });
        if in_braces {
            return Self { key, value, line_end: value.1, below_end: value.1 };
        }
        let mut below_end = next_line(body, value.1);
        while below_end < body.len() && is_blank_or_comment(body.get(below_end..).unwrap_or_default()) {
            below_end = next_line(body, below_end);
        }
        Self { key, value, line_end: line_break(body, value.1), below_end }
    }
}

fn is_blank_or_comment(rest: &str) -> bool {
    rest.lines().next().is_none_or(|line| matches!(line.trim_start_matches(' ').bytes().next(), None | Some(b'#')))
}

impl Piece {
    pub(super) fn of(body: &str, pair: &Pair, in_braces: bool) -> Self {
        let Extent { key, value, line_end, below_end } = Extent::of(body, pair, in_braces);
        let raw = |start: usize, end: usize| Raw::of(body.get(start..end).unwrap_or_default());
        Self {
            key: raw(key.0, key.1),
            gap: raw(key.1, value.0),
            value: raw(value.0, value.1),
            rest: raw(value.1, line_end),
            below: raw(line_end, below_end),
            key_column: pair.key.column,
            value_column: column(body, value.0),
            in_braces,
        }
    }

    /// Whether a pair is spelled as this one, comments beside and below it apart.
    pub(super) fn stands_at(&self, body: &str, pair: &Pair) -> bool {
        let spelled = [&self.key, &self.gap, &self.value].map(Raw::text).concat();
        let now = Extent::of(body, pair, true);
        body.get(now.key.0..now.value.1) == Some(spelled.as_str())
    }

    /// The pair as a document of its own reads.
    pub(super) fn reading(&self) -> Option<Pair> {
        let text = [&self.key, &self.gap, &self.value, &self.rest, &self.below].map(Raw::text).concat();
        let document = SecretString::from(match self.in_braces {
            true => format!("{{{text}\n}}"),
            false if self.key_column <= MAX_COLUMN => format!("{}{text}", " ".repeat(self.key_column)),
            false => return None,
        });
        match reader::read(document.expose_secret()).ok()?.root.kind {
            Kind::Map { mut pairs, .. } if pairs.len() == 1 => pairs.pop(),
            _ => None,
        }
    }

    /// The splices that put it where a pair stands now.
    pub(super) fn put_at(&self, body: &str, pair: &Pair, in_braces: bool, newline: &str) -> Vec<Splice> {
        let now = Extent::of(body, pair, in_braces);
        let is_block = matches!(pair.value.kind, Kind::List { flow: false, .. } | Kind::Map { flow: false, .. });
        let was_block = self.value.text().starts_with('-');
        // Where a block stood or stands instead of braces, what leads to the value is another, too.
        let with_gap = self.value.text().is_empty() || is_block != was_block;
        let old =
            if with_gap { [&self.gap, &self.value].map(Raw::text).concat() } else { self.value.text().to_owned() };
        let (was_at, is_at) = if was_block && !with_gap {
            (self.value_column, column(body, now.value.0))
        } else {
            (self.key_column, pair.key.column)
        };
        let in_braces = in_braces || self.in_braces;
        let mut text = if in_braces { old } else { shifted(&old, was_at, is_at) };
        let mut end = now.value.1;
        if !in_braces {
            end = now.below_end;
            text.push_str(&self.tail(body, &now, !is_block, newline));
        }
        let start = if with_gap { now.key.1 } else { now.value.0 };
        vec![Splice::replace(now.key, self.key.text().to_owned()), Splice::replace((start, end), text)]
    }

    /// What shall follow the value: what followed it, unless others have changed that.
    fn tail(&self, body: &str, now: &Extent, one_line: bool, newline: &str) -> String {
        let part = |start: usize, end: usize| body.get(start..end).unwrap_or_default();
        let core = part(now.key.0, now.value.1);
        let (rest, below) = (part(now.value.1, now.line_end), part(now.line_end, now.below_end));
        // The comment beside a block's last argument changes with that argument, and only then.
        let comment = rest.trim();
        let is_old = |old: &Raw| old.text().lines().any(|line| line.trim_end().ends_with(comment));
        let is_theirs = !comment.is_empty() && ![&self.value, &self.rest].into_iter().any(is_old);
        let mut tail = if one_line || is_theirs { rest } else { self.rest.text() }.to_owned();
        let (old_break, old_below) = split_break(self.below.text());
        let (line_end, mut still_below) = split_break(below);
        if now.below_end == body.len() && !self.below.text().ends_with('\n') {
            // It ended the text without a line break.
            still_below = still_below.trim_end_matches(['\r', '\n']);
        }
        // Comments that stood below are inside of what we wrote now, if we added lines after them; those that stood
        // inside are below, if we took the last lines out.
        let old_core = [&self.gap, &self.value].map(Raw::text).concat();
        let now_inside: String = old_below.split_inclusive('\n').take_while(|line| has_line(core, line)).collect();
        let was_inside = still_below.split_inclusive('\n').take_while(|line| has_line(&old_core, line));
        let mut left = still_below;
        let mut rests = vec![still_below];
        for line in was_inside {
            left = left.get(line.len()..).unwrap_or_default();
            rests.push(left);
        }
        let is_left = |rest: &&str| {
            let inside = old_below.strip_suffix(*rest);
            inside.is_some_and(|inside| inside.split_inclusive('\n').all(|line| has_line(core, line)))
        };
        if rests.iter().any(is_left) {
            tail.extend([old_break, old_below]);
        } else {
            tail.push_str(if now_inside.is_empty() { line_end } else { newline });
            tail.push_str(&now_inside);
            if !(now_inside.is_empty() || now_inside.ends_with('\n') || left.is_empty()) {
                tail.push_str(newline);
            }
            tail.push_str(left);
        }
        if now.below_end < body.len() && !tail.ends_with('\n') {
            tail.push_str(newline);
        }
        tail
    }
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line.trim_end_matches(['\r', '\n']))
}

/// A line break that a text begins with, and the rest.
fn split_break(text: &str) -> (&str, &str) {
    let length = ["\r\n", "\n"].iter().find(|end| text.starts_with(**end)).map_or(0, |end| end.len());
    text.split_at_checked(length).unwrap_or(("", text))
}

/// The lines after the first, moved as the column of the first has moved.
fn shifted(text: &str, from: usize, to: usize) -> String {
    let mut lines = text.split_inclusive('\n');
    let mut out = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        let is_blank = line.trim().is_empty();
        out.push_str(&" ".repeat(if is_blank { 0 } else { to.saturating_sub(from) }));
        out.push_str(line.get(from.saturating_sub(to).min(spaces)..).unwrap_or_default());
    }
    out
}
