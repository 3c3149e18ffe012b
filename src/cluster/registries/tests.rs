use serde_json::json;

use super::*;

fn registry(name: &str, bundle: &str, version: &str) -> DynamicObject {
    let object = json!({"metadata": {"name": name, "namespace": "quay", "resourceVersion": version},
        "spec": {"configBundleSecret": bundle}});
    serde_json::from_value(object).unwrap()
}

fn who(name: &str) -> ResourceId {
    ResourceId { namespace: "quay".into(), name: name.into() }
}

/// A resource `a` refers to registry `one`, and `b` to `two`; the first list has registry `one` only.
fn known() -> Known {
    let mut known = Known::default();
    known.references.insert(who("a"), "one".into());
    known.references.insert(who("b"), "two".into());
    assert_eq!(known.look("quay", "one"), Look::Starting);
    let mut listed = HashMap::new();
    for event in [Event::Init, Event::InitApply(registry("one", "bundle", "1"))] {
        assert_eq!(known.take(Some(event), &mut listed), HashSet::new());
    }
    assert_eq!(known.take(Some(Event::InitDone), &mut listed), [who("a"), who("b")].into());
    known
}

fn bundle_of(known: &Known, name: &str) -> Option<String> {
    match known.look("quay", name) {
        Look::Found(Some(registry)) => registry.bundle,
        _ => None,
    }
}

#[test]
fn a_change_of_a_registry_concerns_those_that_refer_to_it_and_no_others() {
    let (mut known, listed) = (known(), &mut HashMap::new());
    assert_eq!((bundle_of(&known, "one").as_deref(), known.look("quay", "two")), (Some("bundle"), Look::Missing));
    assert_eq!(known.look("other", "one"), Look::Missing, "it is of another namespace");
    let same = Event::Apply(registry("one", "bundle", "2"));
    assert_eq!(known.take(Some(same), listed), HashSet::new(), "nothing of it that concerns us has changed");
    assert_eq!(known.take(Some(Event::Apply(registry("one", "other", "3"))), listed), [who("a")].into());
    assert_eq!(bundle_of(&known, "one").as_deref(), Some("other"));
    assert_eq!(known.take(Some(Event::Delete(registry("one", "other", "4"))), listed), [who("a")].into());
    assert_eq!(known.look("quay", "one"), Look::Missing);
}

#[test]
fn what_a_later_list_no_longer_lists_is_gone() {
    let (mut known, listed) = (known(), &mut HashMap::new());
    for event in [Event::Init, Event::InitApply(registry("two", "bundle", "1"))] {
        assert_eq!(known.take(Some(event), listed), HashSet::new());
        assert_eq!(bundle_of(&known, "one").as_deref(), Some("bundle"), "until the list is complete");
    }
    assert_eq!(known.take(Some(Event::InitDone), listed), [who("a"), who("b")].into());
    assert_eq!((known.look("quay", "one"), bundle_of(&known, "two").as_deref()), (Look::Missing, Some("bundle")));
}

#[test]
fn a_kind_that_is_not_there_or_may_not_be_seen_is_told_to_all_once() {
    let mut known = Known::default();
    known.references.insert(who("a"), "one".into());
    assert_eq!(known.becomes(Health::NotInstalled), [who("a")].into());
    assert_eq!(known.becomes(Health::NotInstalled), HashSet::new());
    assert_eq!(known.look("quay", "one"), Look::NotInstalled);
    assert_eq!(known.becomes(Health::Forbidden), [who("a")].into());
    assert_eq!(known.look("quay", "one"), Look::Forbidden);
}

#[test]
fn an_interruption_of_a_watch_leaves_what_is_known_and_a_first_list_without_an_answer_is_told() {
    let listed = &mut HashMap::new();
    let mut synced = known();
    assert_eq!(synced.take(None, listed), HashSet::new());
    assert_eq!(bundle_of(&synced, "one").as_deref(), Some("bundle"));
    let mut starting = Known { references: [(who("a"), "one".into())].into(), ..Known::default() };
    assert_eq!(starting.take(None, listed), [who("a")].into());
    assert_eq!(starting.look("quay", "one"), Look::Unanswered);
}

#[test]
fn an_object_that_has_not_the_form_of_a_registry_is_found_and_not_read() {
    let odd = json!({"metadata": {"name": "one", "namespace": "quay"}, "spec": {"components": "none"}});
    let mut known = known();
    known.take(Some(Event::Apply(serde_json::from_value(odd).unwrap())), &mut HashMap::new());
    assert_eq!(known.look("quay", "one"), Look::Found(None));
}
