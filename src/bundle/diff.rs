//! What an edit changes, for people: a unified diff in which every secret value is masked, on every line.

use std::fmt::Write as _;

use secrecy::ExposeSecret as _;
use similar::{DiffTag, TextDiff};

use super::ConfigYaml;

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 3;

impl ConfigYaml {
    /// The unified diff from this document to another. Lines are compared as they are and shown masked, so that a
    /// rotated secret shows as a change whose two sides look the same.
    pub fn diff(&self, new: &Self, name: &str) -> String {
        let (old_masked, new_masked) = (self.masked(), new.masked());
        let old_shown: Vec<&str> = old_masked.lines().collect();
        let new_shown: Vec<&str> = new_masked.lines().collect();
        let diff = TextDiff::from_lines(self.text.expose_secret(), new.text.expose_secret());
        let mut out = String::new();
        for group in diff.grouped_ops(CONTEXT) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            if out.is_empty() {
                // Writing into a String cannot fail.
                let _ = write!(out, "--- {name}\n+++ {name}\n");
            }
            let old = first.old_range().start..last.old_range().end;
            let new = first.new_range().start..last.new_range().end;
            let _ = writeln!(out, "@@ -{} +{} @@", span(&old), span(&new));
            for op in group {
                let removed = old_shown.get(op.old_range()).unwrap_or_default();
                let added = new_shown.get(op.new_range()).unwrap_or_default();
                let (removed_mark, added) = match op.tag() {
                    DiffTag::Equal => (' ', &[][..]),
                    DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => ('-', added),
                };
                let removed = removed.iter().map(|line| (removed_mark, *line));
                for (mark, line) in removed.chain(added.iter().map(|line| ('+', *line))) {
                    let _ = writeln!(out, "{mark}{line}");
                }
            }
        }
        out
    }
}

/// A range of lines as unified diffs write it: counted from 1, and for none the line before.
fn span(lines: &std::ops::Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        count => format!("{},{count}", lines.start + 1),
    }
}
