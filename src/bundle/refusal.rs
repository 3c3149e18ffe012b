//! Why a config.yaml is left alone: where, what, and what to do about it. Never a value of the document.

use std::fmt;

/// A document or an edit that was refused. It may be shown to anybody: it holds no value of the document, only names
/// of keys that are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The line, counted from 1, where one line is to blame.
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    pub column: Option<usize>,
    /// What is wrong there.
    pub problem: Problem,
}

impl Refusal {
    pub(super) fn at(line: usize, column: usize, problem: Problem) -> Self {
        Self { line: Some(line), column: Some(column), problem }
    }

    /// The same at the end of the text, if it is beyond: a parser may tell the end as if a line break came before it.
    pub(super) fn within(self, text: &str) -> Self {
        let lines = text.split('\n').count();
        let last = || text.rsplit('\n').next().unwrap_or_default().chars().count();
        if self.line.is_some_and(|line| line > lines) { Self::at(lines, last() + 1, self.problem) } else { self }
    }

    pub(super) fn whole(problem: Problem) -> Self {
        Self { line: None, column: None, problem }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("config.yaml ")?;
        match &self.problem {
            Problem::DuplicateKey(Some(key)) => write!(f, "has {key} twice")?,
            Problem::WrongKind { key, expected } => write!(f, "has a {key} that is not {expected}")?,
            Problem::Lacks(key) => write!(f, "has an entry without {key}")?,
            Problem::NotTaken(Some(key)) => write!(f, "has the argument {key}, which STSS3Storage does not take")?,
            other => f.write_str(other.what())?,
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, " (line {line}, column {column})")?;
        }
        write!(f, ": {}", self.problem.advice())
    }
}

impl std::error::Error for Refusal {}

/// What makes a document one that cannot be edited with certainty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The bytes are not UTF-8; no reader accepts them.
    NotUtf8,
    /// Nothing, or nothing but comments: the Quay operator panics on it.
    Empty,
    /// A character that YAML does not allow, NUL among them.
    ControlCharacter,
    /// A byte order mark that is not at the very start.
    ByteOrderMark,
    /// A character that ends a line for some readers only: U+0085, U+2028, U+2029, or a carriage return on its own.
    LineBreak,
    /// A tab outside of quotes, text blocks and comments: Quay's reader fails on it.
    Tab,
    /// No valid YAML.
    Invalid,
    /// Collections in collections, deeper than any config.yaml needs.
    TooDeep,
    /// Aliases that unfold into far more than the document holds, or into themselves.
    AliasesUnfold,
    /// `%YAML` or `%TAG`: config-tool and the operator fail on them.
    Directive,
    /// More than one document, or a `---` or `...` after the first.
    SeveralDocuments,
    /// The document is a list or a scalar.
    NotAMapping,
    /// The same key twice: the readers disagree about which one counts. The key is named where it is one of ours.
    DuplicateKey(Option<String>),
    /// A merge key `<<` beside our keys: the readers disagree about what wins.
    MergeKey,
    /// An anchor on what is ours.
    Anchor,
    /// An alias in place of what is ours.
    Alias,
    /// A tag on what is ours.
    Tag,
    /// A value of ours is of another kind than Quay reads.
    WrongKind {
        /// The key, or the location, or the argument whose value it is.
        key: String,
        /// What Quay expects there.
        expected: &'static str,
    },
    /// An entry without an argument that its driver needs.
    Lacks(&'static str),
    /// An argument that the entry's driver does not take. It is named where it is one that Quay's drivers know.
    NotTaken(Option<&'static str>),
    /// A notation of keys that is legal, but that some reader rejects or that nobody edits with certainty: `? key`, a
    /// collection or null as a key.
    OddNotation,
    /// The last value is a text block without a line break at its end: appending a line would change it.
    NoFinalNewline,
    /// The readers of YAML at hand disagree about the document, or the edited text is not what was meant.
    CannotVerify,
}

impl Problem {
    fn what(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "is not UTF-8",
            Self::Empty => "is empty",
            Self::ControlCharacter => "holds a character that YAML does not allow",
            Self::ByteOrderMark => "holds a byte order mark inside",
            Self::LineBreak => "holds a line break that only some YAML readers take for one",
            Self::Tab => "holds a tab where Quay's YAML reader allows only spaces",
            Self::Invalid => "is not valid YAML",
            Self::TooDeep => "is nested too deeply",
            Self::AliasesUnfold => "unfolds into far more than it holds by its aliases",
            Self::Directive => "has a % directive",
            Self::SeveralDocuments => "holds more than one document, or a --- or ... after its start",
            Self::NotAMapping => "is not a mapping at its top level",
            Self::DuplicateKey(_) => "holds the same key twice",
            Self::MergeKey => "has a merge key (<<) beside DISTRIBUTED_STORAGE_CONFIG or in it",
            Self::Anchor => "has an anchor (&) on the storage configuration",
            Self::Alias => "has an alias (*) in the storage configuration",
            Self::Tag => "has a tag (!) on the storage configuration",
            Self::WrongKind { .. } => "has a value of another kind than Quay reads",
            Self::Lacks(_) => "has an entry without an argument that its driver needs",
            Self::NotTaken(_) => "has an argument that STSS3Storage does not take",
            Self::OddNotation => "spells a key in a way that is not edited",
            Self::NoFinalNewline => "ends in a text block without a line break",
            Self::CannotVerify => "could not be edited with certainty",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "save it as UTF-8",
            Self::Empty => "write Quay's configuration into it first",
            Self::ControlCharacter | Self::ByteOrderMark => "remove it, or write it as an escape in double quotes",
            Self::LineBreak => "use LF or CRLF, or write it as an escape in double quotes",
            Self::Tab => "replace it by spaces",
            Self::Invalid => "correct it there; check the indentation and the quotes",
            Self::TooDeep => "remove what is nested there",
            Self::AliasesUnfold => "write the values out instead of aliases",
            Self::Directive | Self::SeveralDocuments => "remove it, and leave one document",
            Self::NotAMapping => "write Quay's settings as `KEY: value` lines",
            Self::DuplicateKey(_) => "remove one of the two",
            Self::MergeKey | Self::Anchor | Self::Alias => "write the values out there",
            Self::Tag => "remove the tag",
            Self::WrongKind { .. } => "correct it, or remove it and let it be written",
            Self::Lacks(_) => "add it there",
            Self::NotTaken(_) => "remove it, Quay does not start with it",
            Self::OddNotation => "write it as `key: value`",
            Self::NoFinalNewline => "end the file with a line break",
            Self::CannotVerify => "write the storage configuration in plain block style, without anchors or tags",
        }
    }
}
