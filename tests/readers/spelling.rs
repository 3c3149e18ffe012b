//! A document's text: what it says, spelled in one of the many ways in which people and programs spell it.

use fastrand::Rng;

/// What a document says.
#[derive(Clone)]
pub(crate) enum Tree {
    /// A string, in any spelling that all readers take for it.
    Text(String),
    /// A scalar or a flow collection, spelled exactly so, on one line.
    Spelled(&'static str),
    /// Several lines, the first behind the key. Where braces allow no such thing, a string instead.
    Lines(&'static [&'static str]),
    /// Nothing at all: null.
    Nothing,
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
}

const COMMENTS: [&str; 9] = [
    "# a comment",
    "#",
    "#no space",
    "# it's \"half quoted",
    "# key: [a, {b: c}]",
    "# - dash",
    "# tab\there",
    "# ü 🐟",
    "# *alias &anchor !tag %",
];

/// How one document is spelled.
pub(crate) struct Speller<'a> {
    pub(crate) rng: &'a mut Rng,
    /// How much deeper a mapping in a mapping stands.
    step: usize,
    /// How much deeper than its key a list's dash stands.
    dash: usize,
    /// From a dash to what follows it.
    gap: usize,
    /// Of 100 lines, how many have a comment.
    comments: u8,
    /// Of 100 strings, how many are quoted.
    quotes: u8,
    /// Of 100 collections in a block, how many are in braces or brackets.
    braces: u8,
    /// Everything in braces, strings in double quotes, no comments.
    json: bool,
    text: String,
}

impl<'a> Speller<'a> {
    pub(crate) fn new(rng: &'a mut Rng) -> Self {
        let step = *pick(rng, &[2, 2, 2, 4, 4, 3, 1]);
        let dash = *pick(rng, &[0, 0, step, step, 1, 2]);
        let gap = *pick(rng, &[2, 2, 2, 2, 4, 3]);
        let comments = *pick(rng, &[0, 0, 10, 30]);
        let (quotes, braces) = (*pick(rng, &[0, 20, 50, 100]), *pick(rng, &[0, 10, 30, 80]));
        Self { rng, step, dash, gap, comments, quotes, braces, json: false, text: String::new() }
    }

    /// The text of a mapping in block style.
    pub(crate) fn block(mut self, pairs: &[(Tree, Tree)]) -> String {
        if self.chance(5) {
            self.text.push_str("# first\n---\n");
        }
        let column = if self.chance(4) { 2 } else { 0 };
        self.pairs(pairs, column, false);
        self.text
    }

    /// The text of a mapping in braces.
    pub(crate) fn flow(mut self, pairs: &[(Tree, Tree)]) -> String {
        self.json = self.chance(60);
        let tall = self.chance(60).then_some(0);
        let map = Tree::Map(pairs.to_vec());
        self.in_flow(&map, tall);
        self.text.push('\n');
        self.text
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }

    fn spaces(&mut self, count: usize) {
        self.text.extend(std::iter::repeat_n(' ', count));
    }

    /// Ends a line, now and then with a comment behind it and lines of comments below it.
    fn end_line(&mut self) {
        if self.chance(self.comments) {
            let comment = *pick(self.rng, &COMMENTS);
            self.text.push(' ');
            self.text.push_str(comment);
        } else if self.chance(2) {
            self.text.push(' ');
        }
        self.text.push('\n');
        while self.chance(self.comments / 2) {
            let (column, comment) = (self.rng.usize(0..9), *pick(self.rng, &COMMENTS));
            self.spaces(column);
            self.text.push_str(comment);
            self.text.push('\n');
        }
        if self.comments > 0 && self.chance(5) {
            let spaces = *pick(self.rng, &[0, 0, 1, 4]);
            self.spaces(spaces);
            self.text.push('\n');
        }
    }

    fn pairs(&mut self, pairs: &[(Tree, Tree)], column: usize, behind_dash: bool) {
        for (i, (key, value)) in pairs.iter().enumerate() {
            if i > 0 || !behind_dash {
                self.spaces(column);
            }
            self.scalar(key);
            self.text.push_str(if self.rng.u8(0..100) < 2 { " :" } else { ":" });
            let deeper = column + self.step;
            match value {
                Tree::List(items) if !items.is_empty() && !self.chance(self.braces) => {
                    self.end_line();
                    self.items(items, column + self.dash, false);
                }
                Tree::Map(pairs) if !pairs.is_empty() && !self.chance(self.braces) => {
                    self.end_line();
                    self.pairs(pairs, deeper, false);
                }
                value => self.behind(value, deeper),
            }
        }
    }

    fn items(&mut self, items: &[Tree], column: usize, behind_dash: bool) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 || !behind_dash {
                self.spaces(column);
            }
            self.text.push('-');
            let deeper = column + self.gap;
            match item {
                Tree::Map(pairs) if !pairs.is_empty() && !self.chance(self.braces) => {
                    let own_line = self.chance(8);
                    self.open_behind_dash(own_line);
                    self.pairs(pairs, deeper, !own_line);
                }
                Tree::List(items) if !items.is_empty() && !self.chance(self.braces) => {
                    let own_line = self.chance(8);
                    self.open_behind_dash(own_line);
                    self.items(items, deeper, !own_line);
                }
                item => self.behind(item, deeper),
            }
        }
    }

    fn open_behind_dash(&mut self, own_line: bool) {
        if own_line {
            self.end_line();
        } else {
            self.spaces(self.gap - 1);
        }
    }

    /// What stands behind a colon or a dash, to the end of the line or lines.
    fn behind(&mut self, value: &Tree, deeper: usize) {
        if matches!(value, Tree::Nothing) {
            return self.end_line();
        }
        if self.chance(4) && !matches!(value, Tree::Lines(_)) {
            // On a line of its own.
            self.end_line();
            self.spaces(deeper);
        } else {
            let spaces = if self.chance(10) { 3 } else { 1 };
            self.spaces(spaces);
        }
        if let Tree::Lines(lines) = value {
            for (i, line) in lines.iter().enumerate() {
                if i > 0 {
                    self.text.push('\n');
                    self.spaces(if line.is_empty() { 0 } else { deeper });
                }
                self.text.push_str(line);
            }
            self.text.push('\n');
            return;
        }
        // The closing bracket stands below the key, or deeper.
        let closing = *pick(self.rng, &[deeper, deeper.saturating_sub(self.step)]);
        let tall = self.chance(20).then_some(closing);
        self.in_flow(value, tall);
        self.end_line();
    }

    /// In braces and brackets; `tall` is the column of the line on which they begin, if they take lines of their own.
    fn in_flow(&mut self, value: &Tree, tall: Option<usize>) {
        let (open, close, count) = match value {
            Tree::List(items) => ('[', ']', items.len()),
            Tree::Map(pairs) => ('{', '}', pairs.len()),
            scalar => return self.scalar(scalar),
        };
        self.text.push(open);
        let inside = tall.map(|column| column + self.step).filter(|_| count > 0);
        let pad = self.chance(20);
        for i in 0..count {
            self.break_flow(inside, i > 0 || pad);
            match value {
                Tree::Map(pairs) => {
                    let (key, value) = &pairs[i];
                    self.scalar(key);
                    let tight = self.json && self.chance(20);
                    self.text.push_str(if tight { ":" } else { ": " });
                    self.in_flow(value, inside);
                }
                Tree::List(items) => self.in_flow(&items[i], inside),
                _ => {}
            }
            if i + 1 < count || (!self.json && self.chance(10)) {
                self.text.push(',');
            }
        }
        self.break_flow(inside.and(tall), pad);
        self.text.push(close);
    }

    fn break_flow(&mut self, column: Option<usize>, space: bool) {
        match column {
            Some(column) => {
                if !self.json && self.chance(self.comments) {
                    let comment = *pick(self.rng, &COMMENTS);
                    self.text.push(' ');
                    self.text.push_str(comment);
                }
                self.text.push('\n');
                self.spaces(column);
            }
            None => self.spaces(usize::from(space)),
        }
    }

    fn scalar(&mut self, value: &Tree) {
        match value {
            Tree::Text(text) => self.string(text),
            Tree::Spelled(text) => self.text.push_str(text),
            Tree::Lines(lines) => self.string(lines[0]),
            Tree::Nothing | Tree::List(_) | Tree::Map(_) => self.text.push_str("null"),
        }
    }

    fn string(&mut self, text: &str) {
        let plain = !self.json && is_plain(text) && !self.chance(self.quotes);
        let spelled = if plain {
            text.to_owned()
        } else if self.json || text.contains(char::is_control) || self.chance(50) {
            // JSON's escapes are YAML's.
            serde_json::to_string(text).unwrap()
        } else {
            format!("'{}'", text.replace('\'', "''"))
        };
        self.text.push_str(&spelled);
    }
}

/// Whether every reader takes the text for a string without quotes, in braces too.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:+=".contains(&b))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

pub(crate) fn pick<'a, T>(rng: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.usize(0..choices.len())]
}
