//! An edit in the making: the splices that the rooms next door add up.

use secrecy::{ExposeSecret, SecretString};

use super::layout::Layout;
use super::refusal::Refusal;
use super::text::{self, Splice};
use super::tree::Node;
use super::{ConfigYaml, STORAGE};

/// An edit in the making.
pub(super) struct Draft<'a> {
    pub(super) body: &'a str,
    pub(super) root: &'a Node,
    pub(super) layout: Layout,
    pub(super) splices: Vec<Splice>,
    /// Keys that the top level does not have yet: each as lines of block style and as a pair in braces.
    pub(super) added: Vec<(Vec<String>, String)>,
}

impl<'a> Draft<'a> {
    pub(super) fn of(document: &'a ConfigYaml) -> Self {
        let (body, root) = (document.body(), &document.root);
        let layout = Layout::of(body, root, root.get(STORAGE));
        Self { body, root, layout, splices: Vec::new(), added: Vec::new() }
    }

    /// The indentation of a top-level line in braces, where braces take lines of their own.
    pub(super) fn tall_base(&self) -> Option<usize> {
        let first = self.root.pairs().first().filter(|pair| text::is_first_on_line(self.body, pair.key.start));
        let base = first.map_or(self.layout.step, |pair| pair.key.column);
        self.layout.tall.then_some(base)
    }

    pub(super) fn add_top_level(&mut self) -> Result<(), Refusal> {
        if self.added.is_empty() {
            return Ok(());
        }
        let added = std::mem::take(&mut self.added);
        let Some(last) = self.root.pairs().last() else {
            let pairs: Vec<String> = added.into_iter().map(|(_, pair)| pair).collect();
            let base = self.layout.tall.then_some(0);
            let text = self.layout.enclose('{', &pairs, '}', base);
            self.splices.push(Splice::replace((self.root.start, self.root.end), text));
            return Ok(());
        };
        if self.root.is_flow() {
            let between = match self.tall_base() {
                Some(base) if text::is_first_on_line(self.body, last.key.start) => {
                    format!(",{}", self.layout.line(base))
                }
                _ => ", ".to_owned(),
            };
            let text: String = added.into_iter().flat_map(|(_, pair)| [between.clone(), pair]).collect();
            let (start, end) = text::value_range(self.body, last)?;
            let space = if start == end { " " } else { "" };
            self.splices.push(Splice::insert(end, format!("{space}{text}")));
            return Ok(());
        }
        let lines: Vec<String> = added.into_iter().flat_map(|(lines, _)| lines).collect();
        self.add_lines(self.body.len(), &lines, self.root.column);
        Ok(())
    }

    /// Puts lines after the line on which a node ends, and after the comments below it that stand deeper than they do.
    pub(super) fn add_lines_after(&mut self, end: usize, lines: &[String], indentation: usize) {
        let mut at = text::next_line(self.body, end);
        while text::comment_line(self.body, at).is_some_and(|column| column > indentation) {
            at = text::next_line(self.body, at);
        }
        self.add_lines(at, lines, indentation);
    }

    /// The splices, if they take the last lines out of a text without a line break at its end, so that it still has
    /// none. It may be the end of somebody's text block, though.
    pub(super) fn with_open_end(&self) -> Option<Vec<Splice>> {
        if self.body.ends_with('\n') {
            return None;
        }
        let is_removal = |splice: &Splice| splice.start < splice.end && splice.text.expose_secret().is_empty();
        let mut start = self.body.len();
        while let Some(removal) = self.splices.iter().find(|splice| splice.end == start && is_removal(splice)) {
            start = removal.start;
        }
        if start == self.body.len() {
            return None;
        }
        let without = |text: &str| -> Option<usize> {
            let line = text.strip_suffix('\n')?;
            Some(line.strip_suffix('\r').unwrap_or(line).len())
        };
        let mut splices = self.splices.clone();
        if let Some(last) = splices.iter_mut().find(|splice| splice.end == start && !is_removal(splice)) {
            let text = last.text.expose_secret();
            last.text = SecretString::from(text.get(..without(text)?)?.to_owned());
        } else {
            let before = without(self.body.get(..start)?)?;
            splices.push(Splice::replace((before, start), String::new()));
        }
        Some(splices)
    }

    fn add_lines(&mut self, at: usize, lines: &[String], indentation: usize) {
        let mut text = self.layout.lines(lines, indentation);
        if at == self.body.len() && !self.body.ends_with('\n') {
            // A text without a last line break stays one.
            text = format!("{}{}", self.layout.newline, text.trim_end());
        }
        self.splices.push(Splice::insert(at, text));
    }
}
