use super::*;

fn who(name: &str) -> ResourceId {
    ResourceId { namespace: "quay".into(), name: name.into() }
}

fn at(resource_version: &str) -> Version {
    Version::At { uid: "uid".into(), resource_version: resource_version.into() }
}

fn secret(name: &str, resource_version: &str) -> PartialObjectMeta<Secret> {
    let metadata = ObjectMeta {
        name: Some(name.into()),
        uid: Some("uid".into()),
        resource_version: Some(resource_version.into()),
        ..ObjectMeta::default()
    };
    PartialObjectMeta { metadata, ..PartialObjectMeta::default() }
}

/// Watches of which nothing is heard but what a test tells, and who is told.
struct Told {
    watches: SecretWatches,
    changed: mpsc::UnboundedReceiver<ResourceId>,
}

impl Told {
    fn with(references: &[(&str, &str)]) -> Self {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let (sender, changed) = mpsc::unbounded_channel();
        let watches = SecretWatches::new(Client::try_from(config).unwrap(), sender);
        for (resource, secret) in references {
            watches.refer(&who(resource), BTreeSet::from([(*secret).to_owned()]));
        }
        let mut told = Self { watches, changed };
        told.hears([Event::Init, Event::InitDone]);
        told
    }

    /// Takes events as if they came by the watch, and says who is told of them.
    fn hears(&mut self, events: impl IntoIterator<Item = Event<PartialObjectMeta<Secret>>>) -> Vec<String> {
        for event in events {
            let concerned = self.watches.lock().get_mut("quay").unwrap().take(Ok(event));
            self.watches.tell("quay", &concerned);
        }
        let mut names: Vec<String> = std::iter::from_fn(|| self.changed.try_recv().ok()).map(|who| who.name).collect();
        names.sort();
        names
    }

    fn version(&self) -> Option<Version> {
        self.watches.version("quay", "key")
    }
}

#[tokio::test]
async fn our_own_echo_and_what_nobody_refers_to_are_no_news() {
    let mut told = Told::with(&[("a", "key"), ("b", "other")]);
    told.watches.saw("quay", "key", None, &at("7"));
    assert_eq!(told.hears([Event::Apply(secret("key", "7")), Event::Apply(secret("unrelated", "8"))]), [""; 0]);
    assert_eq!(told.hears([Event::Apply(secret("key", "9"))]), ["a"]);
    assert_eq!(told.version(), Some(at("9")));
}

#[tokio::test]
async fn what_is_told_while_a_request_is_under_way_outlives_its_answer() {
    let mut told = Told::with(&[("a", "key")]);
    let before = told.watches.before_request("quay", "key");
    // The request is answered 404; before the answer arrives, the watch tells of the creation.
    assert_eq!(told.hears([Event::Apply(secret("key", "8"))]), ["a"]);
    told.watches.saw("quay", "key", before.as_ref(), &Version::Absent);
    assert_eq!(told.version(), Some(at("8")), "the pass that was brought has to read again");

    let before = told.watches.before_request("quay", "key");
    told.hears([Event::Apply(secret("key", "10"))]);
    told.watches.saw("quay", "key", before.as_ref(), &at("9"));
    assert_eq!(told.version(), Some(at("10")), "an older answer does not hide a newer event");
    told.watches.saw("quay", "key", before.as_ref(), &at("11"));
    assert_eq!(told.version(), Some(at("11")), "a newer answer overtakes a lagging watch");
    assert_eq!(told.hears([Event::Apply(secret("key", "10"))]), [""; 0]);
}

#[tokio::test]
async fn what_a_list_no_longer_lists_is_gone_and_what_was_just_read_is_not() {
    let mut told = Told::with(&[("a", "key"), ("b", "read")]);
    told.watches.saw("quay", "key", None, &at("7"));
    told.hears([Event::Init]);
    told.watches.saw("quay", "read", None, &at("8"));
    assert_eq!(told.hears([Event::InitDone]), ["a"]);
    assert_eq!(told.version(), Some(Version::Absent));
    assert_eq!(told.watches.version("quay", "read"), Some(at("8")));
}

#[tokio::test]
async fn a_secret_that_has_to_be_read_again_has_no_version_and_a_resource_that_is_gone_leaves_nothing() {
    let mut told = Told::with(&[("a", "key"), ("b", "key")]);
    told.watches.saw("quay", "key", None, &at("7"));
    told.watches.lost("quay", "key");
    assert_eq!(told.version(), None);
    told.watches.forget(&who("a"));
    assert_eq!(told.hears([]), ["b"], "who shared a reference looks again");
    assert_eq!(told.watches.referrers("quay", "key"), ["b"]);
    told.watches.forget(&who("b"));
    assert!(told.watches.lock().is_empty(), "the last resource takes the namespace's watch along");
}
