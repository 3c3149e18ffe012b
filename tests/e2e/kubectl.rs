//! People with kubectl: what they change beside our entry stays, and what would undo it conflicts, unless it is forced.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::harness::audit::{requests, secret_writes, until_quiet};
use crate::harness::operator::Operator;
use crate::harness::world::{World, eventually, is};
use crate::harness::writers::{Tool, contested, until_counted};

const CONFIG: &str = "FEATURE_MAILING: false\n";

/// What was asked of the API server for resources, besides Events and the keeping of watches.
async fn asked(world: &World, operator: &Operator, from: usize) -> Vec<(String, String)> {
    let asked = until_quiet(world, &operator.credential).await.split_off(from);
    let asked = asked.into_iter().filter(|r| !r.is_event() && !r.is_watch_keeping());
    asked.map(|r| (r.verb, format!("{}/{}", r.resource, r.name))).collect()
}

/// Waits until the operator has read the changed bundle.
async fn until_read(world: &World, operator: &Operator, from: usize) {
    eventually("the changed bundle is read", || async {
        let asked = requests(world, &operator.credential).into_iter().skip(from);
        asked.into_iter().any(|r| r.verb == "get" && r.name == "bundle").then_some(())
    })
    .await;
}

fn read_once() -> [(String, String); 1] {
    [("get".into(), "secrets/bundle".into())]
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    Some(&secret.data.as_ref()?.get(key)?.0)
}

/// The managers of `config.yaml`.
fn managers(secret: &Secret) -> Vec<&str> {
    let of_config = |fields: &Value| !fields["f:data"]["f:config.yaml"].is_null();
    let entries = secret.metadata.managed_fields.iter().flatten();
    let entries = entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| of_config(&fields.0)));
    entries.filter_map(|entry| entry.manager.as_deref()).collect()
}

/// A bundle that was applied with kubectl, and has its entry.
async fn applied(config: &str) -> (World, Operator, Tool, Value) {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    let kubectl = Tool::new(&world, "kubectl").await;
    let manifest = kubectl.manifest(&[("config.yaml", config), ("ssl.cert", "first")]);
    kubectl.apply(&manifest).await.unwrap();
    let operator = Operator::start(&world).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    world.until_ready("example").await;
    until_quiet(&world, &operator.credential).await;
    (world, operator, kubectl, manifest)
}

#[tokio::test]
async fn an_apply_without_config_yaml_leaves_our_entry_and_needs_no_write() {
    let (world, operator, kubectl, _) = applied(CONFIG).await;
    let written = world.config("bundle").await;
    let stands = kubectl.get().await;
    assert_eq!(managers(&stands), ["registry-sts"], "what was written is the writer's alone");
    let from = requests(&world, &operator.credential).len();
    // config.yaml is not in the manifest any more; what is no longer kubectl's, kubectl does not remove.
    let mut manifest = kubectl.manifest(&[("ssl.cert", "renewed"), ("ssl.key", "new")]);
    manifest["metadata"]["labels"] = json!({"team": "blue"});
    kubectl.apply(&manifest).await.unwrap();
    until_read(&world, &operator, from).await;
    assert_eq!(asked(&world, &operator, from).await, read_once());
    let after = kubectl.get().await;
    assert_eq!(world.config("bundle").await, written);
    assert_eq!((value(&after, "ssl.cert"), value(&after, "ssl.key")), (Some(&b"renewed"[..]), Some(&b"new"[..])));
    assert_eq!(after.metadata.labels.unwrap()["team"], "blue");
    assert_eq!(contested(&world.until_ready("example").await), None);
}

#[tokio::test]
async fn an_apply_of_an_older_config_yaml_conflicts_and_forced_it_is_put_right_and_counted_once() {
    let (world, operator, kubectl, manifest) = applied(CONFIG).await;
    let written = world.config("bundle").await;
    let before = world.bundle("bundle").await.metadata.resource_version;
    for _ in 0..2 {
        let Err(kube::Error::Api(refused)) = kubectl.apply(&manifest).await else { panic!("it was applied") };
        assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
        assert!(refused.message.contains("\"registry-sts\"") && refused.message.contains(".data.config.yaml"));
    }
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before);

    let from = requests(&world, &operator.credential).len();
    kubectl.apply_by_force(&manifest).await;
    eventually("the entry stands again", || async { (world.config("bundle").await == written).then_some(()) }).await;
    assert_eq!(until_counted(&world, 1).await.writer.as_deref(), Some("kubectl"));
    let costs = ["get secrets/bundle", "patch secrets/bundle", "patch quaystorages/status/example"];
    let asked = asked(&world, &operator, from).await;
    let asked: Vec<String> = asked.into_iter().map(|(verb, what)| format!("{verb} {what}")).collect();
    assert_eq!(asked, costs);
    let ready = world.until_ready("example").await;
    assert!(!is(&ready, "Stalled", "True") && !is(&ready, "Reconciling", "True"));
    assert_eq!(managers(&kubectl.get().await), ["registry-sts"]);
    assert!(kubectl.apply(&manifest).await.is_err(), "the next one conflicts again");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn what_people_edit_and_replace_beside_our_entry_is_kept_and_a_replacement_of_before_it_conflicts() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let (editor, replacer) = (Tool::new(&world, "kubectl-edit").await, Tool::new(&world, "kubectl-replace").await);
    // Read before our entry stands, changed in a file meanwhile.
    let mut stale = replacer.get().await;
    let operator = Operator::start(&world).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    world.until_ready("example").await;
    let written = world.config("bundle").await;
    let from = until_quiet(&world, &operator.credential).await.len();

    let change = |secret: &mut Secret| {
        let data = secret.data.as_mut().unwrap();
        data.insert("ssl.cert".into(), k8s_openapi::ByteString(b"replaced".to_vec()));
    };
    change(&mut stale);
    let Err(kube::Error::Api(refused)) = replacer.replace(&stale).await else { panic!("it was replaced") };
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let mut fresh = replacer.get().await;
    change(&mut fresh);
    replacer.replace(&fresh).await.unwrap();
    until_read(&world, &operator, from).await;
    assert_eq!(asked(&world, &operator, from).await, read_once());

    let from = requests(&world, &operator.credential).len();
    editor.edit(&[("ssl.key", "edited")]).await;
    until_read(&world, &operator, from).await;
    assert_eq!(asked(&world, &operator, from).await, read_once());

    // And in config.yaml itself, beside the entry.
    let from = requests(&world, &operator.credential).len();
    let edited = written.replace("FEATURE_MAILING: false", "FEATURE_MAILING: true # for a test");
    editor.edit(&[("config.yaml", &edited)]).await;
    until_read(&world, &operator, from).await;
    assert_eq!(asked(&world, &operator, from).await, read_once());
    let after = editor.get().await;
    assert_eq!(world.config("bundle").await, edited);
    assert_eq!((value(&after, "ssl.cert"), value(&after, "ssl.key")), (Some(&b"replaced"[..]), Some(&b"edited"[..])));
    assert_eq!(contested(&world.until_ready("example").await), None);
    assert_eq!(secret_writes(&world, &operator.credential).len(), 1, "the entry");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
