//! What the stories of tests/adopt do not show: where a bundle comes from, what it is called, what a cluster adds.

use secrecy::SecretSlice;

use super::*;
use crate::manifests::Manifests;
use crate::manifests::offline::PlainFile;

const ENTRY: &str = "[STSS3Storage, {sts_role_arn: 'arn:aws:iam::123492922789:role/quay', s3_bucket: my-quay-bucket, storage_path: /p, s3_region: us-east-1, sts_user_access_key: AKIAEXAMPLEEXAMPLE, sts_user_secret_key: s3cr3t}]";

fn config(locations: &[(&str, &str)]) -> String {
    let locations: Vec<String> = locations.iter().map(|(name, entry)| format!("  {name}: {entry}\n")).collect();
    format!("DISTRIBUTED_STORAGE_CONFIG:\n{}DISTRIBUTED_STORAGE_PREFERENCE: []\n", locations.concat())
}

fn secret(namespace: &str, name: &str) -> String {
    let config = config(&[("default", ENTRY)]).replace('\n', "\n    ");
    format!("kind: Secret\nmetadata: {{{namespace}name: {name}}}\nstringData:\n  config.yaml: |\n    {config}\n---\n")
}

fn registry(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: quay.redhat.com/v1\nkind: QuayRegistry\nmetadata: {{{namespace}name: {name}}}\nspec: {{configBundleSecret: {name}-bundle, components: [{{kind: objectstorage, managed: false}}]}}\n---\n"
    )
}

fn manifests(stream: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.add("all.yaml", stream).unwrap();
    manifests
}

fn plain(text: &str) -> Bundle {
    let file = PlainFile { name: "config.yaml".into(), text: SecretSlice::from(text.as_bytes().to_vec()) };
    offline::plain(file, Some("bundle".into()), None).unwrap()
}

#[test]
fn the_bundle_among_manifests_need_not_be_named_where_there_is_only_one() {
    let quay = "namespace: quay, ";
    let named = |stream: &str, named: Option<Named>, namespace: Option<&str>| {
        let bundle = offline::bundle(&manifests(stream), named.as_ref(), namespace)?;
        let registry = bundle.consumer.registry.clone().unwrap_or_default();
        Ok::<_, String>([bundle.namespace.clone().unwrap_or_default(), registry, bundle.consumer.bundle.clone()])
    };
    let one = secret(quay, "bundle");
    assert_eq!(named(&one, None, None).unwrap(), ["quay", "", "bundle"]);
    assert_eq!(named(&secret("", "bundle"), None, Some("prod")).unwrap(), ["prod", "", "bundle"]);
    let with_registry = registry(quay, "a") + &secret(quay, "a-bundle") + &one;
    assert_eq!(named(&with_registry, None, None).unwrap(), ["quay", "a", "a-bundle"]);
    assert_eq!(named(&with_registry, Some(Named::Secret("bundle".into())), None).unwrap(), ["quay", "", "bundle"]);
    let two = with_registry.clone() + &registry(quay, "b") + &secret(quay, "b-bundle");
    assert_eq!(named(&two, Some(Named::ByRegistry("b".into())), None).unwrap(), ["quay", "b", "b-bundle"]);

    for (stream, asked, says) in [
        (two.as_str(), None, "there is more than one QuayRegistry among"),
        (&(one.clone() + &secret(quay, "other")), None, "say which with --secret"),
        (&registry(quay, "a"), None, "Secret quay/a-bundle (spec.configBundleSecret of QuayRegistry a) is not among"),
        ("kind: ConfigMap\n", None, "there is no QuayRegistry, and no Secret with config.yaml among"),
        (&one, Some(Named::ByRegistry("a".into())), "QuayRegistry a (spec.registryRef) is not among the manifests"),
        (&one, Some(Named::Secret("a".into())), "Secret a (spec.configBundleSecret) is not among the manifests"),
        (&secret("", "\"a\\n# b\""), None, "none that Kubernetes takes"),
    ] {
        let told = named(stream, asked, None).unwrap_err();
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn a_plain_file_needs_no_names_and_those_that_are_given_are_names() {
    let text = config(&[("default", ENTRY)]);
    let file = || PlainFile { name: "stack/config.yaml".into(), text: SecretSlice::from(text.as_bytes().to_vec()) };
    let bundle = offline::plain(file(), None, None).unwrap();
    assert_eq!(resource_name(None, &bundle.consumer).unwrap(), "quay");
    let printed = bundle.adopt("quay", &Told::default()).unwrap().manifests;
    assert!(printed.starts_with("# What leaves stack/config.yaml, as it is."), "{printed}");
    assert!(printed.contains("configBundleSecret: \"<name of the bundle Secret>\""), "{printed}");
    assert!(!printed.contains("namespace:") && !printed.contains("kubectl"), "{printed}");
    assert!(offline::plain(file(), Some("a\n# b".into()), None).is_err());
    assert!(offline::plain(file(), None, Some("$(rm)".into())).is_err());
}

#[test]
fn the_resource_is_called_like_the_registry_or_the_bundle_or_as_somebody_says() {
    let named = |said: Option<&str>, registry: Option<&str>, bundle: &str| {
        let registry = registry.map(str::to_owned);
        resource_name(said, &Consumer { registry, bundle: bundle.into(), ..Consumer::default() })
    };
    assert_eq!(named(None, Some("registry"), "bundle").unwrap(), "registry");
    assert_eq!(named(None, None, "bundle").unwrap(), "bundle");
    assert_eq!(named(Some("mine"), Some("registry"), "bundle").unwrap(), "mine");
    assert_eq!(named(None, None, &format!("{}-{}", "a".repeat(229), "b".repeat(20))).unwrap(), "a".repeat(229));
    for bad in ["", "Mine", "-a", "a b", "a\nb", &"a".repeat(231)] {
        assert!(named(Some(bad), None, "bundle").is_err(), "{bad:?}");
    }
}

#[test]
fn only_of_a_cluster_a_command_creates_the_key_and_it_names_no_value() {
    let mut bundle = plain(&config(&[("default", ENTRY)]));
    assert!(!bundle.adopt("example", &Told::default()).unwrap().manifests.contains("kubectl"));
    bundle.namespace = Some("quay".into());
    bundle.is_live = true;
    let printed = bundle.adopt("example", &Told::default()).unwrap().manifests;
    for line in [
        r#"# kubectl -n quay get secret bundle -o go-template='{{index .data "config.yaml" | base64decode}}' |"#,
        r#"#   yq '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "example-sts-key"}, "stringData": {"AWS_ACCESS_KEY_ID": .DISTRIBUTED_STORAGE_CONFIG["default"][1].sts_user_access_key, "AWS_SECRET_ACCESS_KEY": .DISTRIBUTED_STORAGE_CONFIG["default"][1].sts_user_secret_key}}' |"#,
        "#   kubectl -n quay create -f -",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\nis not in\n{printed}");
    }
}

#[test]
fn no_text_of_a_bundle_ends_a_comment() {
    for end in ["\\n", "\\r", "\\u0085", "\\u2028", "\\u2029"] {
        let entry = ENTRY.replace("/p", &format!("\"/p{end}kind: Secret\""));
        let refused = plain(&config(&[("default", &entry)])).adopt("example", &Told::default()).unwrap_err();
        assert!(refused[1].contains("a storage_path that is not a path of one line"), "{refused:?}");
    }
    let mut printed = String::new();
    print::comment("a\u{2028}b\rc\nd\u{85}e", &mut printed);
    assert_eq!(printed, "# a\u{fffd}b\u{fffd}c\n# d\u{fffd}e\n");
}

#[test]
fn what_is_told_of_accounts_is_in_the_policies() {
    let told = |principal: &str, account: &str| Told {
        principal: principal.parse().ok(),
        account: account.parse().ok(),
        ..Told::default()
    };
    let user = "arn:aws:iam::123492922789:user/quay";
    let adoption = plain(&config(&[("default", ENTRY)])).adopt("example", &told(user, "")).unwrap();
    assert!(adoption.manifests.contains(user) && !adoption.manifests.contains("<ARN of the IAM user>"));
    let keys = "[S3Storage, {s3_bucket: my-quay-bucket, storage_path: /p, s3_region: us-east-1}]";
    let adoption = plain(&config(&[("default", keys)])).adopt("example", &told("", "222222222222")).unwrap();
    assert!(adoption.manifests.contains("\"aws:ResourceAccount\": \"222222222222\""), "{}", adoption.manifests);
    let other =
        plain(&config(&[("default", ENTRY)])).adopt("example", &told("arn:aws-cn:iam::123492922789:user/a", ""));
    assert!(other.unwrap_err()[0].contains("of partition aws-cn"));
}

#[test]
fn as_many_locations_are_adopted_as_a_resource_may_have() {
    let names: Vec<String> = (0..17).map(|number| format!("l{number}")).collect();
    let locations: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), ENTRY)).collect();
    let adoption = plain(&config(&locations)).adopt("example", &Told::default()).unwrap();
    assert_eq!(adoption.manifests.matches("\n  - name: l").count(), 16);
    assert!(adoption.notes[0].starts_with("Left alone: location l16 (line 18): a QuayStorage has at most 16"));
}

#[test]
fn hosts_of_static_keys_that_are_awss_are_regions() {
    for (arguments, place) in [
        ("host: s3.eu-west-1.amazonaws.com", "region: eu-west-1"),
        ("host: s3-eu-west-1.amazonaws.com", "region: eu-west-1"),
        ("host: s3.cn-north-1.amazonaws.com.cn", "region: cn-north-1"),
        ("endpoint_url: 'https://s3.us-gov-west-1.amazonaws.com'", "region: us-gov-west-1"),
        ("host: s3.amazonaws.com", "region: <region of the bucket>"),
        ("host: minio, port: 9000", "endpointUrl: https://minio:9000"),
        ("endpoint_url: 'http://minio:9000'", "endpointUrl: http://minio:9000"),
    ] {
        let entry = format!("[S3Storage, {{s3_bucket: my-quay-bucket, storage_path: /p, {arguments}}}]");
        let adoption = plain(&config(&[("default", &entry)])).adopt("example", &Told::default()).unwrap();
        assert!(adoption.manifests.contains(place), "{arguments}: {}", adoption.manifests);
        let refused = adoption.notes.iter().any(|note| note.contains("would not be written"));
        assert!(!refused, "{arguments}: {:?}", adoption.notes);
        assert!(adoption.manifests.contains("+++ config.yaml"), "{arguments}: {}", adoption.manifests);
    }
}

#[test]
fn of_two_bundles_of_one_name_in_two_namespaces_none_is_guessed() {
    let two = secret("namespace: quay, ", "bundle") + &secret("namespace: prod, ", "bundle");
    let named = Named::Secret("bundle".into());
    let refused = offline::bundle(&manifests(&two), Some(&named), None).map(drop).unwrap_err();
    assert!(refused.contains("more than one namespace") && refused.contains("-n"), "{refused}");
    let chosen = offline::bundle(&manifests(&two), Some(&named), Some("prod")).map(|bundle| bundle.namespace);
    assert_eq!(chosen.unwrap().as_deref(), Some("prod"));
}
