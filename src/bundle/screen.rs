//! What can be said of the characters of a document: which of them some reader of Quay's rejects or reads otherwise.

use super::refusal::{Problem, Refusal};

/// The text without its byte order mark, if every character is one that all readers accept and read alike.
pub(super) fn characters(text: &str) -> Result<&str, Refusal> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    if body.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\t')) {
        return Ok(body);
    }
    let (mut line, mut column) = (1, 1);
    let mut rest = body.chars().peekable();
    while let Some(c) = rest.next() {
        let problem = match c {
            '\n' => {
                (line, column) = (line + 1, 1);
                continue;
            }
            '\r' if rest.peek() == Some(&'\n') => None,
            '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(Problem::LineBreak),
            '\u{feff}' => Some(Problem::ByteOrderMark),
            '\t' => None,
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => Some(Problem::ControlCharacter),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(Refusal::at(line, column, problem));
        }
        column += 1;
    }
    Ok(body)
}

/// Looks at what stands between the quoted scalars and text blocks (`scalars`, in order): tabs, directives, and `...`.
pub(super) fn between_scalars(body: &str, scalars: &[(usize, usize)]) -> Result<(), Refusal> {
    let is_at_a_line = |text: &str| body.contains(text) || body.starts_with(text.trim_start());
    if !body.contains('\t') && !is_at_a_line("\n%") && !is_at_a_line("\n...") {
        return Ok(());
    }
    let mut scalars = scalars.iter().copied().peekable();
    let mut in_comment = false;
    let mut before = '\n';
    let (mut line, mut column) = (1, 1);
    for (at, c) in body.char_indices() {
        while scalars.peek().is_some_and(|&(_, end)| end <= at) {
            scalars.next();
        }
        if scalars.peek().is_none_or(|&(start, _)| at < start) {
            in_comment = c != '\n' && (in_comment || (c == '#' && matches!(before, ' ' | '\t' | '\n' | '\r')));
            let problem = match c {
                '\t' if !in_comment => Some(Problem::Tab),
                '%' if column == 1 => Some(Problem::Directive),
                '.' if column == 1 && ends_a_document(&body[at..]) => Some(Problem::SeveralDocuments),
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(Refusal::at(line, column, problem));
            }
        } else {
            in_comment = false;
        }
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        before = c;
    }
    Ok(())
}

fn ends_a_document(rest: &str) -> bool {
    rest.strip_prefix("...").is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether each of the three readers takes this plain (unquoted) scalar for a string. In doubt the answer is no.
pub(super) fn plain_is_string(text: &str) -> bool {
    const WORDS: [&str; 12] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", "<<"];
    // Numbers of all bases, sexagesimals, dates, infinity and "not a number" are written with these alone.
    const NUMERIC: &[u8] = b"0123456789abcdefABCDEFxXoOpPtTzZiInN_+-.: ";
    if text.is_empty() || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return false;
    }
    let numeric_start = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    !(numeric_start && text.bytes().all(|b| NUMERIC.contains(&b)))
}

/// Whether all readers take this plain scalar for null.
pub(super) fn plain_is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A double-quoted scalar that YAML 1.1, YAML 1.2 and JSON read alike.
pub(super) fn quoted(text: &str) -> String {
    use std::fmt::Write as _;

    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_is_a_string_only_where_no_reader_takes_it_for_anything_else() {
        for plain in
            ["quay-bucket", "/datastorage", "us-east-1", "arn:aws:iam::123456789012:role/quay", "1a/Gq+", "AKIA1"]
        {
            assert!(plain_is_string(plain), "{plain}");
        }
        for plain in [
            "",
            "~",
            "y",
            "N",
            "yes",
            "Off",
            "null",
            "=",
            "<<",
            "123456789012",
            "1.10",
            "2024-01-01",
            "12:30:45",
            "0123",
            "0o7",
            "0x1F",
            "1e5",
            "1_000",
            ".inf",
            "-.INF",
            ".NaN",
            "+1",
            "2001-12-14t21:59:43.10-05:00",
        ] {
            assert!(!plain_is_string(plain), "{plain}");
        }
    }

    #[test]
    fn what_is_quoted_is_read_back_as_it_was() {
        for text in ["", "a", "\"\\/'", "a\nb\tc\r", "\u{85}\u{2028}\u{feff}\u{1}", "grün 🐟", "*a: &b #c"] {
            let value: String = serde_yaml::from_str(&quoted(text)).unwrap();
            assert_eq!(value, text);
        }
    }
}
