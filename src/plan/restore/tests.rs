use super::*;
use crate::bundle::{Change, Preference, RoleKey, StorageEntry};
use crate::place::Region;

const STATIC: &str = "# of team blue
DISTRIBUTED_STORAGE_CONFIG:
  default:
    - S3Storage
    - s3_bucket: my-quay-bucket  # ours for years
      storage_path: /datastorage
      s3_region: us-east-1
      s3_access_key: AKIAOLDOLDOLDOLDOLD1
      s3_secret_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEOLD1
DISTRIBUTED_STORAGE_PREFERENCE: [default]
";

fn entry(name: &str) -> StorageEntry {
    StorageEntry {
        name: name.parse().unwrap(),
        role_key: Some(RoleKey {
            role_arn: "arn:aws:iam::123492922789:role/example-role".parse().unwrap(),
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: SecretString::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        }),
        bucket: "my-quay-bucket".parse().unwrap(),
        storage_path: "/datastorage".parse().unwrap(),
        endpoint: Endpoint::Region("us-east-1".parse::<Region>().unwrap()),
        maximum_chunk_size_gb: None,
        signature_version: None,
    }
}

/// What a bundle with this text is after one write, with the backup of before, and what status says of it.
fn written(before: &str, name: &str) -> (String, Backup, Vec<WrittenLocation>) {
    let entry = entry(name);
    let (entries, ours) = ([&entry], [entry.name.clone()]);
    let change = Change { entries: &entries, ours: &ours, preference: Preference::Keep, replicate: false };
    let document = ConfigYaml::parse(before.as_bytes()).unwrap();
    let backup = Backup::default().with("bundle", &document.remember(&change)).unwrap();
    let Ok(Edit::Changed(text)) = document.edit(&change) else { panic!("nothing was written") };
    let place = "my-quay-bucket/datastorage".into();
    let written = WrittenLocation { name: name.into(), place, of: Some(format!("{}/lists", entry.digest())) };
    (text.expose_secret().to_owned(), backup, vec![written])
}

fn restored(text: &str, backup: &Backup, written: &[WrittenLocation]) -> Result<Option<Restoration>, Why> {
    let consumer = Consumer { bundle: "bundle".into(), ..Consumer::default() };
    let data = [("config.yaml".to_owned(), SecretSlice::from(text.as_bytes().to_vec()))];
    plan(&consumer, &Allowed::any(), written, backup, &BundleSecret::of(data.into()))
}

fn why(text: &str, backup: &Backup, written: &[WrittenLocation]) -> Why {
    restored(text, backup, written).err().expect("nothing is put back")
}

#[test]
fn the_text_of_before_comes_back_and_its_own_key_is_what_is_to_be_proven() {
    let (text, backup, written) = written(STATIC, "default");
    let others = format!("{text}FEATURE_MAILING: true  # added since\n");
    let restoration = restored(&others, &backup, &written).unwrap().unwrap();
    let config = restoration.write.config.expose_secret();
    assert_eq!(config, format!("{STATIC}FEATURE_MAILING: true  # added since\n"));
    let [(location, Ok(target))] = &restoration.targets[..] else { panic!("there is one to be proven") };
    assert_eq!(
        (location.as_str(), target.role.as_ref(), target.principal.told().as_str()),
        ("default", None, "access key …OLD1")
    );
}

#[test]
fn what_somebody_changed_since_is_left_to_them() {
    let (text, backup, written) = written(STATIC, "default");
    for (says, edited) in [
        ("a key", text.replace("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7ANOTHER")),
        ("a role", text.replace("role/example-role", "role/another")),
        (
            "an argument more",
            text.replace(
                "      s3_region: \"us-east-1\"\n",
                "      s3_region: \"us-east-1\"\n      maximum_chunk_size_gb: 4\n",
            ),
        ),
        ("the old entry", STATIC.to_owned()),
        ("none", "DISTRIBUTED_STORAGE_CONFIG: {}\n".to_owned()),
    ] {
        assert_ne!(edited, text, "{says}");
        assert_eq!(why(&edited, &backup, &written), "somebody has changed location default since", "{says}");
    }
    // A secret that is replaced under the same id is nobody's change that AWS would know of.
    assert!(restored(&text.replace("EXAMPLEKEY", "EXAMPLENEW"), &backup, &written).is_ok());
}

#[test]
fn blobs_are_not_left_behind() {
    let (text, backup, location) = written("DISTRIBUTED_STORAGE_CONFIG: {}\n", "default");
    assert!(why(&text, &backup, &location).contains("did not stand there before"));
    let (text, backup, location) = written(&STATIC.replace("/datastorage", "/elsewhere"), "default");
    assert!(why(&text, &backup, &location).contains("at another place before"));
    let local = "DISTRIBUTED_STORAGE_CONFIG:\n  default: [LocalStorage, {storage_path: /datastorage}]\n";
    let (text, backup, location) = written(local, "default");
    assert!(why(&text, &backup, &location).contains("at another place before"));
}

#[test]
fn what_is_not_known_is_not_put_back() {
    let (text, backup, mut location) = written(STATIC, "default");
    assert!(why(&text, &Backup::default(), &location).contains("nothing is known"));
    assert!(why(&text, &backup, &[]).contains("left the spec"));
    location.push(WrittenLocation { name: "second".into(), place: "b/p".into(), of: None });
    assert!(why(&text, &backup, &location).contains("what stood at location second is not known"));
    let bare = STATIC.replace("      s3_access_key: AKIAOLDOLDOLDOLDOLD1\n", "");
    let (text, backup, location) = written(&bare, "default");
    let restoration = restored(&text, &backup, &location).unwrap().unwrap();
    let [(_, Err(why))] = &restoration.targets[..] else { panic!("nobody can prove it") };
    assert!(why.contains("it has no access key"), "{why}");
}

#[test]
fn a_bundle_that_is_not_ours_to_change_is_left() {
    let (text, backup, written) = written(STATIC, "default");
    let consumer = Consumer { bundle: "bundle".into(), ..Consumer::default() };
    let data = [("config.yaml".to_owned(), SecretSlice::from(text.into_bytes()))];
    let secret = BundleSecret { immutable: true, ..BundleSecret::of(data.into()) };
    let refused = plan(&consumer, &Allowed::any(), &written, &backup, &secret).err().unwrap();
    assert_eq!(refused, "Secret bundle is immutable");
}
