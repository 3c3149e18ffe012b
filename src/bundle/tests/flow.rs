//! Flow style and JSON.

use super::*;

#[test]
fn a_flow_entry_is_replaced_in_flow_style() {
    for (before, after) in [
        ("{default: [S3Storage, {s3_bucket: x}]}", format!("{{default: [\"STSS3Storage\", {BRACES}]}}")),
        (
            "{ default: [STSS3Storage, { sts_role_arn: x }] } # c",
            format!("{{ default: [STSS3Storage, {BRACES}] }} # c"),
        ),
        ("{default: [STSS3Storage, s3_bucket: x]}", format!("{{default: [\"STSS3Storage\", {BRACES}]}}")),
        ("{default: []}", format!("{{default: [\"STSS3Storage\", {BRACES}]}}")),
        ("{local: [L, {}]}", format!("{{local: [L, {{}}], \"default\": [\"STSS3Storage\", {BRACES}]}}")),
        (
            "{\n  local: [L, {}], # l\n  }",
            format!("{{\n  local: [L, {{}}],\n  \"default\": [\"STSS3Storage\", {BRACES}], # l\n  }}"),
        ),
        ("\n  default: [S3Storage, {}] # c", format!("\n  default: [\"STSS3Storage\", {BRACES}] # c")),
        ("\n  default:\n  - STSS3Storage\n  - {s3_bucket: x}", format!("\n  default:\n  - STSS3Storage\n  - {BRACES}")),
        // A comma before a closing brace.
        ("{default: [STSS3Storage, {s3_bucket: x,}]}", format!("{{default: [STSS3Storage, {BRACES}]}}")),
        ("{default: [STSS3Storage, {s3_bucket: x , } , ],}", format!("{{default: [STSS3Storage, {BRACES} , ],}}")),
        ("{default: [STSS3Storage, {s3_bucket: x, # c }\n  }]}", format!("{{default: [STSS3Storage, {BRACES}]}}")),
        (
            "{local: [L, {a: {b: c,},},],}",
            format!("{{local: [L, {{a: {{b: c,}},}},], \"default\": [\"STSS3Storage\", {BRACES}],}}"),
        ),
        (
            "\n  default:\n  - STSS3Storage\n  - {s3_bucket: x,}",
            format!("\n  default:\n  - STSS3Storage\n  - {BRACES}"),
        ),
    ] {
        let key = |value: &str| format!("DISTRIBUTED_STORAGE_CONFIG: {value}\nDISTRIBUTED_STORAGE_PREFERENCE: []\n");
        assert_eq!(edited(&key(before)), key(&after));
    }
}

#[test]
fn a_rotated_key_in_braces_changes_two_values() {
    let with = |id: &str, secret: &str| {
        format!(
            "{{DISTRIBUTED_STORAGE_PREFERENCE: , DISTRIBUTED_STORAGE_CONFIG: {{default: [STSS3Storage, {}]}}}}",
            BRACES.replace("\"AKIAEXAMPLE\"", id).replace("\"s3cr3t/+\"", secret)
        )
    };
    assert_eq!(edited(&with("AKIAOLD", "'old'")), with("\"AKIAEXAMPLE\"", "\"s3cr3t/+\""));
}

#[test]
fn a_top_level_in_braces_gets_its_keys_inside() {
    let flow = format!(
        "DISTRIBUTED_STORAGE_CONFIG: {{\"default\": [\"STSS3Storage\", {BRACES}]}}, DISTRIBUTED_STORAGE_PREFERENCE: [\"default\"]"
    );
    assert_eq!(edited("{A: 1}\n"), format!("{{A: 1, {flow}}}\n"));
    assert_eq!(edited("{ A: 1, } # c"), format!("{{ A: 1, {flow}, }} # c"));
    for last in ["A: !!str 1", "A: !!str '1' ", "A: &a x", "A: &a !!int 1", "A: {b: 1,}", "A: {b: {c: 1,},}", "A: [b,]"]
    {
        let after = format!("{{{}, {flow}{}}}\n", last.trim_end(), &last[last.trim_end().len()..]);
        assert_eq!(edited(&format!("{{{last}}}\n")), after);
    }
    assert_eq!(
        edited("{DISTRIBUTED_STORAGE_CONFIG: null, DISTRIBUTED_STORAGE_PREFERENCE: []}"),
        format!(
            "{{DISTRIBUTED_STORAGE_CONFIG: {{\"default\": [\"STSS3Storage\", {BRACES}]}}, DISTRIBUTED_STORAGE_PREFERENCE: []}}"
        )
    );
}

#[test]
fn json_stays_json_indented_as_it_was() {
    let after = r#"{
    "A": 1,
    "DISTRIBUTED_STORAGE_CONFIG": {
        "default": [
            "STSS3Storage",
            {
                "sts_role_arn": "arn:aws:iam::123456789012:role/quay",
                "s3_bucket": "quay-bucket",
                "storage_path": "/datastorage",
                "s3_region": "us-east-1",
                "sts_user_access_key": "AKIAEXAMPLE",
                "sts_user_secret_key": "s3cr3t/+"
            }
        ]
    },
    "DISTRIBUTED_STORAGE_PREFERENCE": [
        "default"
    ]
}
"#;
    assert_eq!(edited("{\n    \"A\": 1\n}\n"), after);
    let storage = r#""DISTRIBUTED_STORAGE_CONFIG": {}"#;
    let preference = "\"DISTRIBUTED_STORAGE_PREFERENCE\": [\n        \"default\"\n    ]";
    assert_eq!(edited(&format!("{{\n    \"A\": 1,\n    {storage},\n    {preference}\n}}\n")), after);
    let storage = r#""DISTRIBUTED_STORAGE_CONFIG": {
        "default": [
            "S3Storage",
            {
                "s3_access_key": "a"
            }
        ]
    }"#;
    assert_eq!(edited(&format!("{{\n    \"A\": 1,\n    {storage},\n    {preference}\n}}\n")), after);
    assert_eq!(edited(&after.replace("AKIAEXAMPLE", "old")), after);
    let compact = edited(r#"{"A":1}"#);
    let quoted_keys = r#"{"A":1, "DISTRIBUTED_STORAGE_CONFIG": {"default": ["STSS3Storage", {"sts_role_arn": "#;
    assert!(compact.starts_with(quoted_keys), "{compact}");
}
