//! What an edit changes, for people: a unified diff in which every secret value is masked, on every line.

use std::fmt::Write as _;

use secrecy::ExposeSecret as _;
use similar::{DiffOp, DiffTag, TextDiff};

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
                write_lines(&mut out, lines(op, &old_shown, &new_shown));
            }
        }
        out
    }

    /// The lines that go and come, masked, without the lines around them.
    pub fn changed_lines(&self, new: &Self) -> String {
        let (old_masked, new_masked) = (self.masked(), new.masked());
        let (old_shown, new_shown): (Vec<&str>, Vec<&str>) =
            (old_masked.lines().collect(), new_masked.lines().collect());
        let diff = TextDiff::from_lines(self.text.expose_secret(), new.text.expose_secret());
        let mut out = String::new();
        for op in diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal) {
            write_lines(&mut out, lines(*op, &old_shown, &new_shown));
        }
        out
    }
}

/// The lines of a part of a diff, with their marks.
fn lines<'a>(op: DiffOp, old: &[&'a str], new: &[&'a str]) -> impl Iterator<Item = (char, &'a str)> {
    let removed = old.get(op.old_range()).unwrap_or_default().to_vec();
    let (removed_mark, added) = match op.tag() {
        DiffTag::Equal => (' ', Vec::new()),
        DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
            ('-', new.get(op.new_range()).unwrap_or_default().to_vec())
        }
    };
    removed.into_iter().map(move |line| (removed_mark, line)).chain(added.into_iter().map(|line| ('+', line)))
}

fn write_lines<'a>(out: &mut String, lines: impl Iterator<Item = (char, &'a str)>) {
    for (mark, line) in lines {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{mark}{line}");
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
