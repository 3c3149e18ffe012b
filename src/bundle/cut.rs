//! Taking things out of a document: whole lines of block style, or a part of brackets or braces with its comma.

use super::excerpt::Rewritten;
use super::refusal::{Problem, Refusal};
use super::text::{Splice, colon_end, is_first_on_line, line_start, next_line, skip_blank, value_range};
use super::tree::{Node, Pair};
use super::{ConfigYaml, Edit};

/// Where something is taken out.
pub(super) struct Cut<'a> {
    pub(super) document: &'a ConfigYaml,
    /// Whether the text ended with a line break before we came.
    pub(super) last_break: bool,
}

impl Cut<'_> {
    /// Takes a pair out of a mapping that has others.
    pub(super) fn pair(
        &self,
        mapping: &Node,
        at: usize,
        is_meant: impl Fn(&Rewritten) -> bool,
    ) -> Result<Edit, Refusal> {
        let body = self.document.body();
        let (pairs, Some(pair)) = (mapping.pairs(), mapping.pairs().get(at)) else { return Ok(Edit::Unchanged) };
        let (_, end) = value_range(body, pair)?;
        if !mapping.is_flow() {
            return self.lines((pair.key.start, end), is_meant);
        }
        let before = at.checked_sub(1).map(|before| value_range(body, &pairs[before])).transpose()?;
        let range = in_brackets(body, before.map(|(_, end)| end), (pair.key.start, end));
        self.document.finish(vec![Splice::replace(range, String::new())], is_meant)
    }

    /// Takes an item out of a key's list.
    pub(super) fn item(
        &self,
        pair: &Pair,
        items: &[Node],
        at: usize,
        is_meant: impl Fn(&Rewritten) -> bool,
    ) -> Result<Edit, Refusal> {
        let body = self.document.body();
        let Some(item) = items.get(at) else { return Ok(Edit::Unchanged) };
        let colon = colon_end(body, pair)?;
        if items.len() == 1 {
            let range = (colon, pair.value.end);
            return self.document.finish(vec![Splice::replace(range, " []".to_owned())], is_meant);
        }
        let before = at.checked_sub(1).map(|before| items[before].end);
        if pair.value.is_flow() {
            let range = in_brackets(body, before, (item.start, item.end));
            return self.document.finish(vec![Splice::replace(range, String::new())], is_meant);
        }
        let dash = skip_blank(body, before.unwrap_or(colon));
        if body.as_bytes().get(dash) != Some(&b'-') {
            return Err(item.refuse(Problem::OddNotation));
        }
        self.lines((dash, item.end), is_meant)
    }

    /// Takes whole lines out.
    fn lines(&self, (start, end): (usize, usize), is_meant: impl Fn(&Rewritten) -> bool) -> Result<Edit, Refusal> {
        let body = self.document.body();
        if !is_first_on_line(body, start) {
            return Err(Refusal::whole(Problem::CannotVerify));
        }
        let (start, end) = (line_start(body, start), next_line(body, end));
        let cut = |start| self.document.finish(vec![Splice::replace((start, end), String::new())], &is_meant);
        if self.last_break || end < body.len() {
            return cut(start);
        }
        // A text without a last line break gets its end back, unless that is the end of somebody's text block.
        let before = body.get(..start).unwrap_or_default();
        let without = before.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        cut(without.unwrap_or(before).len()).or_else(|_| cut(start))
    }
}

/// The range to take out with something in brackets or braces: with the comma before it, or with the one after it
/// where a comment stands before it or nothing does.
fn in_brackets(body: &str, before: Option<usize>, (start, end): (usize, usize)) -> (usize, usize) {
    if let Some(before) = before
        && body.get(before..start).is_some_and(|between| between.trim() == ",")
    {
        return (before, end);
    }
    let after = body.get(end..).unwrap_or_default();
    match after.trim_start().strip_prefix(',') {
        Some(rest) => (start, body.len() - rest.trim_start().len()),
        None => (start, end),
    }
}
