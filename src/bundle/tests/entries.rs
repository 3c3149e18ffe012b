//! What stands at a location, and whether it is the intent already.

use super::*;
use crate::place::Place;

fn found(entry: &str) -> FoundEntry {
    let text = format!("DISTRIBUTED_STORAGE_CONFIG:\n  default: {entry}\n");
    ConfigYaml::parse(text.as_bytes()).unwrap().entry(&"default".parse().unwrap()).unwrap()
}

fn place_at(endpoint: &str, path: &str) -> Place {
    let endpoint = endpoint.parse().map(Endpoint::Region).or_else(|_| endpoint.parse().map(Endpoint::Url)).unwrap();
    Place::new(endpoint.host(), "b", path)
}

#[test]
fn an_entry_of_a_known_driver_tells_its_place() {
    for (entry, place) in [
        ("[STSS3Storage, {s3_bucket: b, storage_path: /p, s3_region: eu-west-1}]", Some(place_at("us-east-1", "p"))),
        ("[STSS3Storage, {s3_bucket: b, storage_path: /p, s3_region: cn-north-1}]", Some(place_at("cn-north-1", "/p"))),
        ("[STSS3Storage, {s3_bucket: b, storage_path: /p}]", Some(place_at("us-east-1", "/p"))),
        (
            "[STSS3Storage, {s3_bucket: b, storage_path: '', endpoint_url: 'https://a'}]",
            Some(place_at("https://a:443", "/")),
        ),
        // STSS3Storage ignores the URL where there is a region; of S3Storage that is not known.
        (
            "[STSS3Storage, {s3_bucket: b, storage_path: /p, s3_region: eu-west-1, endpoint_url: 'https://a'}]",
            Some(place_at("us-east-1", "/p")),
        ),
        ("[S3Storage, {s3_bucket: b, storage_path: /p, s3_region: eu-west-1, endpoint_url: 'https://a'}]", None),
        (
            "[S3Storage, {s3_bucket: b, storage_path: /p, host: s3.eu-west-1.amazonaws.com, s3_region: eu-west-1}]",
            Some(place_at("us-east-1", "/p")),
        ),
        (
            "[S3Storage, {s3_bucket: b, storage_path: /p, host: minio, port: 9000}]",
            Some(place_at("https://minio:9000", "/p")),
        ),
        ("[S3Storage, {s3_bucket: b, storage_path: /p}]", Some(place_at("us-east-1", "/p"))),
        ("[S3Storage, {s3_bucket: 123456, storage_path: /p}]", None),
        ("[S3Storage, {s3_bucket: b}]", None),
        ("[S3Storage, {s3_bucket: b, storage_path: /p, host: [a]}]", None),
        ("[S3Storage, {s3_bucket: &b b, storage_path: /p}]", None),
        ("[S3Storage]", None),
    ] {
        let found = found(entry);
        assert!(found.known_driver, "{entry}");
        assert_eq!(found.place, place, "{entry}");
    }
}

#[test]
fn an_entry_of_another_driver_tells_only_its_name() {
    for (entry, driver) in [
        ("[LocalStorage, {storage_path: /p, s3_bucket: b}]", "LocalStorage"),
        ("[true, {}]", ""),
        ("[]", ""),
        ("{a: b}", ""),
    ] {
        assert_eq!(found(entry), FoundEntry { driver: driver.to_owned(), place: None, known_driver: false });
    }
    for nothing in ["{a: [LocalStorage, {}]}", "{default: }", "{default: ~}", "{default: null}", "\n  default:\n"] {
        let document = ConfigYaml::parse(format!("DISTRIBUTED_STORAGE_CONFIG: {nothing}").as_bytes()).unwrap();
        assert_eq!(document.entry(&"default".parse().unwrap()), None, "{nothing}");
    }
}

#[test]
fn an_entry_that_all_readers_read_as_the_intent_is_current_whatever_its_style() {
    let mut intent = intent("default");
    intent.maximum_chunk_size_gb = Some(5);
    intent.signature_version = Some(SignatureVersion::S3v4);
    let plain = "{signature_version: s3v4, maximum_chunk_size_gb: 5, sts_role_arn: arn:aws:iam::123456789012:role/quay, \"s3_bucket\": 'quay-bucket', storage_path: /datastorage, s3_region: us-east-1, sts_user_access_key: AKIAEXAMPLE, sts_user_secret_key: \"s3cr3t\\/+\"}";
    let current = |name: &str, arguments: &str| {
        let text = format!("DISTRIBUTED_STORAGE_CONFIG:\n  {name}: [STSS3Storage, {arguments}]\n");
        ConfigYaml::parse(text.as_bytes()).unwrap().is_current(&intent)
    };
    assert!(current("default", plain) && current("'default'", plain));
    for (says, from, to) in [
        ("a size in quotes is a string", "maximum_chunk_size_gb: 5", "maximum_chunk_size_gb: '5'"),
        ("a size with an underscore is a number for some", "maximum_chunk_size_gb: 5", "maximum_chunk_size_gb: 5_"),
        ("one argument more", "signature_version", "port: 1, signature_version"),
        ("one argument less", "signature_version: s3v4, ", ""),
        ("another value", "/datastorage", "/datastorage/"),
        ("an anchor", "/datastorage", "&a /datastorage"),
        ("a tag", "/datastorage", "!!str /datastorage"),
    ] {
        assert!(!current("default", &plain.replace(from, to)), "{says}");
    }
    for bucket in ["123456789012", "2024-01-01", "1.10", "off", "null", "1e5", "0123", "12.30"] {
        intent.bucket = bucket.parse().unwrap();
        let with = |bucket: &str| {
            let text = format!(
                "DISTRIBUTED_STORAGE_CONFIG:\n  default: [STSS3Storage, {}]\n",
                plain.replace("'quay-bucket'", bucket)
            );
            ConfigYaml::parse(text.as_bytes()).unwrap().is_current(&intent)
        };
        assert!(with(&format!("'{bucket}'")) && !with(bucket), "{bucket}");
    }
}

#[test]
fn a_current_document_is_unchanged() {
    let text = format!(
        "DISTRIBUTED_STORAGE_CONFIG: {{default: [STSS3Storage, {BRACES}]}}\nDISTRIBUTED_STORAGE_PREFERENCE: [default]"
    );
    assert_eq!(try_edit(&text, &[&intent("default")], Preference::First, false).unwrap(), None);
    assert_eq!(try_edit(&text, &[], Preference::First, true).unwrap(), None);
}

#[test]
fn every_argument_is_written_as_the_reader_wants_it() {
    let mut intent = intent("default");
    intent.endpoint = Endpoint::Url("https://minio.example.com:9000".parse().unwrap());
    intent.role_key.as_mut().unwrap().secret_access_key = SecretString::from("\"\\ :#ü\u{2028}");
    intent.storage_path = " a: #b".parse().unwrap();
    intent.maximum_chunk_size_gb = Some(7);
    intent.signature_version = Some(SignatureVersion::V4);
    let after = try_edit("DISTRIBUTED_STORAGE_PREFERENCE: []\n", &[&intent], Preference::Keep, false).unwrap().unwrap();
    let lines = r#"    - sts_role_arn: "arn:aws:iam::123456789012:role/quay"
      s3_bucket: "quay-bucket"
      storage_path: " a: #b"
      endpoint_url: "https://minio.example.com:9000"
      sts_user_access_key: "AKIAEXAMPLE"
      sts_user_secret_key: "\"\\ :#ü\u2028"
      maximum_chunk_size_gb: 7
      signature_version: "v4"
"#;
    assert!(after.ends_with(lines), "{after}");
}
