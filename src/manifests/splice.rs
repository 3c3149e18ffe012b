//! Another value in the text of a manifest, in the style in which the old one is written.

use saphyr_parser::ScalarStyle;

use super::position::{Field, Fields};

/// The texts with another value of a field of the top level's mapping `section`, each a change of that value's bytes
/// alone, the likest to the old one first. Whether one of them reads as meant is for the caller to find out.
pub(super) fn candidates(text: &str, section: &str, name: &str, value: &str) -> Vec<String> {
    let Some(field) = Fields::of(text).field(section, name) else { return Vec::new() };
    written(text, &field, value).unwrap_or_default()
}

fn written(text: &str, field: &Field, value: &str) -> Option<Vec<String>> {
    let put = |start: usize, end: usize, new: &str| Some(format!("{}{new}{}", text.get(..start)?, text.get(end..)?));
    let start = value_start(text, field.key_end)?;
    let old = text.get(start..)?;
    let quoted = double_quoted(value);
    let candidates = match field.style? {
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let block = Block::of(old, field.key_column)?;
            let literal = block.written(value);
            // What stands on the header's line behind the indicator stays: a comment.
            let (indicator, end) = (start + block.indicator, start + block.end);
            let line_end = text.get(indicator..start + block.header)?;
            let in_quotes = format!("{quoted}{line_end}");
            vec![literal.and_then(|new| put(start, end, &new)), put(start, end, &in_quotes)]
        }
        ScalarStyle::DoubleQuoted => vec![put(start, start + quoted_length(old, '"')?, &quoted)],
        ScalarStyle::SingleQuoted => {
            let end = start + quoted_length(old, '\'')?;
            vec![put(start, end, &format!("'{}'", value.replace('\'', "''"))), put(start, end, &quoted)]
        }
        ScalarStyle::Plain => {
            (start == field.start).then_some(())?;
            let end = field.end;
            vec![put(start, end, value), put(start, end, &quoted)]
        }
    };
    Some(candidates.into_iter().flatten().collect())
}

/// Where the value begins, its style's first character included. None for one with an anchor or a tag.
fn value_start(text: &str, key_end: usize) -> Option<usize> {
    let colon = key_end + text.get(key_end..)?.find(|c: char| !c.is_ascii_whitespace())?;
    let after = text.get(colon..)?.strip_prefix(':')?;
    let start = colon + 1 + after.find(|c: char| !c.is_ascii_whitespace())?;
    (!text.get(start..)?.starts_with(['&', '!', '#', '*'])).then_some(start)
}

/// A text block, by lengths from the beginning of its header.
struct Block<'a> {
    old: &'a str,
    /// Up to the end of `|`, `>-`, `|2+` and their like.
    indicator: usize,
    /// Up to the end of the header's line, its line break excluded.
    header: usize,
    /// Up to the end of the last line that counts, its line break excluded.
    end: usize,
    indentation: usize,
    newline: &'static str,
}

impl<'a> Block<'a> {
    fn of(old: &'a str, key_column: usize) -> Option<Self> {
        let newline = if old.split_inclusive('\n').next()?.ends_with("\r\n") { "\r\n" } else { "\n" };
        let header = old.find(newline)?;
        let indicator = old.find(|c: char| !"|>+-".contains(c) && !c.is_ascii_digit())?;
        let digit = old[..indicator].chars().find_map(|c| c.to_digit(10)).and_then(|digit| usize::try_from(digit).ok());
        let lines = old.get(header + newline.len()..)?.split_inclusive('\n');
        let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let is_blank = |line: &str| line.trim().is_empty();
        let first = lines.clone().find(|line| !is_blank(line));
        let indentation = digit.map_or_else(|| first.map(spaces), |digit| Some(key_column + digit))?;
        let keeps = old[..indicator].contains('+');
        let (mut at, mut end) = (header + newline.len(), header);
        for line in lines.take_while(|line| is_blank(line) || spaces(line) >= indentation) {
            // Blank lines at the end are the value's only where the header says so.
            if keeps || !is_blank(line) || spaces(line) > indentation {
                end = at + line.trim_end_matches(['\r', '\n']).len();
            }
            at += line.len();
        }
        (indentation > key_column).then_some(Self { old, indicator, header, end, indentation, newline })
    }

    /// The block with another value; a folded one becomes literal, for it cannot be told how somebody would fold it.
    fn written(&self, value: &str) -> Option<String> {
        let header = self.old.get(1..self.header)?;
        let keeps = self.old.get(..self.indicator)?.contains('+');
        // The line break of the last line is behind the end.
        let lines = if keeps { value.strip_suffix('\n').unwrap_or(value) } else { value.trim_end_matches('\n') };
        let margin = " ".repeat(self.indentation);
        let line = |line: &str| match line {
            "" => self.newline.to_owned(),
            line => format!("{}{margin}{line}", self.newline),
        };
        Some(format!("|{header}{}", lines.split('\n').map(line).collect::<String>()))
    }
}

/// The length of the quoted scalar that a text begins with, quotes included.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let skip = |characters: &mut dyn Iterator<Item = (usize, char)>| {
        characters.next();
    };
    let mut characters = text.char_indices().skip(1).peekable();
    text.starts_with(quote).then_some(())?;
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if quote == '"' => skip(&mut characters),
            '\'' if quote == '\'' && characters.peek().is_some_and(|(_, next)| *next == '\'') => skip(&mut characters),
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// In quotes as YAML and JSON both read them.
fn double_quoted(value: &str) -> String {
    let escaped = value.chars().map(|c| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c) || c == '\u{feff}' => {
            format!("\\u{:04x}", u32::from(c))
        }
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_yaml::Value;

    use super::*;

    const NEW: &str = "A: \"x\"\n\n# c\nB:\n  - 1\n";

    fn likest(text: &str, value: &str) -> Option<String> {
        candidates(text, "stringData", "config.yaml", value).into_iter().find(|new| {
            let reads: Option<Value> = serde_yaml::from_str(new).ok();
            reads.is_some_and(|reads| reads["stringData"]["config.yaml"] == value)
        })
    }

    #[test]
    fn a_value_is_written_as_the_old_one_is_and_all_around_it_stays() {
        for (before, old, new, after) in [
            (
                "stringData:\n  config.yaml: ",
                "|  # c > d\n    A: 1\n\n    B: 2\n",
                "|  # c > d\n    A: \"x\"\n\n    # c\n    B:\n      - 1\n",
                "\n  # d\n  b: 1 # e\n",
            ),
            (
                "stringData:\n  config.yaml:\n    ",
                "|2\n    A: 1\n",
                "|2\n    A: \"x\"\n\n    # c\n    B:\n      - 1\n",
                "",
            ),
            ("stringData:\n \"config.yaml\" : ", ">\n  A: 1\n", "|\n  A: \"x\"\n\n  # c\n  B:\n    - 1\n", " b: 1\n"),
            (
                "stringData:\r\n  config.yaml: ",
                "|\r\n    A: 1",
                "|\r\n    A: \"x\"\r\n\r\n    # c\r\n    B:\r\n      - 1",
                "\r\n\r\n  b: 1\r\n",
            ),
            ("stringData: # é\n  config.yaml: ", "'A: ''1'''", r#""A: \"x\"\n\n# c\nB:\n  - 1\n""#, " # c\n  b: '#'\n"),
            (
                r#"{"stringData": {"config.yaml" :"#,
                r#""A: \"1\"""#,
                r#""A: \"x\"\n\n# c\nB:\n  - 1\n""#,
                r#", "b": "é"}}"#,
            ),
            ("stringData: {b: 1, config.yaml: ", "A1", r#""A: \"x\"\n\n# c\nB:\n  - 1\n""#, ", c: '#'} # c\n"),
            ("stringData:\n  config.yaml: ", "A1", r#""A: \"x\"\n\n# c\nB:\n  - 1\n""#, " # c\n"),
            // With `-` there is no final line break to be had.
            (
                "stringData:\n  config.yaml: ",
                "|- # c\n    A: 1",
                r#""A: \"x\"\n\n# c\nB:\n  - 1\n" # c"#,
                "\n\n  b: 1\n",
            ),
        ] {
            let text = format!("{before}{old}{after}");
            assert_eq!(likest(&text, NEW).as_deref(), Some(format!("{before}{new}{after}").as_str()), "{text}");
        }
    }

    #[test]
    fn a_chomped_block_stays_one_and_a_kept_one_keeps_its_end() {
        let text = "stringData:\n  config.yaml: |-\n    A: 1\n  b: 1\n";
        assert_eq!(likest(text, "A: 2\nB: 1").unwrap(), "stringData:\n  config.yaml: |-\n    A: 2\n    B: 1\n  b: 1\n");
        let text = "stringData:\n  config.yaml: |+\n    A: 1\n\n\n  b: 1\n";
        assert_eq!(likest(text, "A: 2\n\n\n").unwrap(), text.replace("A: 1", "A: 2"));
        assert_eq!(likest(text, "A: 2\n").unwrap(), "stringData:\n  config.yaml: |+\n    A: 2\n  b: 1\n");
    }

    #[test]
    fn what_has_an_anchor_or_a_tag_or_is_no_scalar_is_left_to_others() {
        for value in ["&x |\n    A: 1\n", "!!str |\n    A: 1\n", "[A]\n", "*x\n"] {
            let text = format!("a: &x 1\nstringData:\n  config.yaml: {value}");
            assert_eq!(candidates(&text, "stringData", "config.yaml", NEW), Vec::<String>::new(), "{text}");
        }
    }

    proptest! {
        /// Whatever is to be written, some candidate reads as it.
        #[test]
        fn any_text_can_be_written(value in "[ \\t\\n'\"\\\\#:a-b\u{e9}\u{85}\u{2028}\u{1f600}-]{0,24}", style in 0..4usize) {
            let old = ["|\n    A: 1\n", "|-\n    A: 1\n", "'A'\n", "\"A\"\n"][style];
            let text = format!("stringData:\n  config.yaml: {old}  b: 1\n");
            let new = likest(&text, &value);
            prop_assert!(new.is_some(), "{text}");
            prop_assert!(new.unwrap().ends_with("\n  b: 1\n"));
        }
    }
}
