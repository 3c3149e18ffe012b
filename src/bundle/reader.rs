//! From the parser's events to the tree.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use secrecy::SecretString;

use super::refusal::{Problem, Refusal};
use super::text::skip_blank;
use super::tree::{Kind, Node, Pair, Style};

/// Deeper than this is no config.yaml.
const MAX_DEPTH: usize = 64;
/// More nodes than this, aliases unfolded, are not read.
pub(super) const MAX_UNFOLDED: usize = 1_000_000;

/// The tree of a document, and where its quoted scalars and text blocks are.
pub(super) struct Tree {
    pub(super) root: Node,
    pub(super) opaque: Vec<(usize, usize)>,
    /// Whether there is an alias in it.
    pub(super) aliases: bool,
}

/// Reads one document.
pub(super) fn read(body: &str) -> Result<Tree, Refusal> {
    let mut builder = Builder::new(body);
    for event in Parser::new_from_str(body) {
        let (event, span) = event.map_err(|error| {
            let mark = error.marker();
            let (before, at) = (builder.offset(mark.index().saturating_sub(1)), builder.offset(mark.index()));
            let tab = [before, at].iter().any(|at| body.as_bytes().get(*at) == Some(&b'\t'));
            let (line, column) = builder.place(*mark);
            Refusal::at(line, column + 1, if tab { Problem::Tab } else { Problem::Invalid }).within(body)
        })?;
        builder.take(&event, span)?;
    }
    let root = builder.root.ok_or_else(|| Refusal::whole(Problem::Empty))?;
    if root.weight > MAX_UNFOLDED {
        return Err(Refusal::whole(Problem::AliasesUnfold));
    }
    Ok(Tree { root, opaque: builder.opaque, aliases: builder.aliases })
}

struct Open {
    node: Node,
    anchor: usize,
    key: Option<Node>,
}

struct Builder<'a> {
    body: &'a str,
    /// Byte offsets of characters; none where every character is one byte.
    offsets: Option<Vec<usize>>,
    open: Vec<Open>,
    /// Weights of the anchored nodes that are complete.
    anchors: HashMap<usize, usize>,
    documents: usize,
    root: Option<Node>,
    opaque: Vec<(usize, usize)>,
    aliases: bool,
}

impl<'a> Builder<'a> {
    fn new(body: &'a str) -> Self {
        let offsets = (!body.is_ascii()).then(|| body.char_indices().map(|(at, _)| at).collect());
        let (anchors, opaque) = (HashMap::new(), Vec::new());
        Self { body, offsets, open: Vec::new(), anchors, documents: 0, root: None, opaque, aliases: false }
    }

    fn offset(&self, index: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.body.len()),
            None => index.min(self.body.len()),
        }
    }

    /// The line of a place, and the characters before it. The parser tells the end of a text without a line break as if
    /// it had one.
    fn place(&self, mark: Marker) -> (usize, usize) {
        let at_end = mark.col() == 0 && mark.line() > 1 && self.offset(mark.index()) == self.body.len();
        if !at_end || self.body.ends_with('\n') {
            return (mark.line(), mark.col());
        }
        let last = self.body.rsplit('\n').next().unwrap_or_default();
        (mark.line() - 1, last.chars().count())
    }

    fn node(&self, span: Span, anchor: usize, tagged: bool, kind: Kind) -> Node {
        let (start, end) = (self.offset(span.start.index()), self.offset(span.end.index()));
        let (line, column) = self.place(span.start);
        Node { start, end: end.max(start), line, column, anchored: anchor > 0, tagged, kind, weight: 1 }
    }

    fn take(&mut self, event: &Event<'_>, span: Span) -> Result<(), Refusal> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Refusal::at(span.start.line(), span.start.col() + 1, Problem::SeveralDocuments));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(text, *style, *anchor, tag.is_some(), span)?;
                self.close(node, *anchor)?;
            }
            Event::Alias(anchor) => {
                self.aliases = true;
                let mut node = self.node(span, 0, false, Kind::Alias);
                match self.anchors.get(anchor) {
                    Some(weight) => node.weight = *weight,
                    None => return Err(node.refuse(Problem::AliasesUnfold)),
                }
                self.close(node, 0)?;
            }
            Event::SequenceStart(anchor, tag) => {
                let flow = self.opens_with(span, b'[');
                let node = self.node(span, *anchor, tag.is_some(), Kind::List { items: Vec::new(), flow });
                self.descend(node, *anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                let flow = self.opens_with(span, b'{');
                let node = self.node(span, *anchor, tag.is_some(), Kind::Map { pairs: Vec::new(), flow });
                self.descend(node, *anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.ascend(span)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    /// Whether a collection begins with its bracket, and is not one of block style whose first key does.
    fn opens_with(&self, span: Span, bracket: u8) -> bool {
        let (start, end) = (self.offset(span.start.index()), self.offset(span.end.index()));
        let content = after_properties(self.body, start, end);
        content < end && self.body.as_bytes().get(content) == Some(&bracket)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tagged: bool,
        span: Span,
    ) -> Result<Node, Refusal> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let secret = SecretString::from(text.to_owned());
        let mut node = self.node(span, anchor, tagged, Kind::Scalar { text: secret, style });
        if node.anchored || node.tagged {
            node.start = after_properties(self.body, node.start, node.end);
        }
        let spelled = self.body.get(node.start..node.end).unwrap_or_default();
        let true_position = match style {
            Style::Plain if text.is_empty() => {
                // Nothing stands there; it ends with the colon or the dash that announced it.
                let announced = matches!(self.body.as_bytes().get(node.start), Some(b':' | b'-'));
                node.end = node.end.max(node.start + usize::from(announced));
                true
            }
            Style::Plain if text.contains('?') && self.open.iter().any(|open| open.node.is_flow()) => {
                // In brackets and braces YAML 1.1 ends a plain scalar there.
                return Err(node.refuse(Problem::Invalid));
            }
            Style::Plain => spelled.contains('\n') || spelled == text,
            Style::Quoted => match quoted_length(spelled) {
                Some(length) => {
                    node.end = node.start + length;
                    self.opaque.push((node.start, node.end));
                    true
                }
                None => false,
            },
            Style::Block => {
                self.opaque.push((node.start, node.end));
                node.end = node.start + spelled.trim_end().len();
                if node.end == node.start {
                    // An empty block ends with its header.
                    node.start = self.body.get(..node.start).map_or(node.start, |before| before.trim_end().len());
                    node.end = node.start;
                }
                true
            }
        };
        if true_position { Ok(node) } else { Err(node.refuse(Problem::CannotVerify)) }
    }

    fn descend(&mut self, node: Node, anchor: usize) -> Result<(), Refusal> {
        if self.open.len() >= MAX_DEPTH {
            return Err(node.refuse(Problem::TooDeep));
        }
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    fn ascend(&mut self, span: Span) -> Result<(), Refusal> {
        let Some(Open { mut node, anchor, .. }) = self.open.pop() else {
            return Err(Refusal::whole(Problem::CannotVerify));
        };
        let inside = match &node.kind {
            Kind::List { items, .. } => items.last().map(|item| item.end),
            Kind::Map { pairs, .. } => pairs.last().map(|pair| pair.value.end.max(pair.key.end)),
            Kind::Scalar { .. } | Kind::Alias => None,
        };
        node.end = if node.is_flow() { self.bracket_end(span) } else { inside.unwrap_or(node.start) };
        node.guard_keys()?;
        self.close(node, anchor)
    }

    /// Where a closing bracket ends. The parser's own end takes in the white space and the comment behind it, and of
    /// braces with a comma before them it tells the comma.
    fn bracket_end(&self, span: Span) -> usize {
        let at = self.offset(span.start.index());
        let bytes = self.body.as_bytes();
        let closing = if bytes.get(at) == Some(&b',') { skip_blank(self.body, at + 1) } else { at };
        let at = if bytes.get(closing) == Some(&b'}') { closing } else { at };
        (at + 1).min(self.body.len())
    }

    /// Hands a complete node to the collection that it stands in.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Refusal> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.weight);
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.node.weight = parent.node.weight.saturating_add(node.weight);
        match &mut parent.node.kind {
            Kind::List { items, .. } => items.push(node),
            Kind::Map { pairs, .. } => match parent.key.take() {
                None => parent.key = Some(node),
                Some(key) => pairs.push(Pair { key, value: node }),
            },
            Kind::Scalar { .. } | Kind::Alias => return Err(node.refuse(Problem::CannotVerify)),
        }
        Ok(())
    }
}

/// Where a node's content begins, after its anchor and its tag.
pub(super) fn after_properties(body: &str, start: usize, end: usize) -> usize {
    let mut at = start;
    while let Some(rest) = body.get(at..end) {
        let rest_trimmed = rest.trim_start();
        at += rest.len() - rest_trimmed.len();
        if rest_trimmed.starts_with(['&', '!']) {
            at += rest_trimmed.find(char::is_whitespace).unwrap_or(rest_trimmed.len());
        } else if rest_trimmed.starts_with('#') {
            at += rest_trimmed.find('\n').unwrap_or(rest_trimmed.len());
        } else {
            break;
        }
    }
    at
}

/// The length of the quoted scalar that a text begins with, quotes included.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.bytes().next().filter(|b| matches!(b, b'"' | b'\''))?;
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(&b) = bytes.get(at) {
        let doubled = quote == b'\'' && bytes.get(at + 1) == Some(&b'\'');
        match b {
            b'\\' if quote == b'"' => at += 2,
            b'\'' if doubled => at += 2,
            _ if b == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}
