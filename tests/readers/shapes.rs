//! What occurs in documents, and what is odd.

use crate::spelling::Tree::{self, Lines, Nothing, Spelled};

/// Keys of the top level that are not ours, each group in this order.
pub(crate) const OTHERS: &[&[(&str, Tree)]] = &[
    &[("SERVER_HOSTNAME", Spelled("quay.example.com"))],
    &[(
        "DATABASE_SECRET_KEY",
        Spelled("'12345678901234567890123456789012345678901234567890123456789012345678901234567'"),
    )],
    &[("SECRET_KEY", Spelled("12345678901234567890123456789012345678901234567890123456789012345678901234567"))],
    &[("DB_URI", Lines(&["postgresql://quay:p%40ss#word@db:5432/quay?sslmode=disable"]))],
    &[("WORDS", Spelled("[yes, No, on, OFF, y, n, true, ~, null, 'yes']"))],
    &[("NUMBERS", Spelled("[0123, 0o17, 0x1F, 0b11, 1e5, 1E+5, 1_000, 1.10, -0, +1, .5, 685_230.15, 089]"))],
    &[("TIMES", Spelled("[12:30:45, 2024-01-01, 2001-12-14t21:59:43.10-05:00, 2001-12-14 21:59:43.10 -5]"))],
    &[("QUOTED", Spelled("\"\\u00fc \\x41\\n\\\"#: \\\\ \""))],
    &[("DOUBLED", Spelled("'it''s: # \"not\" a comment'"))],
    &[("HASHES", Spelled("a#b c:d -e"))],
    &[("EMPTY", Nothing)],
    &[("EMPTY_STRING", Spelled("''"))],
    &[("TAGGED", Spelled("!!str 1"))],
    &[("BINARY", Spelled("!!binary aGVsbG8="))],
    &[("SET", Spelled("!!set {a, b}"))],
    &[
        ("ANCHORED", Spelled("&anchor {a: 1, b: [x]}")),
        ("ALIASED", Spelled("*anchor")),
        ("AGAIN", Spelled("[*anchor]")),
    ],
    &[("BASE", Spelled("&base {a: 1, b: 2}")), ("MERGED", Spelled("{<<: *base, b: 3}"))],
    &[("MERGED_LATE", Spelled("{b: 3, <<: {a: 1, b: 2}}"))],
    &[("LITERAL", Lines(&["|", "text: with # signs", "", "- and dashes", "  deeper"]))],
    &[("KEPT", Lines(&["|+", "kept", "", ""]))],
    &[("CLIPPED", Lines(&["|-", "  DISTRIBUTED_STORAGE_CONFIG:", "    default: []"]))],
    &[("FOLDED", Lines(&[">- # folded", "some", "🐟 words", "", "  more"]))],
    &[("PLAIN_LINES", Lines(&["over", "two lines", "", "and three"]))],
    &[("QUOTED_LINES", Lines(&["\"over \\", "  two: lines # no comment", "", "three\""]))],
    &[("SINGLE_LINES", Lines(&["'over", "two: lines # no comment'"]))],
    &[("FLOW_LINES", Lines(&["{a: b,", "c: [d,", "e], # in braces", "'f': g}"]))],
    &[("lower case", Spelled("1"))],
    &[("123", Spelled("digits"))],
    &[("on", Spelled("a word"))],
    &[("2024-01-01", Spelled("a date"))],
    &[("WITH: COLON", Spelled("-1"))],
];

/// The same, but one of the readers cannot read it.
pub(crate) const UNREADABLE: [(&str, Tree); 4] = [
    ("ENDLESS", Spelled(".inf")),
    ("NO_NUMBER", Spelled(".NaN")),
    ("EQUALS", Spelled("=")),
    ("CUSTOM", Spelled("!custom 1")),
];

/// Locations of other drivers, and what is odd about some.
pub(crate) const FOREIGN: &[&[(&str, Tree)]] = &[
    &[("local", Spelled("[LocalStorage, {storage_path: /datastorage/registry}]"))],
    &[(
        "ceph",
        Spelled("[RadosGWStorage, {hostname: ceph, is_secure: yes, port: 0443, access_key: y, secret_key: 1e5}]"),
    )],
    &[("gcs", Spelled("[GoogleCloudStorage, {access_key: \"1.10\", bucket_name: 2024-01-01}]"))],
    &[("one", Spelled("&one [LocalStorage, {}]")), ("two", Spelled("*one"))],
    &[("odd", Spelled("0123"))],
    &[("none", Nothing)],
    &[("cold", Lines(&["[S3Storage,", "{s3_bucket: cold, # comment", "  host: h}]"]))],
];

/// Values of arguments that are not what is wanted, some of them not even strings.
pub(crate) const ODD_VALUES: [Tree; 9] = [
    Nothing,
    Lines(&["old # value"]),
    Spelled("\"AKIA\\x41\""),
    Spelled("123456789012"),
    Spelled("2024-01-01"),
    Spelled("off"),
    Spelled("[a, b]"),
    Lines(&["|", "AKIAOLD"]),
    Lines(&[">-", "over", "lines"]),
];

/// Arguments that are too many.
pub(crate) const SURPLUS: [(&str, Tree); 5] = [
    ("host", Spelled("s3.example.com")),
    ("port", Spelled("443")),
    ("endpoint_url", Spelled("https://old.example.com")),
    ("s3_region", Spelled("us-west-2")),
    ("s3_access_key", Lines(&["|", "AKIA", "", "OLD"])),
];

/// Names that every reader takes for strings, and names that some take for something else if not quoted.
pub(crate) const NAMES: [&str; 4] = ["default", "eu", "us-east_1.a", "Z9"];
pub(crate) const ODD_NAMES: [&str; 6] = ["123456", "2024-01-01", "off", "1e5", "0123", "null"];

/// Pieces that mean something to a YAML reader.
pub(crate) const PIECES: [&str; 40] = [
    "\n",
    " ",
    "  ",
    "\n  ",
    "\n    ",
    ":",
    ": ",
    "- ",
    "-",
    "#",
    " # ",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ", ",
    "&a ",
    "*a",
    "!x ",
    "!!str ",
    "<<: *a",
    "|\n",
    ">-\n",
    "|+\n",
    "? ",
    "\t",
    "\r\n",
    "ü",
    "1",
    "~",
    "---\n",
    "...\n",
    "%",
    "\\",
    "default",
    "s3_bucket: x",
    "DISTRIBUTED_STORAGE_CONFIG",
];
