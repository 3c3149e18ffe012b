//! A document as it may be shown to people: line by line as it stands, but for its values. What is shown is listed;
//! everything else is masked, comments included, because nobody knows what stands there.

use super::tree::{Kind, Node, Pair};
use super::{ConfigYaml, DEFAULTS, PREFERENCE, STORAGE};

/// What stands instead of a value.
const MASK: &str = "***";
/// Arguments of storage drivers that are no secret, as long as they look like what they should be: a URL with an `@`,
/// or a region with a space, is something else.
const SHOWN_ARGUMENTS: [&str; 13] = [
    "sts_role_arn",
    "s3_bucket",
    "storage_path",
    "s3_region",
    "endpoint_url",
    "maximum_chunk_size_gb",
    "signature_version",
    "host",
    "hostname",
    "port",
    "is_secure",
    "bucket_name",
    "minimum_chunk_size_mb",
];

impl ConfigYaml {
    /// The text with as many lines as it has, and no secret in any of them.
    pub fn masked(&self) -> String {
        let body = self.body();
        let mut scalars = Vec::new();
        collect(&self.root, &mut Vec::new(), &mut scalars);
        scalars.sort_unstable_by_key(|scalar| scalar.start);
        let mut out = String::with_capacity(body.len());
        let mut at = 0;
        for scalar in scalars {
            let Some(between) = body.get(at..scalar.start) else { continue };
            mask_comments(between, &mut out);
            let text = body.get(scalar.start..scalar.end).unwrap_or_default();
            if scalar.shown {
                out.push_str(text);
            } else {
                mask_lines(text, &mut out);
            }
            at = scalar.end;
        }
        mask_comments(body.get(at..).unwrap_or_default(), &mut out);
        out
    }
}

struct Scalar {
    start: usize,
    end: usize,
    shown: bool,
}

/// Where the scalars stand, keys included, and whether they are shown where they stand.
fn collect<'a>(node: &'a Node, path: &mut Vec<&'a str>, scalars: &mut Vec<Scalar>) {
    match &node.kind {
        Kind::Alias => {}
        Kind::Scalar { .. } => scalars.push(Scalar { start: node.start, end: node.end, shown: is_shown(path, node) }),
        Kind::List { items, .. } => {
            for item in items {
                path.push("[]");
                collect(item, path, scalars);
                path.pop();
            }
        }
        Kind::Map { pairs, .. } => {
            for Pair { key, value } in pairs {
                scalars.push(Scalar { start: key.start, end: key.end, shown: true });
                path.push(key.text().unwrap_or_default());
                collect(value, path, scalars);
                path.pop();
            }
        }
    }
}

fn is_shown(path: &[&str], node: &Node) -> bool {
    let text = node.text().unwrap_or_default();
    match path {
        [PREFERENCE | DEFAULTS, "[]"] => true,
        [STORAGE, _, "[]"] => text.ends_with("Storage") && text.bytes().all(|b| b.is_ascii_alphanumeric()),
        [STORAGE, _, "[]", argument] => SHOWN_ARGUMENTS.contains(argument) && text.bytes().all(is_plain),
        [feature] => feature.starts_with("FEATURE_") && ["true", "false"].contains(&text),
        _ => false,
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:/+=,-".contains(&byte)
}

/// Each line of a value, but for its indentation.
fn mask_lines(text: &str, out: &mut String) {
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        let indentation = content.len() - content.trim_start().len();
        let is_blank = content.trim().is_empty();
        out.push_str(&content[..indentation]);
        out.push_str(if is_blank { "" } else { MASK });
        out.push_str(&line[content.len()..]);
    }
}

/// What stands between scalars: punctuation, white space, and comments, of which only the `#` is shown.
fn mask_comments(between: &str, out: &mut String) {
    for line in between.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        match content.split_once('#') {
            Some((before, comment)) => {
                out.push_str(before);
                out.push_str(if comment.trim().is_empty() { "#" } else { "# ***" });
                out.push_str(&line[content.len()..]);
            }
            None => out.push_str(line),
        }
    }
}
