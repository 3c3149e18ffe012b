use super::*;
use crate::bundle::{Change, Preference, RoleKey, StorageEntry};
use crate::place::Region;
use crate::plan::backup::Keep;

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

/// What a bundle with this text is after one write, with the backup of before.
fn written(before: &str) -> (String, Backup) {
    let entry = entry("default");
    let (entries, ours) = ([&entry], [entry.name.clone()]);
    let change = Change { entries: &entries, ours: &ours, preference: Preference::Keep, replicate: false };
    let document = ConfigYaml::parse(before.as_bytes()).unwrap();
    let keep = Keep { remembered: Some(document.remember(&change)), writes: vec![("default".into(), entry.digest())] };
    let Ok(Edit::Changed(text)) = document.edit(&change) else { panic!("nothing was written") };
    (text.expose_secret().to_owned(), Backup::default().with("bundle", &keep).unwrap())
}

fn restored(text: &str, backup: &Backup) -> Result<Restoration, Why> {
    let consumer = Consumer { bundle: "bundle".into(), ..Consumer::default() };
    let data = [("config.yaml".to_owned(), SecretSlice::from(text.as_bytes().to_vec()))];
    plan(&consumer, &Allowed::any(), &["default"], backup, &BundleSecret::of(data.into()))
}

fn why(text: &str, backup: &Backup) -> Why {
    restored(text, backup).err().expect("nothing is put back")
}

#[test]
fn the_text_of_before_comes_back_and_its_own_key_is_what_is_to_be_proven() {
    let (text, backup) = written(STATIC);
    let others = format!("{text}FEATURE_MAILING: true  # added since\n");
    let Ok(Restoration::PutBack(back)) = restored(&others, &backup) else { panic!("it can be put back") };
    let PutBack { write, targets } = *back;
    assert_eq!(write.config.expose_secret(), format!("{STATIC}FEATURE_MAILING: true  # added since\n"));
    let [Entry { location, target: Ok(target) }] = &targets[..] else { panic!("there is one to be proven") };
    assert_eq!((location.as_str(), target.role.as_ref()), ("default", None));
    assert_eq!(target.principal.told(), "access key …OLD1");
    assert!(matches!(restored(write.config.expose_secret(), &backup), Ok(Restoration::Done)), "once is enough");
}

#[test]
fn an_entry_that_names_the_host_of_a_region_is_proven_there() {
    let by_host = STATIC.replace("s3_region: us-east-1", "host: s3.us-east-1.amazonaws.com");
    let (text, backup) = written(&by_host);
    let Ok(Restoration::PutBack(back)) = restored(&text, &backup) else { panic!("it can be put back") };
    assert!(
        matches!(&back.targets[0].target, Ok(Target { endpoint: Endpoint::Region(region), .. }) if region.as_str() == "us-east-1")
    );
}

#[test]
fn what_somebody_changed_since_is_left_to_them() {
    let (text, backup) = written(STATIC);
    let more = "      s3_region: \"us-east-1\"\n      maximum_chunk_size_gb: 4\n";
    for (says, edited) in [
        ("a key", text.replace("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7ANOTHER")),
        ("a role", text.replace("role/example-role", "role/another")),
        ("an argument more", text.replace("      s3_region: \"us-east-1\"\n", more)),
        ("another old entry", STATIC.replace("AKIAOLDOLDOLDOLDOLD1", "AKIAOLDOLDOLDOLDOLD2")),
        ("none", "DISTRIBUTED_STORAGE_CONFIG: {}\n".to_owned()),
    ] {
        assert_ne!(edited, text, "{says}");
        assert_eq!(why(&edited, &backup), "somebody has changed location default since", "{says}");
    }
    // A secret that is replaced under the same id is nobody's change that AWS would know of.
    assert!(restored(&text.replace("EXAMPLEKEY", "EXAMPLENEW"), &backup).is_ok());
}

#[test]
fn blobs_are_not_left_behind() {
    let local = "DISTRIBUTED_STORAGE_CONFIG:\n  default: [LocalStorage, {storage_path: /datastorage}]\n";
    for (before, says) in [
        ("DISTRIBUTED_STORAGE_CONFIG: {}\n", "did not stand there before"),
        (&*STATIC.replace("/datastorage", "/elsewhere"), "at another place before"),
        (local, "at another place before"),
    ] {
        let (text, backup) = written(before);
        let why = why(&text, &backup);
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn what_is_not_known_or_cannot_be_proven_is_not_put_back() {
    let (text, backup) = written(STATIC);
    assert!(why(&text, &Backup::default()).contains("nothing is known"));
    let second = text.replace("DISTRIBUTED_STORAGE_PREFERENCE", "  \"second\": [\"STSS3Storage\", {\"s3_bucket\": \"another\", \"storage_path\": \"/p\", \"s3_region\": \"us-east-1\"}]\nDISTRIBUTED_STORAGE_PREFERENCE");
    let consumer = Consumer { bundle: "bundle".into(), ..Consumer::default() };
    let data = [("config.yaml".to_owned(), SecretSlice::from(second.into_bytes()))];
    let secret = BundleSecret::of(data.into());
    let refused = plan(&consumer, &Allowed::any(), &["default", "second"], &backup, &secret).err().unwrap();
    assert_eq!(refused, "what stood at location second is not known");
    let (text, backup) = written(&STATIC.replace("      s3_access_key: AKIAOLDOLDOLDOLDOLD1\n", ""));
    assert!(why(&text, &backup).contains("it has no access key"));
}

#[test]
fn a_bundle_that_is_not_ours_to_change_is_left() {
    let (text, backup) = written(STATIC);
    let consumer = Consumer { bundle: "bundle".into(), ..Consumer::default() };
    let data = [("config.yaml".to_owned(), SecretSlice::from(text.into_bytes()))];
    let secret = BundleSecret { immutable: true, ..BundleSecret::of(data.into()) };
    let refused = plan(&consumer, &Allowed::any(), &["default"], &backup, &secret).err().unwrap();
    assert_eq!(refused, "Secret bundle is immutable");
}
