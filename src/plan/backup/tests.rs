use super::*;
use crate::bundle::{Change, Preference, StorageEntry};
use crate::place::Endpoint;

const ENTRY: &str = "DISTRIBUTED_STORAGE_CONFIG:\n  default: [S3Storage, {}]\n  second: [S3Storage, {}]\n";

fn keep(text: &str, locations: &[&str], digest: &str) -> Keep {
    let entries: Vec<StorageEntry> = locations.iter().map(|name| entry(name)).collect();
    let entries: Vec<&StorageEntry> = entries.iter().collect();
    let change = Change { entries: &entries, ours: &[], preference: Preference::Keep, replicate: false };
    let remembered = ConfigYaml::parse(text.as_bytes()).unwrap().remember(&change);
    let writes = locations.iter().map(|name| ((*name).to_owned(), digest.to_owned())).collect();
    Keep { remembered: Some(remembered), writes }
}

fn entry(name: &str) -> StorageEntry {
    StorageEntry {
        name: name.parse().unwrap(),
        role_key: None,
        bucket: "my-quay-bucket".parse().unwrap(),
        storage_path: "/datastorage".parse().unwrap(),
        endpoint: Endpoint::Region("us-east-1".parse().unwrap()),
        maximum_chunk_size_gb: None,
        signature_version: None,
    }
}

#[test]
fn a_backup_is_read_back_as_it_was() {
    let first = Backup::default().with("bundle", &keep(ENTRY, &["default"], "one")).unwrap();
    let second = first.with("bundle", &keep(ENTRY, &["second"], "two")).unwrap();
    let third = second.with("another", &keep(ENTRY, &["default"], "one")).unwrap();
    let values = third.values().into_iter();
    let values = values.map(|(key, text)| (key, SecretSlice::from(text.expose_secret().as_bytes().to_vec())));
    let read = Backup::read(&values.collect()).unwrap();
    assert_eq!(read.layers("bundle").unwrap().len(), 2);
    assert_eq!((read.locations("bundle"), read.locations("another")), (vec!["default", "second"], vec!["default"]));
    assert!(read.wrote("bundle", "second", "two") && !read.wrote("bundle", "second", "one"));
    assert!(read.layers("third").is_none());
    assert!(Backup::read(&[("bundle".to_owned(), SecretSlice::from(b"{}".to_vec()))].into()).is_none());
}

#[test]
fn a_rotated_key_is_noted_and_nothing_is_remembered_twice() {
    let first = Backup::default().with("bundle", &keep(ENTRY, &["default"], "one")).unwrap();
    let writes = |digest: &str| {
        let writes = vec![("default".to_owned(), digest.to_owned()), ("other".to_owned(), "x".to_owned())];
        Keep { remembered: None, writes }
    };
    assert!(first.with("bundle", &writes("one")).is_none(), "it is known already, and the other is not covered");
    let mut backup = first;
    for digest in (0..20).map(|count| count.to_string()) {
        // What stands again is as young as any.
        backup = backup.with("bundle", &writes("one")).unwrap_or(backup);
        backup = backup.with("bundle", &writes(&digest)).unwrap();
    }
    assert!(backup.wrote("bundle", "default", "one") && backup.wrote("bundle", "default", "19"));
    assert!(!backup.wrote("bundle", "default", "2") && !backup.wrote("bundle", "other", "x"));
    assert_eq!(backup.layers("bundle").unwrap().len(), 1);
}

#[test]
fn what_stands_anew_where_it_was_not_ours_is_what_stood_there_before() {
    let first = Backup::default().with("bundle", &keep(ENTRY, &["default", "second"], "one")).unwrap();
    let renewed = "DISTRIBUTED_STORAGE_CONFIG:\n  default: [S3Storage, {s3_bucket: new}]\n";
    let second = first.with("bundle", &keep(renewed, &["default"], "two")).unwrap();
    let layers = second.layers("bundle").unwrap();
    let locations: Vec<Vec<&str>> = layers.iter().map(|layer| layer.locations().collect()).collect();
    assert_eq!(locations, [vec!["default"], vec!["second"]], "each in one of them");
    assert!(layers[0].stands_in(&ConfigYaml::parse(renewed.as_bytes()).unwrap(), "default"));
    assert!(second.wrote("bundle", "default", "two") && !second.wrote("bundle", "default", "one"));
    assert!(second.wrote("bundle", "second", "one"));
}

#[test]
fn a_name_fits_however_long_that_of_the_resource_is_and_is_one_resources_alone() {
    let id = |namespace: &str, name: &str| ResourceId { namespace: namespace.into(), name: name.into() };
    assert!(name(&id("quay", &"a".repeat(253))).len() <= 253);
    assert!(name(&id("quay", "example")).starts_with("example-backup-"));
    assert!(!name(&id("quay", &format!("{}.b", "a".repeat(219)))).contains(".-"));
    assert_ne!(name(&id("quay", &"a".repeat(253))), name(&id("quay", &"a".repeat(252))));
}
