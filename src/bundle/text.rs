//! Places in the text: what stands before, between and after nodes, and the splices that change it.

use secrecy::{ExposeSecret, SecretString};

use super::reader::after_properties;
use super::refusal::{Problem, Refusal};
use super::tree::{Kind, Node, Pair, Style};

/// A range of bytes and what shall stand there instead.
#[derive(Clone)]
pub(super) struct Splice {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: SecretString,
}

impl Splice {
    pub(super) fn replace((start, end): (usize, usize), text: String) -> Self {
        Self { start, end, text: SecretString::from(text) }
    }

    pub(super) fn insert(at: usize, text: String) -> Self {
        Self::replace((at, at), text)
    }
}

/// Appends a part of the text with all splices made, which are in order, to another; `None` where they overlap or do
/// not fit it.
pub(super) fn apply(body: &str, (start, end): (usize, usize), splices: &[Splice], out: &mut String) -> Option<()> {
    let added: usize = splices.iter().map(|splice| splice.text.expose_secret().len()).sum();
    // Grown at once, so that no old bytes of it are left behind.
    out.reserve(end.checked_sub(start)? + added);
    let mut at = start;
    for splice in splices {
        out.push_str(body.get(at..splice.start)?);
        out.push_str(splice.text.expose_secret());
        at = splice.end.max(splice.start);
    }
    out.push_str(body.get(at..end)?);
    Some(())
}

/// Whether the new text is the old one outside of the splices, byte for byte.
pub(super) fn only_spliced(body: &str, splices: &[Splice], new: &str) -> bool {
    let (mut old_rest, mut new_rest, mut at) = (body, new, 0);
    for splice in splices {
        let Some(kept) = splice.start.checked_sub(at) else { return false };
        let (Some((old_kept, old_after)), Some((new_kept, new_after))) =
            (old_rest.split_at_checked(kept), new_rest.split_at_checked(kept))
        else {
            return false;
        };
        let (Some(old_next), Some(new_next)) =
            (old_after.get(splice.end - splice.start..), new_after.strip_prefix(splice.text.expose_secret()))
        else {
            return false;
        };
        if old_kept != new_kept {
            return false;
        }
        (old_rest, new_rest, at) = (old_next, new_next, splice.end);
    }
    old_rest == new_rest
}

/// The first place from `at` on that is neither white space nor a comment.
pub(super) fn skip_blank(body: &str, at: usize) -> usize {
    let bytes = body.as_bytes();
    let mut at = at;
    while let Some(b) = bytes.get(at) {
        match b {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'#' => at = line_break(body, at),
            _ => break,
        }
    }
    at
}

/// Where the line break (or the end of the text) is that ends the line of `at`.
pub(super) fn line_break(body: &str, at: usize) -> usize {
    match body.get(at..).and_then(|rest| rest.find('\n')) {
        Some(length) => {
            let end = at + length;
            if end > at && body.as_bytes().get(end - 1) == Some(&b'\r') { end - 1 } else { end }
        }
        None => body.len(),
    }
}

/// Where the next line begins, or the end of the text.
pub(super) fn next_line(body: &str, at: usize) -> usize {
    body.get(at..).and_then(|rest| rest.find('\n')).map_or(body.len(), |length| at + length + 1)
}

/// Of a line that holds nothing but a comment: how far it is indented.
pub(super) fn comment_line(body: &str, start: usize) -> Option<usize> {
    let line = body.get(start..)?;
    let spaces = line.len() - line.trim_start_matches(' ').len();
    line[spaces..].starts_with('#').then_some(spaces)
}

/// Where the line of `at` begins.
pub(super) fn line_start(body: &str, at: usize) -> usize {
    body.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
}

/// How many characters stand before `at` on its line.
pub(super) fn column(body: &str, at: usize) -> usize {
    body.get(line_start(body, at)..at).map_or(0, |before| before.chars().count())
}

/// Whether nothing but spaces stands before `at` on its line.
pub(super) fn is_first_on_line(body: &str, at: usize) -> bool {
    body.get(line_start(body, at)..at).is_some_and(|before| before.bytes().all(|b| b == b' '))
}

/// How many spaces the line of `at` begins with.
pub(super) fn indentation(body: &str, at: usize) -> usize {
    let start = line_start(body, at);
    body.get(start..).map_or(0, |line| line.len() - line.trim_start_matches(' ').len())
}

/// Where a pair's colon ends. A key that is not followed by a colon on its line is not one that is edited.
pub(super) fn colon_end(body: &str, pair: &Pair) -> Result<usize, Refusal> {
    let rest = body.get(pair.key.end..).unwrap_or_default();
    let spaces = rest.len() - rest.trim_start_matches(' ').len();
    if rest[spaces..].starts_with(':') {
        Ok(pair.key.end + spaces + 1)
    } else {
        Err(pair.key.refuse(Problem::OddNotation))
    }
}

/// The bytes of a pair's value; an empty range after the colon where there is no value. Of a block list they begin
/// with the first dash, of a text block with its header.
pub(super) fn value_range(body: &str, pair: &Pair) -> Result<(usize, usize), Refusal> {
    let colon = colon_end(body, pair)?;
    let empty = matches!(&pair.value.kind, Kind::Scalar { style: Style::Plain, .. })
        && pair.value.text().is_some_and(str::is_empty);
    if empty {
        return Ok((colon, colon));
    }
    let start = skip_blank(body, colon);
    let expected = match &pair.value.kind {
        Kind::Scalar { style: Style::Block, .. } => matches!(body.as_bytes().get(start), Some(b'|' | b'>')),
        Kind::List { flow: false, .. } => body.as_bytes().get(start) == Some(&b'-'),
        // A scalar begins after its anchor and its tag.
        Kind::Scalar { .. } => after_properties(body, start, pair.value.end) == pair.value.start,
        _ => start == pair.value.start,
    };
    if expected && start <= pair.value.end {
        Ok((start, pair.value.end))
    } else {
        Err(pair.value.refuse(Problem::OddNotation))
    }
}

/// The text block that ends a text without a line break: a line after it may change it.
pub(super) fn open_end<'a>(body: &str, root: &'a Node) -> Option<&'a Node> {
    let mut node = root;
    loop {
        node = match &node.kind {
            Kind::List { items, flow: false } => items.last()?,
            Kind::Map { pairs, flow: false } => &pairs.last()?.value,
            Kind::Scalar { style: Style::Block, .. } if !body.ends_with('\n') => return Some(node),
            _ => return None,
        };
    }
}
