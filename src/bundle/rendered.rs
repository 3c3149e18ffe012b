//! Whether another program's rendering of a document says the same of storage: in its own order and its own quotes.

use super::tree::{Kind, Node};
use super::{ConfigYaml, OURS};

/// Whether a rendering says the same as a document where the keys are ours; none where one of them cannot be read for
/// certain. What only the rendering has was added by whoever made it.
pub fn has_same_storage(document: &[u8], rendering: &[u8]) -> Option<bool> {
    let (document, rendering) = (ConfigYaml::parse(document).ok()?, ConfigYaml::parse(rendering).ok()?);
    let keys = OURS.into_iter().filter_map(|key| Some((document.root.get(key)?, rendering.root.get(key))));
    all(keys.map(|(pair, rendered)| rendered.map_or(Some(false), |rendered| same(&pair.value, &rendered.value))))
}

/// One difference is enough; without, one doubt.
fn all(mut each: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut sure = Some(true);
    loop {
        match each.next() {
            None => return sure,
            Some(Some(true)) => {}
            Some(Some(false)) => return Some(false),
            Some(None) => sure = None,
        }
    }
}

fn same(one: &Node, other: &Node) -> Option<bool> {
    match (&one.kind, &other.kind) {
        (Kind::Scalar { .. }, Kind::Scalar { .. }) => {
            match (one.text() == other.text(), one.string(), other.string()) {
                (false, _, _) => Some(false),
                // One of them may be a number, or something else that looks the same.
                (true, Some(_), None) | (true, None, Some(_)) => None,
                (true, _, _) => Some(true),
            }
        }
        (Kind::List { items, .. }, Kind::List { items: others, .. }) => {
            if items.len() != others.len() {
                return Some(false);
            }
            all(items.iter().zip(others).map(|(item, other)| same(item, other)))
        }
        (Kind::Map { pairs, .. }, Kind::Map { pairs: others, .. }) => {
            if pairs.len() != others.len() {
                return Some(false);
            }
            all(pairs.iter().map(|pair| {
                let key = pair.key.text()?;
                other.get(key).map_or(Some(false), |found| same(&pair.value, &found.value))
            }))
        }
        (Kind::Alias, _) | (_, Kind::Alias) => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: &str = "DB_URI: a\nDISTRIBUTED_STORAGE_CONFIG:\n  \"default\":\n    - \"STSS3Storage\"\n    - s3_bucket: \"my-quay-bucket\"\n      storage_path: \"/datastorage\"\n      maximum_chunk_size_gb: 4\n      sts_user_secret_key: \"s\"\nDISTRIBUTED_STORAGE_PREFERENCE:\n  - \"default\"\n";

    fn rendered(text: &str) -> Option<bool> {
        has_same_storage(BUNDLE.as_bytes(), text.as_bytes())
    }

    #[test]
    fn a_rendering_in_another_order_and_other_quotes_says_the_same() {
        let sorted = "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - STSS3Storage\n  - maximum_chunk_size_gb: 4\n    s3_bucket: my-quay-bucket\n    storage_path: /datastorage\n    sts_user_secret_key: s\nDISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: []\nDISTRIBUTED_STORAGE_PREFERENCE:\n- default\nMORE: 1\n";
        assert_eq!(rendered(sorted), Some(true));
        let json: serde_json::Value = serde_yaml::from_str(BUNDLE).unwrap();
        assert_eq!(rendered(&json.to_string()), Some(true));
        for (from, to) in [
            ("default\nMORE", "other\nMORE"),
            (": s\n", ": t\n"),
            ("gb: 4", "gb: 5"),
            ("    s3_bucket", "    more: a\n    s3_bucket"),
        ] {
            assert_eq!(rendered(&sorted.replace(from, to)), Some(false), "{to}");
        }
        assert_eq!(rendered("MORE: 1\n"), Some(false));
    }

    #[test]
    fn what_cannot_be_read_for_certain_is_not_known() {
        assert_eq!(rendered("DISTRIBUTED_STORAGE_CONFIG: [\n"), None);
        assert_eq!(rendered(&BUNDLE.replace("\"s\"", "1")), Some(false));
        let number = BUNDLE.replace("\"s\"", "\"1\"");
        assert_eq!(has_same_storage(number.as_bytes(), number.replace("\"1\"", "1").as_bytes()), None);
    }
}
