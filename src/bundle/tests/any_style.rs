//! Documents in every style, with what is odd in each.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::properties::document;
use super::*;

/// Pairs of a top level in braces; the last are values of ours.
const PAIRS: [&str; 8] = [
    "\"A\": 1",
    "B: [x, {c: d}] # b",
    "\"E\": {\"f\": \"g\"}",
    "H: ",
    "I: \"two\n     lines\"",
    "J: {\n      k: 1\n    }",
    "L: !!str 1",
    "M: {n: {o: p,},}",
];

const STORAGES: [&str; 10] = [
    "",
    "DISTRIBUTED_STORAGE_CONFIG: ",
    "DISTRIBUTED_STORAGE_CONFIG: {  }",
    "'DISTRIBUTED_STORAGE_CONFIG': null",
    "\"DISTRIBUTED_STORAGE_CONFIG\": {\"default\": [\"S3Storage\", {\"s3_bucket\": \"x\"}]}",
    "DISTRIBUTED_STORAGE_CONFIG: {\n  # first\n  local: [LocalStorage, {}], # l\n  eu:\n    [STSS3Storage, # here\n  {port: 1, s3_region: x}] # e\n  }",
    "DISTRIBUTED_STORAGE_CONFIG: {local: [LocalStorage,\n {}], \"default\": [STSS3Storage, {s3_bucket: x,\n  storage_path: '/y'}],}",
    "DISTRIBUTED_STORAGE_CONFIG: {default: [S3Storage,\n  s3_bucket: b], eu: [\n\n  S3Storage, {}]}",
    "DISTRIBUTED_STORAGE_CONFIG: {default: , eu: [STSS3Storage, {s3_bucket: x,}]}",
    "DISTRIBUTED_STORAGE_CONFIG: {\n    eu: [STSS3Storage, {port: 1,\n    },],\n    default: ~,\n  }",
];

const LISTS: [&str; 9] = [
    "",
    "KEY: ",
    "KEY: []",
    "KEY: ~",
    "KEY: [default]",
    "\"KEY\": [\"local\", # l\n    \"eu\"]",
    "KEY: [gone, local_us]",
    "KEY: [\n    eu, 'local',\n    default,\n  ]",
    "KEY: [gone, # g\n\n default]",
];

/// Comments where an edit adds and removes lines.
const ODD_STORAGES: [&str; 9] = [
    "DISTRIBUTED_STORAGE_CONFIG: # none yet\n      # deeper\n   # less deep\n\n# beside\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  # leads\n  {} # none\n        # deeper\n",
    "DISTRIBUTED_STORAGE_CONFIG: {\n  # inside\n  } # none\n      # deeper\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default: # home\n\n    # driver\n    - STSS3Storage # sts\n    -   s3_bucket: b # b\n        # who\n        host: h # h\n         # deeper\n        # who\n        port: 1 # p\n         # deepest\n\n         # apart\n        # who\n  # the end\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - STSS3Storage\n  - sts_user_secret_key: |+\n      old\n\n\n  # e\n\n  eu:\n  - STSS3Storage\n  - port: |\n      # no comment\n\n      # deeper\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  local: [LocalStorage, {}]\n        # local\n  # beside\n\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n      default   : [\n       S3Storage,\n             {}] # c\n      'eu' :\n              # deep\n            - S3Storage\n            -\n                host: h\n                        # deep\n               # deep\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - STSS3Storage\n    - endpoint_url: https://a # e\n      sts_user_access_key: AKIA\n         OLD # c\n      s3_region:\n       # r\n       us-east-1\n      sts_user_secret_key: # none\n       # none at all\n",
    "DISTRIBUTED_STORAGE_CONFIG:\n  eu:\n  - STSS3Storage\n  - s3_bucket: b\n    s3_region: us-east-1\n    storage_path: >-\n",
];

const ODD_LISTS: [&str; 7] = [
    "KEY: # none\n      # deep\n# beside\n",
    "KEY:\n  # leads\n  []\n    # deep\n",
    "KEY:\n  # leads\n  - local # l\n  # between\n  -   default # d\n     # deep\n\n    # deep too\n",
    "KEY:\n- >-\n  local\n- eu\n   # deep\n  # deep\n# beside\n",
    "KEY:\n-\n  eu # e\n- 'local'\n",
    "KEY: [ # opens\n  local # l\n  # between\n  , default ] # closes\n",
    "KEY:\n- gone # g\n# between\n- away # a\n   # deep\n",
];

/// A document in braces, on one line or on many.
fn in_braces() -> impl Strategy<Value = String> {
    let lists = (select(&LISTS[..]), select(&LISTS[..]));
    (subsequence(PAIRS.to_vec(), 0..=PAIRS.len()), select(&STORAGES[..]), lists, 0..3_usize, any::<[bool; 2]>())
        .prop_flat_map(|(others, storage, (preference, defaults), space, [last_comma, comment])| {
            let mut pairs: Vec<String> = others.into_iter().map(str::to_owned).collect();
            pairs.push(storage.to_owned());
            pairs.push(preference.replace("KEY", PREFERENCE));
            pairs.push(defaults.replace("KEY", DEFAULTS));
            pairs.retain(|pair| !pair.is_empty());
            let comma = last_comma && !pairs.is_empty();
            (Just(pairs).prop_shuffle(), Just((space, comma, comment)))
        })
        .prop_map(|(pairs, (space, comma, comment))| {
            let (open, between, close) = [("{", ", ", "}"), ("{ ", " , ", " }"), ("{\n  ", ",\n  ", "\n}")][space];
            let one_line = |pair: String| if pair.contains(" # b") { pair.replace(" # b", " # b\n  ") } else { pair };
            let pairs: Vec<String> = pairs.into_iter().map(one_line).collect();
            let (comma, comment) = (if comma { " ," } else { "" }, if comment { " # the end\n" } else { "" });
            format!("{open}{}{comma}{close}{comment}", pairs.join(between))
        })
}

/// A document of block style in which the pieces that are ours are odd ones.
fn odd_document() -> impl Strategy<Value = String> {
    let odd = (select(&ODD_STORAGES[..]), select(&ODD_LISTS[..]), select(&ODD_LISTS[..]), 1..8_u8);
    (document(), odd).prop_map(|(pieces, (storage, preference, defaults, which))| {
        let odd = |piece: &str| match piece {
            piece if piece.contains(STORAGE) && which & 1 > 0 => storage.to_owned(),
            piece if piece.starts_with(PREFERENCE) && which & 2 > 0 => preference.replace("KEY", PREFERENCE),
            piece if piece.starts_with(DEFAULTS) && which & 4 > 0 => defaults.replace("KEY", DEFAULTS),
            piece => piece.to_owned(),
        };
        pieces.into_iter().map(odd).collect()
    })
}

/// A document in any style, with either line end, with and without a byte order mark and a last line break.
pub(super) fn any_document() -> impl Strategy<Value = String> {
    let block = document().prop_map(|pieces| pieces.concat());
    (prop_oneof![2 => block, 2 => odd_document(), 1 => in_braces()], any::<[bool; 3]>()).prop_map(
        |(mut text, [crlf, mark, cut])| {
            if cut && !text.trim_end().ends_with("- and dashes") {
                text = text.trim_end_matches('\n').to_owned();
            }
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            if mark {
                text.insert(0, '\u{feff}');
            }
            text
        },
    )
}
