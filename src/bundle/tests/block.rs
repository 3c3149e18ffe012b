//! Block style: the document's indentation, comments and line ends stay what they are.

use super::*;

const PREFERRED: &str = "DISTRIBUTED_STORAGE_PREFERENCE: [default]\n";

#[test]
fn a_document_without_storage_gets_both_keys_at_its_end() {
    let before = "# Quay\nSERVER_HOSTNAME: quay.example.com\nFEATURES:\n  A: 1\n\n# the end\n";
    let after = r#"# Quay
SERVER_HOSTNAME: quay.example.com
FEATURES:
  A: 1

# the end
DISTRIBUTED_STORAGE_CONFIG:
  "default":
    - "STSS3Storage"
    - sts_role_arn: "arn:aws:iam::123456789012:role/quay"
      s3_bucket: "quay-bucket"
      storage_path: "/datastorage"
      s3_region: "us-east-1"
      sts_user_access_key: "AKIAEXAMPLE"
      sts_user_secret_key: "s3cr3t/+"
DISTRIBUTED_STORAGE_PREFERENCE:
  - "default"
"#;
    assert_eq!(edited(before), after);
}

#[test]
fn a_document_that_has_no_storage_yet_shows_how_to_indent() {
    for (says, before, step, dash) in [
        ("mappings by four, lists by none", "A:\n    B: 1\nC:\n- 1\n", 4, 0),
        ("mappings by two, lists by two", "A:\n  B: 1\nC:\n  - 1\n", 2, 2),
        ("mappings by three, no lists", "A:\n   B: 1\n", 3, 3),
        ("a leading ---", "---\nA: 1\n", 2, 2),
        ("quoted keys", "\"A\": 1\n", 2, 2),
    ] {
        let after = format!(
            "{before}DISTRIBUTED_STORAGE_CONFIG:\n{}\"default\":\n{}DISTRIBUTED_STORAGE_PREFERENCE:\n{}- \"default\"\n",
            " ".repeat(step),
            block(step + dash),
            " ".repeat(dash),
        );
        assert_eq!(edited(before), after, "{says}");
    }
}

#[test]
fn an_empty_configuration_is_filled_where_it_stands() {
    let filled = format!("  \"default\":\n{}", block(4));
    for (says, value, key_line) in [
        ("nothing", "", ""),
        ("null", " null", ""),
        ("a tilde", " ~", ""),
        ("braces", " {}", ""),
        ("braces and a comment", " {} # none yet", " # none yet"),
        ("a comment", "   # none yet", "   # none yet"),
        ("braces on a line of their own", "\n  {}", ""),
        ("braces over two lines", " {\n  }", ""),
    ] {
        let before = format!("A: 1\nDISTRIBUTED_STORAGE_CONFIG:{value}\n# next\nB: 2\n{PREFERRED}");
        let after = format!("A: 1\nDISTRIBUTED_STORAGE_CONFIG:{key_line}\n{filled}# next\nB: 2\n{PREFERRED}");
        assert_eq!(edited(&before), after, "{says}");
    }
}

#[test]
fn a_location_without_an_entry_is_filled_where_it_stands() {
    for (says, value, key_line) in [
        ("nothing", "", ""),
        ("null", " null", ""),
        ("a tilde", " ~", ""),
        ("a comment", "   # none yet", "   # none yet"),
        ("null and a comment", " null # none yet", " # none yet"),
        ("null on a line of its own", "\n    null", ""),
    ] {
        let with = |value: &str, eu: &str| {
            format!("DISTRIBUTED_STORAGE_CONFIG:\n  'default':{value}\n  # next\n  eu: {eu}\nB: 2\n{PREFERRED}")
        };
        for eu in ["[L, {}]", "~"] {
            let after = with(&format!("{key_line}\n{}", block(4).trim_end()), eu);
            assert_eq!(edited(&with(value, eu)), after, "{says}");
        }
    }
    for (before, after) in [
        ("{default: }", format!("{{default: [\"STSS3Storage\", {BRACES}] }}")),
        ("{'default': ~ , eu: []}", format!("{{'default': [\"STSS3Storage\", {BRACES}] , eu: []}}")),
        ("\n  default: null # d\n", format!("\n  default: # d\n{}", block(4))),
    ] {
        let key = |value: &str| format!("{PREFERRED}DISTRIBUTED_STORAGE_CONFIG: {value}");
        assert_eq!(edited(&key(before)), key(&after));
    }
    let anchored = "DISTRIBUTED_STORAGE_CONFIG:\n  default: &d ~\n  eu: *d\n";
    let refused = try_edit(anchored, &[&intent("default")], Preference::Keep, false);
    assert_eq!(refused, Err(Refusal::at(2, 12, Problem::Anchor)));
}

#[test]
fn static_keys_give_way_to_the_role_at_the_indentation_that_stands() {
    for (key, dash) in [(2, 2), (2, 4), (3, 5), (4, 4), (2, 3), (1, 1)] {
        let (key, spaces) = (" ".repeat(key), " ".repeat(dash));
        let before = format!(
            "# head\nDISTRIBUTED_STORAGE_CONFIG: # storage\n{key}default: # home\n{spaces}- S3Storage\n{spaces}- host: s3.amazonaws.com\n{spaces}  s3_access_key: AKIAOLD\n{spaces}  s3_bucket: quay-bucket\n{spaces}  s3_secret_key: old\n{spaces}  storage_path: /datastorage\n# foot\n{PREFERRED}"
        );
        let after = format!(
            "# head\nDISTRIBUTED_STORAGE_CONFIG: # storage\n{key}default: # home\n{}# foot\n{PREFERRED}",
            block(dash)
        );
        assert_eq!(edited(&before), after);
    }
}

#[test]
fn a_rotated_key_changes_two_lines_and_keeps_every_comment() {
    let standing = |id: &str, secret: &str| {
        format!(
            "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  # the driver\n  - STSS3Storage # sts\n  - # arguments\n    s3_bucket: quay-bucket\n    storage_path: '/datastorage'\n    # who\n    sts_user_access_key: {id} # rotated monthly\n    sts_user_secret_key:   {secret}\n\n    s3_region: us-east-1\n    sts_role_arn: arn:aws:iam::123456789012:role/quay # role\n  # end\n{PREFERRED}"
        )
    };
    for (id, secret) in [("AKIAOLD", "old"), ("'AKIAOLD'", "\"o\\\"ld\""), ("AKIA\n      OLD", ">-\n      old")] {
        assert_eq!(edited(&standing(id, secret)), standing("\"AKIAEXAMPLE\"", "\"s3cr3t/+\""));
    }
}

#[test]
fn arguments_that_the_driver_does_not_take_go_and_those_that_are_missing_come() {
    let standing = |arguments: &str| {
        format!("DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - STSS3Storage\n{arguments}{PREFERRED}")
    };
    let wanted = "sts_role_arn: arn:aws:iam::123456789012:role/quay\n      s3_bucket: quay-bucket\n      storage_path: /datastorage\n      sts_user_access_key: AKIAEXAMPLE\n      sts_user_secret_key: s3cr3t/+\n";
    let region = "      s3_region: \"us-east-1\"\n";
    for (says, before, after) in [
        ("the first", format!("    - host: x # h\n      {wanted}"), format!("    - {wanted}{region}")),
        ("the last", format!("    - {wanted}      port: 443 # p\n"), format!("    - {wanted}{region}")),
        (
            "several",
            format!("    - a: 1\n      b:\n      - 1\n      {wanted}      c: {{}}\n"),
            format!("    - {wanted}{region}"),
        ),
        (
            "the other kind of endpoint, in its place",
            format!("    - endpoint_url: https://a # e\n      {wanted}"),
            format!("    - s3_region: \"us-east-1\" # e\n      {wanted}"),
        ),
        (
            "a comment that stands deeper belongs to what it follows",
            format!("    - {wanted}       # deeper\n      # beside\n"),
            format!("    - {wanted}       # deeper\n{region}      # beside\n"),
        ),
    ] {
        assert_eq!(edited(&standing(&before)), standing(&after), "{says}");
    }
}

#[test]
fn an_entry_of_another_shape_is_replaced_as_a_whole() {
    for value in [
        "- S3Storage\n  - {}",
        "- STSS3Storage",
        "-\n  - {}",
        "- STSS3Storage\n  - foo: bar",
        "- STSS3Storage\n  - s3_bucket: quay-bucket\n  - more",
        "- - STSS3Storage\n    - s3_bucket: x",
    ] {
        let before = format!("DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  {value} # c\n{PREFERRED}");
        let after = format!("DISTRIBUTED_STORAGE_CONFIG:\n  default:\n{} # c\n{PREFERRED}", block(2).trim_end());
        assert_eq!(edited(&before), after, "{value}");
    }
}

#[test]
fn other_locations_and_their_comments_are_left_alone() {
    let others = "DISTRIBUTED_STORAGE_CONFIG:\n  # local\n  local: &l\n  - LocalStorage\n  - storage_path: /data # l\n  ceph: # c\n  - RadosGWStorage\n  - {access_key: a, hostname: h, is_secure: true, port: 0123}\n  again: *l\n    # deeper\n";
    let before = format!("{others}  # beside\n{PREFERRED}");
    let after = format!("{others}  \"default\":\n{}  # beside\n{PREFERRED}", block(2));
    assert_eq!(edited(&before), after);
}

#[test]
fn line_ends_a_byte_order_mark_and_a_missing_last_line_break_stay() {
    let added = format!("DISTRIBUTED_STORAGE_CONFIG:\n  \"default\":\n{}", block(4));
    let tail = "DISTRIBUTED_STORAGE_PREFERENCE:\n  - \"default\"";
    let crlf = format!("A: ü\n{added}{tail}\n").replace('\n', "\r\n");
    assert_eq!(edited("A: ü\r\n"), crlf);
    assert_eq!(edited("\u{feff}A: ü\n"), format!("\u{feff}A: ü\n{added}{tail}\n"));
    assert_eq!(edited("A: ü # 🐟"), format!("A: ü # 🐟\n{added}{tail}"));
    let filled = format!("{PREFERRED}{}", added.trim_end());
    assert_eq!(edited(&format!("{PREFERRED}DISTRIBUTED_STORAGE_CONFIG:")), filled);
    assert_eq!(edited(&format!("{PREFERRED}DISTRIBUTED_STORAGE_CONFIG: {{}}")), filled);
    let standing = format!("{PREFERRED}DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - STSS3Storage\n    - foo: 1");
    assert_eq!(edited(&standing), filled.replace("\"default\":", "default:"));
    for surplus in ["      port: 443", "      port: 443\n      host: h", "      port:\n      - 1"] {
        for break_ in ["\n", "\r\n"] {
            let with = |text: &str| text.replace('\n', break_);
            let current = filled.replace("\"default\":", "default:");
            assert_eq!(edited(&with(&format!("{current}\n{surplus}"))), with(&current));
            // What is missing is put before what goes.
            let missing = current.rsplit_once('\n').unwrap().0;
            assert_eq!(edited(&with(&format!("{missing}\n{surplus}"))), with(&current));
        }
    }
    // The line break belongs to somebody's text.
    let text = filled.replace("\"default\":", "default:").replace("\"s3cr3t/+\"", "|\n        s3cr3t/+");
    let mut entry = intent("default");
    entry.role_key.as_mut().unwrap().secret_access_key = SecretString::from("s3cr3t/+\n");
    let after = try_edit(&format!("{text}\n      port: 443"), &[&entry], Preference::Keep, false);
    assert_eq!(after, Ok(Some(format!("{text}\n"))));
}

#[test]
fn what_stands_elsewhere_keeps_its_spelling() {
    let elsewhere = "DATABASE_SECRET_KEY: '12345678901234567890123456789012345678901234567890123456789012345678901234567'\nSECRET_KEY: 0123\nX: &x {a: [1, 2]}\nY: *x\nZ:\n  <<: *x\n  b: |+\n    text\n\n  c: !custom >-\n    more\n? odd\n: key\n";
    let after = edited(elsewhere);
    assert!(after.starts_with(elsewhere), "{after}");
    let before = format!("DISTRIBUTED_STORAGE_CONFIG: {{}}\n{PREFERRED}{elsewhere}");
    let after = format!("DISTRIBUTED_STORAGE_CONFIG:\n  \"default\":\n{}{PREFERRED}{elsewhere}", block(4));
    assert_eq!(edited(&before), after);
}
