use super::*;
use crate::consumer::Consumer;
use crate::reason::Reason;

const REGISTRY: &str = "
apiVersion: quay.redhat.com/v1
kind: QuayRegistry
metadata: {name: example}
spec:
  configBundleSecret: bundle
  components:
  - {kind: objectstorage, managed: false}
  - {kind: mirror, managed: true, overrides: {env: [{name: AWS_DEFAULT_REGION, value: cn-north-1}]}}
  - kind: quay
    managed: true
    overrides:
      env: [{name: AWS_DEFAULT_REGION, value: cn-north-1}]
status: {currentVersion: 3.15.1}
";

fn read(yaml: &str) -> Option<Registry> {
    Registry::read(&serde_yaml::from_str(yaml).unwrap())
}

/// The registry with other text in place of some of it.
fn edited(from: &str, to: &str) -> Registry {
    assert!(REGISTRY.contains(from), "{from}");
    read(&REGISTRY.replacen(from, to, 1)).unwrap()
}

fn found(registry: Registry) -> RegistrySeen {
    RegistrySeen::Found(Box::new(registry))
}

fn consumer(registry: Registry) -> Consumer {
    found(registry).consumer("example").unwrap()
}

#[test]
fn a_registry_says_which_bundle_which_environment_and_which_version() {
    let consumer = consumer(read(REGISTRY).unwrap());
    assert_eq!((consumer.bundle.as_str(), consumer.registry.as_deref()), ("bundle", Some("example")));
    assert_eq!(consumer.environment.default_region.map(|r| r.to_string()).as_deref(), Some("cn-north-1"));
    assert_eq!(consumer.version.map(|version| version.to_string()).as_deref(), Some("3.15.1"));
    assert_eq!((consumer.hindrance, consumer.notes, consumer.identities), (None, Vec::new(), Vec::new()));
}

#[test]
fn what_does_not_have_the_form_of_a_registry_is_none() {
    assert_eq!(read("spec: {components: HUSH}"), None);
    assert_eq!(read("spec: {components: [{kind: quay, overrides: {env: [{name: A, value: {b: HUSH}}]}}]}"), None);
    assert_eq!(read("metadata: {name: bare}").unwrap().object_storage, ObjectStorage::Undeclared);
    assert_eq!(read("spec: {components: null, configBundleSecret: null}").unwrap().bundle, None);
    assert_eq!(edited("3.15.1", "nightly").version, None);
}

#[test]
fn what_keeps_a_registry_from_being_written_for_is_told_with_what_to_change() {
    let missing = |seen: RegistrySeen| seen.consumer("example").unwrap_err();
    let grant = "kubectl create …".to_owned();
    for (seen, reason, says) in [
        (RegistrySeen::Missing, Reason::RegistryMissing, "does not exist in this namespace"),
        (RegistrySeen::NotInstalled, Reason::RegistryMissing, "Install the Quay operator"),
        (RegistrySeen::Forbidden { grant }, Reason::RegistryForbidden, "kubectl create …"),
        (RegistrySeen::Unreadable { why: "(why)".into() }, Reason::RegistryUnreadable, "(why)"),
        (
            found(edited("{name: example}", "{name: example, deletionTimestamp: now}")),
            Reason::RegistryMissing,
            "is being deleted",
        ),
        (found(edited("configBundleSecret: bundle", "")), Reason::BundleNotNamed, "is empty"),
        (found(edited("configBundleSecret: bundle", "configBundleSecret: ''")), Reason::BundleNotNamed, ""),
        (
            found(edited(
                "      env: [{name: AWS_DEFAULT_REGION, value: cn-north-1}]",
                "      env: [{name: AWS_REGION, value: HUSH}]",
            )),
            Reason::StsEndpointUnknown,
            "no AWS region",
        ),
        (
            found(edited(
                "      env: [{name: AWS_DEFAULT_REGION, value: cn-north-1}]",
                "      env: [{name: AWS_REGION, valueFrom: {}}]",
            )),
            Reason::StsEndpointUnknown,
            "by a Secret or a ConfigMap",
        ),
    ] {
        let failure = missing(seen);
        assert_eq!(failure.reason, reason, "{}", failure.message);
        assert!(failure.message.contains(says) && !failure.message.contains("HUSH"), "{}", failure.message);
    }
}

#[test]
fn object_storage_that_the_quay_operator_may_manage_hinders_and_so_does_storage_in_the_environment() {
    let hindrance = |registry: Registry| consumer(registry).hindrance.unwrap();
    let own = "kind: objectstorage, managed: false";
    let managed = hindrance(edited(own, "kind: objectstorage, managed: true"));
    assert_eq!(managed.reason, Reason::ObjectStorageManaged);
    assert!(managed.message.contains("set {kind: objectstorage, managed: false} in its spec.components"));
    let undeclared = hindrance(edited(own, "kind: redis, managed: true"));
    assert_eq!(undeclared.reason, Reason::ObjectStorageManaged);
    assert!(undeclared.message.contains("Add {kind: objectstorage, managed: false} to its spec.components"));
    let replaced = hindrance(edited(
        "overrides: {env: [{name: AWS_DEFAULT_REGION, value: cn-north-1}]}",
        "overrides: {env: [{name: QUAY_OVERRIDE_CONFIG, value: '{\"DISTRIBUTED_STORAGE_CONFIG\": \"HUSH\"}'}]}",
    ));
    assert_eq!(replaced.reason, Reason::EnvironmentOverrides);
    assert!(
        replaced.message.contains("component mirror") && !replaced.message.contains("HUSH"),
        "{}",
        replaced.message
    );
}

#[test]
fn what_is_worth_knowing_of_the_environment_is_noted_without_a_value_that_may_be_secret() {
    let noted = |env: &str| {
        let from = "      env: [{name: AWS_DEFAULT_REGION, value: cn-north-1}]";
        consumer(edited(from, &format!("      env: [{{name: AWS_DEFAULT_REGION, value: cn-north-1}}, {env}]"))).notes
    };
    for (env, says) in [
        ("{name: AWS_REGION, value: cn-north-1}", "another AWS_REGION than those of component quay"),
        ("{name: QUAY_DISTRIBUTED_STORAGE_PREFERENCE, value: eu us}", "is \"eu us\" on component quay"),
        ("{name: QUAY_DISTRIBUTED_STORAGE_PREFERENCE, valueFrom: {}}", "cannot be seen here"),
        (
            "{name: QUAY_OVERRIDE_CONFIG, value: '{\"DISTRIBUTED_STORAGE_PREFERENCE\": [\"HUSH\"]}'}",
            "sets DISTRIBUTED_STORAGE_PREFERENCE",
        ),
        ("{name: QUAY_OVERRIDE_CONFIG, value: HUSH}", "no JSON object"),
        ("{name: AWS_SECRET_ACCESS_KEY, value: HUSH}", "superuser page"),
        ("{name: AWS_SHARED_CREDENTIALS_FILE, value: /HUSH}", "ROLEARN"),
    ] {
        let [note] = &noted(env)[..] else { panic!("{env}: {:?}", noted(env)) };
        assert!(note.contains(says) && !note.contains("HUSH"), "{note}");
    }
    let without_mirror = edited("kind: mirror, managed: true", "kind: mirror, managed: false");
    assert_eq!(consumer(without_mirror).notes, Vec::<String>::new());
    let undeclared = edited("kind: mirror", "kind: redis");
    assert!(consumer(undeclared).notes[0].contains("component mirror"), "it has pods unless it says otherwise");
}

#[test]
fn a_registry_that_names_another_bundle_than_the_output_is_told_of_and_nothing_waits_for_it() {
    for (bundle, is_told) in [("out", false), ("bundle", true), ("''", true)] {
        let seen = found(edited("configBundleSecret: bundle", &format!("configBundleSecret: {bundle}")));
        let consumer = seen.output_consumer("example", "out", "source").unwrap();
        assert_eq!((consumer.bundle.as_str(), consumer.read_from()), ("out", "source"));
        assert_eq!(consumer.field(), "spec.outputSecret");
        let told = consumer.elsewhere.map(|failure| failure.reason);
        assert_eq!(told, is_told.then_some(Reason::RegistryPointsElsewhere), "{bundle}");
    }
    let missing = RegistrySeen::Missing.output_consumer("example", "out", "source").unwrap_err();
    assert_eq!(missing.reason, Reason::RegistryMissing);
}
