//! A stream of manifests, cut into its documents, and where each stands.

use std::cell::OnceCell;
use std::fmt;

use super::position::{FieldPath, Fields};

/// Where a manifest stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as the user called it.
    pub file: String,
    /// Which of its documents, counted from 1.
    pub document: usize,
    /// The line in the file, counted from 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, document {} (line {})", self.file, self.document, self.line)
    }
}

/// A document with all the text that belongs to it: the comments before its `---`, and those before the next one's.
/// The documents' texts together are the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// The line of the stream on which the text begins.
    pub(super) first_line: usize,
    /// The line of the stream on which its content begins; none where there are only comments.
    pub(super) content_line: Option<usize>,
    /// Whether it begins with `---`, so that it can follow another.
    pub(super) marked: bool,
}

/// A document that holds manifests. Of a long list each item is asked for its place, so the fields are found once.
pub(super) struct Source<'a> {
    pub(super) document: Document<'a>,
    pub(super) origin: Origin,
    fields: OnceCell<Fields<'a>>,
    json: OnceCell<bool>,
}

impl<'a> Source<'a> {
    /// None for a document that holds nothing.
    pub(super) fn new(file: &str, index: usize, document: Document<'a>) -> Option<Self> {
        let origin = Origin { file: file.to_owned(), document: index + 1, line: document.content_line? };
        Some(Self { document, origin, fields: OnceCell::new(), json: OnceCell::new() })
    }

    /// The place of a field.
    pub(super) fn at(&self, path: &FieldPath) -> Origin {
        if path.is_root() {
            return self.origin.clone();
        }
        let fields = self.fields.get_or_init(|| Fields::of(self.document.text));
        let line = fields.line(path).map_or(self.origin.line, |line| self.document.first_line + line - 1);
        Origin { line, ..self.origin.clone() }
    }

    pub(super) fn is_json(&self) -> bool {
        *self.json.get_or_init(|| {
            let text = self.document.text.trim_start();
            let text = text.strip_prefix("---").unwrap_or(text);
            serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        })
    }
}

/// Cuts a stream. A line that begins with `---` or `...` ends a document wherever it stands, in quotes too, so that
/// no parser is needed, and what another document has in it does not matter.
pub(super) fn documents(stream: &str) -> Vec<Document<'_>> {
    let mut documents: Vec<Document<'_>> = Vec::new();
    let (mut start, mut first_line, mut at) = (0, 1, 0);
    let (mut marked, mut content_line) = (false, None);
    for (index, line) in stream.split_inclusive('\n').enumerate() {
        let number = index + 1;
        let bare = if at == 0 { line.trim_start_matches('\u{feff}') } else { line };
        let (begins, ends) = (marks(bare, "---"), marks(bare, "..."));
        let has_something = marked || content_line.is_some();
        let cut = at + if ends { line.len() } else { 0 };
        if (begins || ends) && has_something {
            documents.push(Document { text: &stream[start..cut], first_line, content_line, marked });
            (start, first_line) = (cut, number + usize::from(ends));
            (marked, content_line) = (false, None);
        }
        let content = if begins { &bare[3..] } else { bare };
        if !ends && content_line.is_none() && is_content(content, begins || marked) {
            content_line = Some(number);
        }
        marked |= begins;
        at += line.len();
    }
    match documents.last_mut() {
        // Comments at the very end belong to the last one.
        Some(last) if !marked && content_line.is_none() => {
            last.text = &stream[stream.len() - last.text.len() - (stream.len() - start)..];
        }
        _ => documents.push(Document { text: &stream[start..], first_line, content_line, marked }),
    }
    documents
}

fn marks(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Directives stand before the `---`.
fn is_content(line: &str, after_marker: bool) -> bool {
    let text = line.trim();
    !(text.is_empty() || text.starts_with('#') || (!after_marker && line.starts_with('%')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(stream: &str) -> Vec<(&str, Option<usize>, bool)> {
        let documents = documents(stream);
        assert_eq!(documents.iter().map(|document| document.text).collect::<String>(), stream);
        let mut line = 1;
        for document in &documents {
            assert_eq!(document.first_line, line, "{stream:?}");
            line += document.text.matches('\n').count();
        }
        documents.into_iter().map(|document| (document.text, document.content_line, document.marked)).collect()
    }

    #[test]
    fn a_stream_is_cut_before_each_document_and_loses_nothing() {
        assert_eq!(cut("a: 1\n"), [("a: 1\n", Some(1), false)]);
        assert_eq!(cut("# c\n---\n# d\na: 1\n"), [("# c\n---\n# d\na: 1\n", Some(4), true)]);
        assert_eq!(
            cut("\u{feff}---\na: 1\n--- # b\nb: 2\n# end"),
            [("\u{feff}---\na: 1\n", Some(2), true), ("--- # b\nb: 2\n# end", Some(4), true)]
        );
        assert_eq!(
            cut("a: 1\n...\n# c\n%YAML 1.1\n---\nb: |\n  ---\n"),
            [("a: 1\n...\n", Some(1), false), ("# c\n%YAML 1.1\n---\nb: |\n  ---\n", Some(6), true)]
        );
        assert_eq!(cut("a: 1\n...\n\n# c\n"), [("a: 1\n...\n\n# c\n", Some(1), false)]);
        assert_eq!(cut("---\n---\n{a: 1}"), [("---\n", None, true), ("---\n{a: 1}", Some(3), true)]);
        assert_eq!(cut("--- {a: 1}\n---b: 2\n"), [("--- {a: 1}\n---b: 2\n", Some(1), true)]);
        assert_eq!(cut(""), [("", None, false)]);
    }
}
