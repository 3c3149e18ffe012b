//! Where in a document's text its fields stand.

use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// The way to a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

impl FieldPath {
    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    pub(super) fn item(&self, index: usize) -> Self {
        self.step(Step::Item(index))
    }

    pub(super) fn joined(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    fn step(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// A field's value, by the position of its key.
pub(super) struct Field {
    pub(super) key_column: usize,
    /// Byte offset behind the key.
    pub(super) key_end: usize,
    /// Byte offset at which the parser has the value begin. That of a text block is behind its header.
    pub(super) start: usize,
    /// Byte offset at which the parser has it end: exact for a plain scalar alone.
    pub(super) end: usize,
    /// How a scalar is written; none for everything else.
    pub(super) style: Option<ScalarStyle>,
}

/// The fields of one document. It holds none of their values.
pub(super) struct Fields<'a> {
    text: &'a str,
    root: Option<Node>,
}

struct Node {
    span: Span,
    kind: Kind,
}

enum Kind {
    Scalar(ScalarStyle),
    Alias,
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

struct Key {
    name: Option<String>,
    span: Span,
}

impl<'a> Fields<'a> {
    /// Finds the fields of a document that another parser has read, which bounds its depth. Where this one does not
    /// read it nothing is found.
    pub(super) fn of(text: &'a str) -> Self {
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text) {
            match event {
                Ok((event, span)) => builder.take(&event, span),
                Err(_) => return Self { text, root: None },
            }
        }
        Self { text, root: builder.root }
    }

    /// The line, counted from 1, of a field or of what is nearest above it.
    pub(super) fn line(&self, path: &FieldPath) -> Option<usize> {
        let mut node = self.root.as_ref()?;
        let mut line = node.span.start.line();
        for step in &path.0 {
            match (&node.kind, step) {
                (Kind::Map(pairs), Step::Key(name)) => {
                    let Some((key, value)) = pair(pairs, name) else { break };
                    (line, node) = (key.span.start.line(), value);
                }
                (Kind::List(items), Step::Item(index)) => {
                    let Some(item) = items.get(*index) else { break };
                    (line, node) = (item.span.start.line(), item);
                }
                _ => break,
            }
        }
        Some(line)
    }

    /// A field of a mapping of the top level.
    pub(super) fn field(&self, section: &str, name: &str) -> Option<Field> {
        let Kind::Map(sections) = &self.root.as_ref()?.kind else { return None };
        let Kind::Map(pairs) = &pair(sections, section)?.1.kind else { return None };
        let (key, value) = pair(pairs, name)?;
        let style = match &value.kind {
            Kind::Scalar(style) => Some(*style),
            Kind::Alias | Kind::List(_) | Kind::Map(_) => None,
        };
        let offset = |index: usize| self.text.char_indices().nth(index).map_or(self.text.len(), |(at, _)| at);
        Some(Field {
            key_column: key.span.start.col(),
            key_end: offset(key.span.end.index()),
            start: offset(value.span.start.index()),
            end: offset(value.span.end.index()),
            style,
        })
    }
}

fn pair<'a>(pairs: &'a [(Key, Node)], name: &str) -> Option<(&'a Key, &'a Node)> {
    pairs.iter().find(|(key, _)| key.name.as_deref() == Some(name)).map(|(key, value)| (key, value))
}

#[derive(Default)]
struct Builder {
    open: Vec<(Node, Option<Key>)>,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: &Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, ..) => self.close(Node { span, kind: Kind::Scalar(*style) }, Some(text)),
            Event::Alias(_) => self.close(Node { span, kind: Kind::Alias }, None),
            Event::SequenceStart(..) => self.open.push((Node { span, kind: Kind::List(Vec::new()) }, None)),
            Event::MappingStart(..) => self.open.push((Node { span, kind: Kind::Map(Vec::new()) }, None)),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((node, _)) = self.open.pop() {
                    self.close(node, None);
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
    }

    fn close(&mut self, node: Node, text: Option<&str>) {
        let Some((parent, key)) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        match &mut parent.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(pairs) => match key.take() {
                None => *key = Some(Key { name: text.map(str::to_owned), span: node.span }),
                Some(key) => pairs.push((key, node)),
            },
            Kind::Scalar(_) | Kind::Alias => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_the_line_of_its_key_and_what_is_missing_that_of_what_it_is_missing_from() {
        let fields =
            Fields::of("# c\nspec:\n  é: ü\n  locations:\n  - name: a\n    auth:\n      x: 1\n  - {name: b}\n");
        let locations = FieldPath::default().key("spec").key("locations");
        for (path, line) in [
            (FieldPath::default(), 2),
            (locations.clone(), 4),
            (locations.item(0).key("auth").key("x"), 7),
            (locations.item(0).key("auth").key("accessKey"), 6),
            (locations.item(1).key("name"), 8),
            (locations.item(7), 4),
        ] {
            assert_eq!(fields.line(&path), Some(line), "{path}");
        }
        assert_eq!(locations.item(0).key("auth").to_string(), "spec.locations[0].auth");
        assert_eq!(Fields::of("a: [").line(&locations), None);
    }
}
