use super::changes::Change;
use super::*;

fn who(name: &str) -> ResourceId {
    ResourceId { namespace: "quay".into(), name: name.into() }
}

fn at(resource_version: &str) -> Version {
    Version::At { uid: "uid".into(), resource_version: resource_version.into() }
}

fn is(name: &str, version: Version) -> Change {
    Change::Is { namespace: "quay".into(), name: name.into(), version }
}

/// Watches of which nothing is heard but what a test tells, and who is told.
struct Told {
    watches: SecretWatches,
    scope: Scope,
    changed: mpsc::UnboundedReceiver<ResourceId>,
}

impl Told {
    fn with(references: &[(&str, &str)]) -> Self {
        Self::of(Scope::Namespace("quay".into()), references)
    }

    fn of(scope: Scope, references: &[(&str, &str)]) -> Self {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let (sender, changed) = mpsc::unbounded_channel();
        let watches = SecretWatches::new(Client::try_from(config).unwrap(), process::Health::default(), sender);
        watches.lock().is_everywhere = scope == Scope::Everywhere;
        for (resource, secret) in references {
            assert_eq!(watches.refer(&who(resource), BTreeSet::from([(*secret).to_owned()])), Health::Starting);
        }
        let mut told = Self { watches, scope, changed };
        told.hears([Change::Begins]);
        told
    }

    /// Takes what comes as if by the watch, and says who is told of it.
    fn hears(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<String> {
        for change in changes {
            let concerned = self.watches.lock().take(&self.scope, change);
            self.watches.tell(concerned);
        }
        let mut names: Vec<String> = std::iter::from_fn(|| self.changed.try_recv().ok()).map(|who| who.name).collect();
        names.sort();
        names
    }

    /// Reads a Secret while nothing else happens.
    fn reads(&self, name: &str, version: &Version) {
        let before = self.watches.before_request("quay", name);
        self.watches.saw("quay", name, &before, version);
    }

    fn version(&self) -> Option<Version> {
        self.watches.version("quay", "key")
    }
}

#[tokio::test]
async fn our_own_echo_and_what_nobody_refers_to_are_no_news() {
    for scope in [Scope::Everywhere, Scope::Namespace("quay".into())] {
        let mut told = Told::of(scope, &[("a", "key"), ("b", "other")]);
        told.reads("key", &at("7"));
        let elsewhere = Change::Is { namespace: "another".into(), name: "key".into(), version: at("8") };
        assert_eq!(told.hears([is("key", at("7")), is("unrelated", at("8")), elsewhere]), [""; 0]);
        assert_eq!(told.hears([is("key", at("9"))]), ["a"]);
        assert_eq!(told.version(), Some(at("9")));
        assert_eq!(told.hears([is("key", Version::Absent)]), ["a"]);
        assert_eq!(told.version(), Some(Version::Absent));
    }
}

#[tokio::test]
async fn what_is_told_while_a_request_is_under_way_outlives_its_answer() {
    let mut told = Told::with(&[("a", "key")]);
    let before = told.watches.before_request("quay", "key");
    // The request is answered 404; before the answer arrives, the watch tells of the creation.
    assert_eq!(told.hears([is("key", at("8"))]), ["a"]);
    told.watches.saw("quay", "key", &before, &Version::Absent);
    assert_eq!(told.version(), Some(at("8")), "the pass that was brought has to read again");

    let before = told.watches.before_request("quay", "key");
    told.hears([is("key", at("10"))]);
    told.watches.saw("quay", "key", &before, &at("9"));
    assert_eq!(told.version(), Some(at("10")), "an older answer does not hide a newer event");
    told.watches.saw("quay", "key", &before, &at("11"));
    assert_eq!(told.version(), Some(at("11")), "a newer answer overtakes a lagging watch");
    assert_eq!(told.hears([is("key", at("10"))]), [""; 0]);
}

#[tokio::test]
async fn when_a_watch_begins_anew_all_is_read_again_also_what_was_being_read_then() {
    let mut told = Told::with(&[("a", "key"), ("b", "other")]);
    told.reads("key", &at("7"));
    let before = told.watches.before_request("quay", "other");
    assert_eq!(told.hears([Change::Begins]), ["a", "b"]);
    assert_eq!(told.version(), None);
    told.watches.saw("quay", "other", &before, &at("8"));
    assert_eq!(told.watches.version("quay", "other"), None, "it may have changed before the watch began");
    told.reads("other", &at("9"));
    assert_eq!(told.watches.version("quay", "other"), Some(at("9")));
}

#[tokio::test]
async fn a_watch_that_is_interrupted_is_trusted_to_catch_up_and_one_that_never_began_is_not() {
    let mut told = Told::with(&[("a", "key")]);
    told.reads("key", &at("7"));
    assert_eq!(told.hears([Change::Unanswered]), [""; 0]);
    assert_eq!(told.version(), Some(at("7")));

    let other = ResourceId { namespace: "other".into(), name: "c".into() };
    let refer = || told.watches.refer(&other, BTreeSet::from(["key".to_owned()]));
    assert_eq!(refer(), Health::Starting);
    let concerned = told.watches.lock().take(&Scope::Namespace("other".into()), Change::Unanswered);
    assert_eq!(concerned, HashSet::from([other.clone()]));
    assert_eq!(refer(), Health::Failing);
}

#[tokio::test]
async fn where_all_namespaces_may_no_longer_be_seen_each_gets_a_watch_of_its_own() {
    let mut told = Told::of(Scope::Everywhere, &[("a", "key")]);
    told.reads("key", &at("7"));
    told.watches.turn_to(false);
    assert_eq!(told.hears([]), ["a"]);
    assert_eq!(told.version(), None, "nothing is known of what is not watched");
    assert_eq!(told.watches.refer(&who("a"), BTreeSet::from(["key".to_owned()])), Health::Starting);
    assert_eq!(told.watches.lock().watches.keys().collect::<Vec<_>>(), [&Scope::Namespace("quay".into())]);
}

#[tokio::test]
async fn a_secret_that_has_to_be_read_again_has_no_version_and_a_resource_that_is_gone_leaves_nothing() {
    for scope in [Scope::Everywhere, Scope::Namespace("quay".into())] {
        let mut told = Told::of(scope, &[("a", "key"), ("b", "key")]);
        told.reads("key", &at("7"));
        told.watches.lost("quay", "key");
        assert_eq!(told.version(), None);
        told.watches.forget(&who("a"));
        assert_eq!(told.hears([]), ["b"], "who shared a reference looks again");
        assert_eq!(told.watches.lock().referrers("quay", "key"), HashSet::from(["b".to_owned()]));
        told.watches.forget(&who("b"));
        assert!(told.watches.lock().watches.is_empty(), "the last resource takes the watch along");
    }
}
