use kube::core::DeserializeGuard;
use serde_json::json;

use super::*;

fn stored(namespace: &str, name: &str, spec: serde_json::Value) -> Stored {
    let mut spec = spec;
    spec["locations"] = json!([]);
    let object = json!({"apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage", "spec": spec,
        "metadata": {"namespace": namespace, "name": name, "managedFields": [{"manager": "kubectl"}],
            "annotations": {LAST_APPLIED: "{}", "kept": "yes"}}});
    let stored: Stored = serde_json::from_value(object).unwrap();
    assert!(stored.0.is_ok());
    stored
}

fn of_bundle(namespace: &str, name: &str, bundle: &str) -> Stored {
    stored(namespace, name, json!({"configBundleSecret": bundle}))
}

fn taking() -> Taking {
    let (store, writer) = reflector::store();
    let resources = Resources { store, bundles: Arc::default() };
    Taking { resources, writer, listed: HashMap::new(), beginning: beginning(&[]) }
}

fn names(taking: &Taking) -> Vec<String> {
    let mut names: Vec<String> = taking.resources.store.state().iter().map(|stored| id(stored).to_string()).collect();
    names.sort();
    names
}

fn sharing(taking: &Taking, bundle: &str) -> Vec<String> {
    let found = taking.resources.of_bundle("quay", bundle, |registry| registry == "names-it");
    let mut names: Vec<String> = found.iter().map(|stored| id(stored).name).collect();
    names.sort();
    names
}

fn list(taking: &mut Taking, scope: Option<&str>, listed: Vec<Stored>) -> Vec<String> {
    let scope = scope.map(str::to_owned);
    assert!(taking.take(scope.as_ref(), Event::Init).is_empty());
    for stored in listed {
        assert!(taking.take(scope.as_ref(), Event::InitApply(stored)).is_empty(), "what is half listed is not known");
    }
    let told = taking.take(scope.as_ref(), Event::InitDone);
    told.iter()
        .map(|told| match told {
            Told::Is(who) => format!("is {who}"),
            Told::Gone(who) => format!("gone {who}"),
        })
        .collect()
}

#[test]
fn a_list_says_what_is_there_and_what_is_gone_in_its_own_namespace_only() {
    let mut taking = taking();
    list(&mut taking, Some("a"), vec![of_bundle("a", "one", "b"), of_bundle("a", "two", "b")]);
    list(&mut taking, Some("b"), vec![of_bundle("b", "one", "b")]);
    assert_eq!(names(&taking), ["a/one", "a/two", "b/one"]);
    let told = list(&mut taking, Some("a"), vec![of_bundle("a", "two", "b")]);
    assert_eq!(told, ["gone a/one", "is a/two"]);
    assert_eq!(names(&taking), ["a/two", "b/one"]);
    let told = list(&mut taking, None, vec![]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(names(&taking), [""; 0]);
    assert!(taking.resources.bundles.read().unwrap().is_empty());
}

#[test]
fn those_that_speak_of_the_same_bundle_are_found_also_after_they_name_another() {
    let mut taking = taking();
    let registry = |name: &str, registry: &str| stored("quay", name, json!({"registryRef": {"name": registry}}));
    let all = vec![
        of_bundle("quay", "one", "bundle"),
        of_bundle("quay", "two", "bundle"),
        of_bundle("quay", "other", "other"),
        of_bundle("elsewhere", "one", "bundle"),
        registry("by-registry", "names-it"),
        registry("another-registry", "does-not"),
    ];
    list(&mut taking, None, all);
    assert_eq!(sharing(&taking, "bundle"), ["by-registry", "one", "two"]);
    taking.take(None, Event::Apply(of_bundle("quay", "two", "other")));
    taking.take(None, Event::Apply(registry("by-registry", "does-not")));
    taking.take(None, Event::Delete(of_bundle("quay", "other", "other")));
    assert_eq!(sharing(&taking, "bundle"), ["one"]);
    assert_eq!(sharing(&taking, "other"), ["two"]);
}

#[test]
fn what_nobody_reads_is_not_kept() {
    let mut taking = taking();
    taking.take(None, Event::Apply(of_bundle("quay", "one", "bundle")));
    let who = ResourceId { namespace: "quay".into(), name: "one".into() };
    let DeserializeGuard(Ok(kept)) = &*taking.resources.get(&who).unwrap() else { panic!("it is not kept") };
    assert_eq!(kept.metadata.managed_fields, None);
    assert_eq!(kept.metadata.annotations, Some([("kept".to_owned(), "yes".to_owned())].into()));
}

fn beginning(namespaces: &[&str]) -> Beginning {
    let namespaces: Vec<String> = namespaces.iter().map(|namespace| (*namespace).to_owned()).collect();
    Beginning { awaited: scopes(&namespaces).into_iter().collect(), is_any_listed: false, health: Health::default() }
}

fn refused(code: u16) -> watcher::Result<Event<Stored>> {
    let status = kube::core::Status { code, ..kube::core::Status::default() };
    Err(watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status))))
}

#[test]
fn the_process_is_ready_once_each_namespace_is_listed_or_refused_and_one_is_listed() {
    let mut both = beginning(&["a", "b"]);
    assert!(!both.hears(Some(&"a".into()), &refused(403)));
    assert!(!both.hears(Some(&"b".into()), &refused(500)), "one has not answered");
    assert!(both.hears(Some(&"b".into()), &Ok(Event::InitDone)));
    assert!(!both.hears(Some(&"b".into()), &Ok(Event::InitDone)), "it was ready before");

    let mut all = beginning(&[]);
    assert!(!all.hears(None, &refused(403)), "it can do nothing");
    assert!(all.hears(None, &Ok(Event::InitDone)));
}
