//! Every location that stands, with what its driver is told.

use super::*;

fn standing(text: &str) -> Vec<StandingEntry> {
    ConfigYaml::parse(text.as_bytes()).unwrap().standing()
}

/// What stands at the only location.
fn driver(entry: &str) -> StandingDriver {
    standing(&format!("DISTRIBUTED_STORAGE_CONFIG:\n  default: {entry}\n")).pop().unwrap().driver
}

fn unclear(entry: &str) -> String {
    match driver(entry) {
        StandingDriver::Unclear(refusal) => refusal.to_string(),
        _ => panic!("it is clear: {entry}"),
    }
}

#[test]
fn the_arguments_of_an_entry_are_read_as_quay_reads_them() {
    let entry =
        format!("[STSS3Storage, {}]", BRACES.replace('}', ", maximum_chunk_size_gb: 3, signature_version: v4}"));
    let StandingDriver::Sts(read) = driver(&entry) else { panic!("it is ours") };
    assert_eq!(read.role_arn.unwrap().as_str(), "arn:aws:iam::123456789012:role/quay");
    assert_eq!((read.bucket.as_str(), read.storage_path.as_str()), ("quay-bucket", "/datastorage"));
    assert_eq!((read.region.unwrap().as_str(), read.url), ("us-east-1", None));
    assert_eq!(read.access_key_id.unwrap().expose_secret(), "AKIAEXAMPLE");
    assert_eq!(read.secret_access_key.unwrap().expose_secret(), "s3cr3t/+");
    assert_eq!((read.maximum_chunk_size_gb, read.signature_version), (Some(3), Some(SignatureVersion::V4)));

    let StandingDriver::StaticKeys(read) = driver(
        "[S3Storage, {s3_bucket: bucket, storage_path: '', host: minio, port: 9000, s3_access_key: '', is_secure: true}]",
    ) else {
        panic!("it has keys")
    };
    assert_eq!(read.url.unwrap().as_str(), "https://minio:9000");
    assert!(read.access_key_id.is_none() && read.secret_access_key.is_none() && read.has_empty_key);
}

#[test]
fn what_is_not_ours_tells_its_driver_and_what_is_null_does_not_stand() {
    let other = |entry: &str| match driver(entry) {
        StandingDriver::Other(name) => name,
        _ => panic!("it is ours: {entry}"),
    };
    assert_eq!(other("[SwiftStorage, {auth_url: a}]"), Some("SwiftStorage".into()));
    for hidden in ["[hunter2, {}]", "['a Storage', {}]", "[]", "{a: b}", "text"] {
        assert_eq!(other(hidden), None, "{hidden}");
    }
    let found = standing("DISTRIBUTED_STORAGE_CONFIG:\n  a:\n  b: [LocalStorage, {}]\n  c: ~\n");
    assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [3]);
    assert!(standing("FEATURE: true\n").is_empty() && standing("DISTRIBUTED_STORAGE_CONFIG: {}\n").is_empty());
}

#[test]
fn what_the_readers_do_not_read_alike_or_quay_does_not_take_is_told_with_its_place_and_without_its_value() {
    let arguments = "s3_bucket: bucket, storage_path: /p";
    for (arguments, says) in [
        (
            format!("{arguments}, host: hunter2"),
            "has the argument host, which STSS3Storage does not take (line 2, column",
        ),
        (format!("{arguments}, hunter2: a"), "has an argument that STSS3Storage does not take (line 2"),
        (
            "s3_bucket: 123456789012, storage_path: /p".into(),
            "has a s3_bucket that is not one text to all YAML readers",
        ),
        ("s3_bucket: Hunter2, storage_path: /p".into(), "has a s3_bucket that is not the name of a bucket"),
        ("s3_bucket: bucket".into(), "has an entry without storage_path (line 2, column 27): add it there"),
        (format!("{arguments}, sts_role_arn: hunter2"), "has a sts_role_arn that is not the ARN of an IAM role"),
        (format!("{arguments}, s3_region: ''"), "has a s3_region that is not an AWS region"),
        (format!("{arguments}, endpoint_url: 'https://u:hunter2@a'"), "has a endpoint_url that is not http(s)://host"),
        (
            format!("{arguments}, maximum_chunk_size_gb: '5'"),
            "has a maximum_chunk_size_gb that is not a number from 1 to 5",
        ),
        (
            format!("{arguments}, maximum_chunk_size_gb: 05"),
            "has a maximum_chunk_size_gb that is not a number from 1 to 5",
        ),
        (format!("{arguments}, signature_version: s3"), "has a signature_version that is not s3v4 or v4"),
        (format!("{arguments}, sts_user_secret_key: ~"), "has a sts_user_secret_key that is not one text"),
        (format!("{arguments}, sts_user_secret_key: &a hunter2"), "has an anchor"),
        (format!("{arguments}, s3_region: !!str eu-west-1"), "has a tag"),
    ] {
        let told = unclear(&format!("[STSS3Storage, {{{arguments}}}]"));
        assert!(told.contains(says), "{arguments}: {told}");
        assert!(!told.to_lowercase().contains("hunter2"), "{told}");
    }
    assert!(unclear("[STSS3Storage]").contains("has a default that is not a list of a driver and its arguments"));
    assert!(unclear("[STSS3Storage, [a]]").contains("has a default that is not a list of a driver and its arguments"));
    let numbered =
        standing("DISTRIBUTED_STORAGE_CONFIG:\n  1: [STSS3Storage, {s3_bucket: bucket, storage_path: /p}]\n");
    assert!(numbered[0].name.is_none() && matches!(numbered[0].driver, StandingDriver::Unclear(_)));
}

#[test]
fn the_locations_that_everything_is_replicated_to_are_those_that_all_readers_read() {
    let defaults = |list: &str| {
        let text = format!("DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: {list}\n");
        let document = ConfigYaml::parse(text.as_bytes()).unwrap();
        document.default_locations().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(defaults("[a, 1, 'b']"), ["a", "b"]);
    assert_eq!([defaults("[]"), defaults("~"), defaults("a")], [[""; 0]; 3]);
}
