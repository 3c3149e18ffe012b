//! Manifests in, what is written or refused out.

use secrecy::{ExposeSecret as _, SecretSlice};

use super::offline::PlainFile;
use super::*;
use crate::plan::desired::Allowed;

const STORAGE: &str = "apiVersion: registry-sts.dev/v1alpha1
kind: QuayStorage
metadata: {name: example, namespace: quay}
spec:
  configBundleSecret: bundle
  locations:
  - name: default
    roleArn: arn:aws:iam::123492922789:role/example-role
    bucket: my-quay-bucket
    region: us-east-1
    auth: {accessKey: {secretRef: {name: quay-user}}}
";
const KEY: &str = "apiVersion: v1
kind: Secret
metadata: {name: quay-user, namespace: quay}
stringData: {AWS_ACCESS_KEY_ID: AKIAEXAMPLEEXAMPLE, AWS_SECRET_ACCESS_KEY: s3cr3t}
";
const BUNDLE: &str = "# the registry's bundle
apiVersion: v1
kind: Secret
metadata: {name: bundle, namespace: quay} # keep
stringData:
  # Quay's configuration
  config.yaml: |
    FEATURE: true  # why

    SERVER_HOSTNAME: quay.example.com
  ssl.cert: \"x\"
";
const ENTRY: &str = "    DISTRIBUTED_STORAGE_CONFIG:
      \"default\":
        - \"STSS3Storage\"
        - sts_role_arn: \"arn:aws:iam::123492922789:role/example-role\"
          s3_bucket: \"my-quay-bucket\"
          storage_path: \"/datastorage\"
          s3_region: \"us-east-1\"
          sts_user_access_key: \"AKIAEXAMPLEEXAMPLE\"
          sts_user_secret_key: \"s3cr3t\"
    DISTRIBUTED_STORAGE_PREFERENCE:
      - \"default\"
";

fn manifests(files: &[(&str, &str)]) -> Manifests {
    let mut manifests = Manifests::default();
    for (file, text) in files {
        manifests.add(file, text).unwrap();
    }
    manifests
}

/// The bundles' manifests, and whether one is written anew.
fn secret(files: &[(&str, &str)]) -> (String, bool) {
    let manifests = manifests(files);
    let told = |refused: Vec<Refused>| refused.iter().map(ToString::to_string).collect::<Vec<_>>();
    let bundles = manifests.render(None, &Allowed::any()).map_err(told).unwrap();
    let secrets = manifests.secrets(&bundles).unwrap();
    (secrets.stream.expose_secret().to_owned(), !secrets.anew.is_empty())
}

fn refused(files: &[(&str, &str)]) -> Vec<String> {
    let result = manifests(files).render(None, &Allowed::any());
    result.err().into_iter().flatten().map(|refused| refused.to_string()).collect()
}

fn config_of(manifest: &str) -> String {
    let value: Value = serde_yaml::from_str(manifest).unwrap();
    value["stringData"]["config.yaml"].as_str().unwrap().to_owned()
}

#[test]
fn a_secret_keeps_every_byte_but_those_of_its_config() {
    let before_ssl = BUNDLE.find("  ssl.cert").unwrap();
    let expected = format!("{}{ENTRY}{}", &BUNDLE[..before_ssl], &BUNDLE[before_ssl..]);
    assert_eq!(secret(&[("s", STORAGE), ("k", KEY), ("b", BUNDLE)]), (expected.clone(), false));
    let stream = format!("{STORAGE}---\n{KEY}---\n{BUNDLE}---\n# nothing else\n");
    assert_eq!(secret(&[("all", &stream)]), (format!("---\n{expected}"), false));
    assert_eq!(secret(&[("all", &format!("{STORAGE}---\n{KEY}")), ("b", &expected)]), (expected, false));
}

#[test]
fn a_secret_in_base64_stays_one_and_wrapped_lines_stay_wrapped() {
    let config = "RkVBVFVSRTogdHJ1ZQo=";
    for (old, new) in [
        (config.to_owned(), "  config.yaml: RkVBVFVSRTogdHJ1ZQpESVNU"),
        (format!("\"{config}\""), "  config.yaml: \"RkVBVFVSRTogdHJ1ZQpESVNU"),
        (
            format!("|\n    {}\n    {}", &config[..8], &config[8..]),
            "  config.yaml: |\n    RkVBVFVS\n    RTogdHJ1\n    ZQpESVNU\n",
        ),
    ] {
        let bundle = format!("kind: Secret\nmetadata: {{name: bundle}}\ndata: # c\n  config.yaml: {old} # d\n")
            .replace(" # d\n", if old.starts_with('|') { "\n" } else { " # d\n" });
        let (written, anew) = secret(&[("s", STORAGE), ("k", KEY), ("b", &bundle)]);
        assert!(!anew && written.starts_with("kind: Secret\nmetadata: {name: bundle}\ndata: # c\n"), "{written}");
        assert!(
            written.contains(new) && written.ends_with(if old.starts_with('|') { "\n" } else { " # d\n" }),
            "{written}"
        );
    }
}

#[test]
fn json_stays_json_and_an_item_of_a_list_is_written_anew() {
    let json = r#"{"kind": "Secret", "metadata": {"name": "bundle"},
  "stringData": {"config.yaml": "A: 1\n", "z": "1", "b": "\u00e9"}}"#;
    let (written, anew) = secret(&[("s", STORAGE), ("k", KEY), ("b.json", json)]);
    assert!(!anew && written.ends_with("\", \"z\": \"1\", \"b\": \"\\u00e9\"}}"), "{written}");
    assert!(
        serde_json::from_str::<serde_json::Value>(&written).is_ok()
            && config_of(&written).starts_with("A: 1\nDISTRIBUTED_STORAGE_CONFIG:\n"),
        "{written}"
    );
    let list = format!("{{\"kind\": \"List\", \"items\": [{json}]}}");
    let (written, anew) = secret(&[("s", STORAGE), ("k", KEY), ("b.json", &list)]);
    assert!(
        anew && serde_json::from_str::<serde_json::Value>(&written).is_ok()
            && config_of(&written).starts_with("A: 1\nDISTRIBUTED_"),
        "{written}"
    );
}

#[test]
fn what_cannot_be_replaced_in_place_is_written_anew() {
    let anchored = BUNDLE.replace("config.yaml: |", "config.yaml: &c |") + "  copy: *c\n";
    let (written, anew) = secret(&[("s", STORAGE), ("k", KEY), ("b", &anchored)]);
    assert!(anew && config_of(&written).contains("STSS3Storage"), "{written}");
    let copy: Value = serde_yaml::from_str(&written).unwrap();
    assert!(!copy["stringData"]["copy"].as_str().unwrap().contains("STSS3Storage"), "{written}");
}

#[test]
fn an_unknown_field_is_refused_with_its_file_and_line() {
    let stream = format!("{KEY}---\n{}", STORAGE.replace("roleArn", "roleARN"));
    assert_eq!(
        refused(&[("quay/all.yaml", &stream), ("b", BUNDLE)]),
        [
            "quay/all.yaml, document 2 (line 13), QuayStorage quay/example: InvalidSpec: spec.locations[0].roleARN is no field of a QuayStorage: did you mean roleArn?"
        ]
    );
    assert_eq!(
        refused(&[("x", "kind: QuayStorage\napiVersion: registry-sts.dev/v1\nspec: hush")]),
        [
            "x, document 1 (line 2), QuayStorage ?: InvalidSpec: apiVersion: expected registry-sts.dev/v1alpha1, found another.",
            "x, document 1 (line 1), QuayStorage ?: InvalidSpec: metadata.name is missing: add it.",
            "x, document 1 (line 3), QuayStorage ?: InvalidSpec: spec is a text: expected a mapping.",
        ]
    );
}

#[test]
fn a_refusal_of_the_spec_names_the_field() {
    for (from, to, says) in [
        ("us-east-1", "us-east", "region is \"us-east\": expected an AWS region"),
        ("region: us-east-1", "endpointUrl: minio", "endpointUrl is \"minio\": expected http://host[:port]"),
        ("region: us-east-1", "storagePath: /x", "region and endpointUrl are both missing"),
        ("region: us-east-1", "region: us-east-1\n    endpointUrl: http://a", "region and endpointUrl are both given"),
        ("my-quay-bucket", "My", "spec.locations[0].bucket has 2 characters"),
        ("my-quay-bucket", "My-bucket", "bucket is \"My-bucket\": expected a bucket name"),
        ("role/example", "user/example", "roleArn \"arn:aws:iam::123492922789:user/example-role\""),
        ("  locations:", "  verification: {interval: 1m}\n  locations:", "spec.verification.interval is \"1m\""),
        ("name: default", "name: _default", "name is \"_default\": expected 1 to 63"),
    ] {
        assert!(STORAGE.contains(from));
        let told = refused(&[("s", &STORAGE.replace(from, to)), ("k", KEY), ("b", BUNDLE)]);
        assert!(told.len() == 1 && told[0].contains(says), "{told:#?}");
        assert!(told[0].starts_with("s, document 1 (line "), "{told:#?}");
    }
}

#[test]
fn what_stands_twice_is_refused_with_both_files() {
    let [once, again] = [("one.yaml", STORAGE), ("two.yaml", STORAGE)];
    assert_eq!(
        refused(&[once, again, ("k", KEY), ("b", BUNDLE)]),
        [
            "two.yaml, document 1 (line 1), QuayStorage quay/example: InvalidSpec: it stands in one.yaml, document 1 (line 1) too. Keep one of the two, or leave a file out."
        ]
    );
    let told = refused(&[once, once, ("k", KEY), ("b", BUNDLE)]);
    assert!(told[0].ends_with("in one.yaml, document 1 (line 1) too. Give that file once."), "{told:#?}");
    assert_eq!(
        refused(&[("s", STORAGE), ("k", KEY), ("k2", KEY), ("b", BUNDLE)]),
        [
            "s, document 1 (line 1), QuayStorage quay/example, location default: KeySecretUnreadable: Secret quay/quay-user (auth.accessKey.secretRef) stands twice among the manifests: in k, document 1 (line 1) and in k2, document 1 (line 1). Keep one of the two, or leave a file out."
        ]
    );
    let nowhere = BUNDLE.replace(", namespace: quay", "");
    let told = refused(&[("s", STORAGE), ("k", KEY), ("b", BUNDLE), ("b2", &nowhere)]);
    assert!(
        told[0].contains("BundleUnreadable: Secret quay/bundle (spec.configBundleSecret) stands twice"),
        "{told:#?}"
    );
    assert!(
        told[0].contains("b2, document 1 (line 2). Keep one of the two, or give both their metadata.namespace."),
        "{told:#?}"
    );
}

#[test]
fn a_location_of_two_resources_is_refused_also_where_both_ask_for_the_same() {
    let other = STORAGE.replace("name: example,", "name: another,").replace("bucket: my", "bucket: other");
    let twin = STORAGE.replace("name: example,", "name: another,");
    for other in [&other, &twin] {
        assert_eq!(
            refused(&[("s", STORAGE), ("o", other), ("k", KEY), ("b", BUNDLE)]),
            [
                "s, document 1 (line 1), QuayStorage quay/example, location default: LocationClaimed: QuayStorage quay/another (o, document 1 (line 1)) has this location of the bundle too, and only one can write it. Remove it from one of the two."
            ]
        );
    }
    // A plain file stands for every bundle, whatever it is called.
    let elsewhere = twin.replace("namespace: quay", "namespace: prod");
    let plain = PlainFile { name: "config.yaml".into(), text: SecretSlice::from(b"A: 1\n".to_vec()) };
    let key = KEY.replace(", namespace: quay", "");
    let result = manifests(&[("s", STORAGE), ("o", &elsewhere), ("k", &key)]).render(Some(&plain), &Allowed::any());
    let told: Vec<_> = result.err().unwrap().iter().map(|refused| refused.failure.reason).collect();
    assert_eq!(told, [Reason::LocationClaimed]);
}

#[test]
fn two_resources_of_one_bundle_are_written_into_it_both() {
    let other = STORAGE.replace("name: example,", "name: another,").replace("name: default", "name: second");
    let (written, _) = secret(&[("s", STORAGE), ("o", &other), ("k", KEY), ("b", BUNDLE)]);
    assert!(written.contains("\"default\":") && written.contains("\"second\":"), "{written}");
}

#[test]
fn several_bundles_are_one_stream() {
    let other = STORAGE.replace("name: example,", "name: another,").replace("Secret: bundle", "Secret: other");
    let marked = format!("---\n{}", BUNDLE.replace("name: bundle,", "name: other,"));
    let (both, _) = secret(&[("s", STORAGE), ("o", &other), ("k", KEY), ("b", BUNDLE.trim_end()), ("c", &marked)]);
    assert_eq!(both.lines().filter(|line| *line == "---").count(), 1);
    let (reversed, _) = secret(&[("o", &other), ("s", STORAGE), ("k", KEY), ("b", BUNDLE), ("c", &marked)]);
    assert_eq!(reversed.lines().filter(|line| *line == "---").count(), 2);
    for stream in [&both, &reversed] {
        assert!(
            manifests(&[("s", STORAGE), ("o", &other), ("k", KEY), ("out", stream)])
                .render(None, &Allowed::any())
                .is_ok(),
            "{stream}"
        );
    }
}

#[test]
fn what_is_missing_is_said_in_words_of_files() {
    assert_eq!(
        refused(&[("s", STORAGE), ("b", BUNDLE), ("k", &KEY.replace("namespace: quay", "namespace: prod"))]),
        [
            "s, document 1 (line 1), QuayStorage quay/example, location default: KeySecretMissing: Secret quay/quay-user (auth.accessKey.secretRef) is not among the manifests: add its file with -f. (Secret prod/quay-user in k, document 1 (line 1) is of another namespace.)"
        ]
    );
    assert_eq!(
        refused(&[("s", STORAGE), ("k", KEY)]),
        [
            "s, document 1 (line 1), QuayStorage quay/example: BundleMissing: Secret quay/bundle (spec.configBundleSecret) is not among the manifests: add its file with -f."
        ]
    );
    let told = refused(&[("s", STORAGE), ("k", KEY), ("b", &BUNDLE.replace("FEATURE: true", "FEATURE: ["))]);
    assert!(
        told[0].contains("BundleUneditable: Secret quay/bundle in b, document 1 (line 2): config.yaml "),
        "{told:#?}"
    );
    let told = refused(&[("s", STORAGE), ("k", &KEY.replace("AWS_ACCESS_KEY_ID", "ID")), ("b", BUNDLE)]);
    assert!(
        told[0].contains("MissingKey: Secret quay/quay-user in k, document 1 (line 1): AWS_ACCESS_KEY_ID"),
        "{told:#?}"
    );
}

#[test]
fn a_plain_file_is_called_by_its_name() {
    let render = |text: &str| {
        let plain = PlainFile { name: "stack/config.yaml".into(), text: SecretSlice::from(text.as_bytes().to_vec()) };
        manifests(&[("s", STORAGE), ("k", KEY)]).render(Some(&plain), &Allowed::any())
    };
    let told = |text: &str| render(text).err().unwrap()[0].failure.message.clone();
    assert!(told("A: [\n").starts_with("stack/config.yaml: config.yaml "), "{}", told("A: [\n"));
    let elsewhere = "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - S3Storage\n  - {s3_bucket: other, s3_region: us-east-1, storage_path: /x}\n";
    assert!(told(elsewhere).starts_with("stack/config.yaml has this location at other/x/"), "{}", told(elsewhere));
    assert_eq!(render("A: 1\n").ok().unwrap()[0].name, "stack/config.yaml");
}

#[test]
fn an_endpoint_is_refused_where_others_are_allowed() {
    let storage = STORAGE.replace("region: us-east-1", "endpointUrl: http://minio:9000");
    let manifests = manifests(&[("s", &storage), ("k", KEY), ("b", BUNDLE)]);
    assert_eq!(manifests.endpoints(), ["http://minio:9000"]);
    let render = |url: &str| {
        let endpoints = [url.parse().unwrap()].into_iter().collect();
        manifests.render(None, &Allowed { endpoints, audiences: None })
    };
    assert!(render("HTTP://MINIO:9000/").is_ok());
    assert_eq!(render("https://minio:9000").err().unwrap()[0].failure.reason, Reason::EndpointNotAllowed);
}

#[test]
fn a_document_that_cannot_be_read_is_told_with_its_file_number_and_line() {
    for (text, says) in [
        ("a: 1\n---\n\nb: [\n", "x.yaml, document 2 (line 5), column 1: it is no YAML: correct it there"),
        (
            "a: 1\n---\nb: 1\nb: hush\n",
            "x.yaml, document 2 (line 3), column 1: a mapping has a key twice: correct it there",
        ),
        (
            "---\nkind: Secret\nmetadata: {name: s, namespace: n}\ndata: {a: '#hush'}\n",
            "x.yaml, document 1 (line 2), Secret n/s: a value under data is not base64: encode it, or put it under stringData as it is",
        ),
    ] {
        assert_eq!(Manifests::default().add("x.yaml", text).unwrap_err().to_string(), says);
    }
}
