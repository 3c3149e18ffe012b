//! Proof without reading all of a large document again.
//!
//! Where the top level is of block style, its keys begin at column 0, and such a line is the same to a YAML reader
//! whatever stands before it: it ends everything that is open but the top level itself, which it continues. The text
//! from one key to the next is therefore read alike in any company, as long as
//!
//! - nothing reaches across: no alias in the whole document, no directive, no second document;
//! - it is complete: quotes, brackets and braces that are open at its end leave no key at the seam;
//! - no key of it is one of the others'.
//!
//! An excerpt is made of those parts of the new text that have changed, each with the part before it and the one behind
//! it, so that both parsers see the seams of a change, and of what is ours. It is read and compared in place of the
//! whole; the parts that are left out have been read before, and are the same byte for byte. What is not plainly such a
//! document is read as a whole.

use secrecy::{ExposeSecret, SecretString};

use super::reader::MAX_UNFOLDED;
use super::text::{Splice, apply};
use super::tree::{Kind, Node, Pair};
use super::{ConfigYaml, OURS};

/// The new text as it reads: all of it, or an excerpt.
pub(super) struct Rewritten {
    pub(super) document: ConfigYaml,
    /// Of each pair of the old top level, whether it was read again; `None` where all were.
    again: Option<Vec<bool>>,
}

impl Rewritten {
    /// Reads the whole text.
    pub(super) fn whole(new: &str) -> Option<Self> {
        let document = ConfigYaml::parse(new.as_bytes()).ok().filter(|document| document.mark == 0)?;
        Some(Self { document, again: None })
    }

    /// Reads an excerpt, if the document is one of which parts can be read by themselves. The splices are in order.
    pub(super) fn excerpt(old: &ConfigYaml, splices: &[Splice]) -> Option<Self> {
        let parts = Parts::of(old)?;
        let again = parts.to_read(splices)?;
        let (text, seams) = parts.read_again(splices, &again)?;
        let document = ConfigYaml::parse(text.expose_secret().as_bytes()).ok()?;
        let whole_weight = old.root.weight.saturating_add(document.root.weight);
        let is_usual = document.mark == 0 && !document.aliases && whole_weight <= MAX_UNFOLDED;
        let complete = seams.iter().all(|seam| {
            let at = document.root.pairs().binary_search_by_key(seam, |pair| pair.key.start);
            at.is_ok_and(|at| is_at_column_0(text.expose_secret(), &document.root.pairs()[at].key))
        });
        let alone = document.root.pairs().iter().all(|pair| parts.may_have(pair, &again));
        (is_usual && complete && alone).then_some(Self { document, again: Some(again) })
    }

    /// Whether a pair of the old top level is to be found in what was read.
    pub(super) fn has(&self, at: usize) -> bool {
        self.again.as_ref().is_none_or(|again| again.get(at) == Some(&true))
    }
}

/// A document's top level, of which each pair has lines of its own.
struct Parts<'a> {
    body: &'a str,
    pairs: &'a [Pair],
}

impl<'a> Parts<'a> {
    fn of(document: &'a ConfigYaml) -> Option<Self> {
        let Kind::Map { pairs, flow: false } = &document.root.kind else { return None };
        let body = document.body();
        let separate = !document.aliases && pairs.iter().all(|pair| is_at_column_0(body, &pair.key));
        separate.then_some(Self { body, pairs })
    }

    fn start(&self, at: usize) -> usize {
        self.pairs.get(at).map_or(self.body.len(), |pair| pair.key.start)
    }

    /// Which of the pairs to read again.
    fn to_read(&self, splices: &[Splice]) -> Option<Vec<bool>> {
        let is_ours = |pair: &Pair| pair.key.text().is_some_and(|key| OURS.contains(&key));
        let mut again: Vec<bool> = self.pairs.iter().map(is_ours).collect();
        for splice in splices {
            // What is put between two pairs belongs to the first of them.
            let inserted = splice.start == splice.end;
            let before = |pair: &Pair| pair.key.start < splice.start || (!inserted && pair.key.start == splice.start);
            let first = self.pairs.partition_point(before);
            let end = self.pairs.partition_point(|pair| pair.key.start < splice.end);
            let (first, last) = (first.checked_sub(1)?, end.checked_sub(1)?);
            again.get_mut(first.saturating_sub(1)..(last + 2).min(self.pairs.len()))?.fill(true);
        }
        Some(again)
    }

    /// The new text of those pairs, and where in it the text is put together.
    fn read_again(&self, splices: &[Splice], again: &[bool]) -> Option<(SecretString, Vec<usize>)> {
        let parts =
            (0..again.len()).filter(|at| again[*at]).map(|at| self.start(at + 1).saturating_sub(self.start(at)));
        let added = splices.iter().map(|splice| splice.text.expose_secret().len());
        // What grows leaves its old bytes behind.
        let mut out = String::with_capacity(parts.chain(added).sum());
        let (mut seams, mut splices) = (Vec::new(), splices);
        let mut at = 0;
        while at < again.len() {
            let length = again[at..].iter().take_while(|again| **again).count();
            if length == 0 {
                at += 1;
                continue;
            }
            let (start, end) = (self.start(at), self.start(at + length));
            let these = splices.partition_point(|splice| splice.end <= end);
            let (here, others) = splices.split_at_checked(these)?;
            let seam = out.len();
            apply(self.body, (start, end), here, &mut out)?;
            if !(end == self.body.len() || out.ends_with('\n')) {
                return None;
            }
            seams.push(seam);
            (splices, at) = (others, at + length);
        }
        splices.is_empty().then(|| (SecretString::from(out), seams))
    }

    /// Whether a pair of the excerpt is none of those that are left out.
    fn may_have(&self, pair: &Pair, again: &[bool]) -> bool {
        let old = |read: bool| self.pairs.iter().zip(again).filter(move |(_, again)| **again == read);
        let is_new =
            || pair.key.string().is_some_and(|text| old(false).all(|(other, _)| other.key.text() != Some(text)));
        old(true).any(|(other, _)| other.key.same(&pair.key)) || is_new()
    }
}

fn is_at_column_0(body: &str, key: &Node) -> bool {
    let before = body.get(..key.start);
    let begins_a_line = before.is_some_and(|before| before.is_empty() || before.ends_with('\n'));
    begins_a_line && key.column == 0 && !key.anchored && !key.tagged && key.text().is_some()
}
