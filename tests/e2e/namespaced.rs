//! An operator of some namespaces, with no right beyond them.

use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::harness::audit::requests;
use crate::harness::operator::Operator;
use crate::harness::world::{World, apply, condition, eventually};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// A ServiceAccount that nothing is bound to.
async fn account(world: &World, name: &str) {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": "registry-sts"}});
    apply(&world.admin, &account).await;
}

#[tokio::test]
async fn it_works_in_the_namespaces_that_it_was_given_and_may_see_nothing_elsewhere() {
    let (mut one, mut two, other) = (World::new().await, World::new().await, World::new().await);
    account(&one, "registry-sts-namespaced").await;
    for world in [&mut one, &mut two] {
        world.account = "registry-sts-namespaced";
        world.bind("registry-sts").await;
        world.grant().await;
    }
    for world in [&one, &two, &other] {
        world.put_example(CONFIG).await;
    }
    one.namespaces = vec![one.namespace.clone(), two.namespace.clone()];
    let mut operator = Operator::start(&one).await;
    one.until_ready("example").await;
    two.until_ready("example").await;

    // A namespace of its own for each: what happens in one is no news in the other.
    let resources: Api<registry_sts::api::QuayStorage> = two.api();
    resources.delete("example", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", || async { resources.get_opt("example").await.unwrap().is_none().then_some(()) }).await;
    two.put_bundle("again", CONFIG).await;
    let iam = two.iam("b").await;
    two.put_key("another-user", &iam.key).await;
    two.put_resource("again", "again", &[World::location("default", &iam, "another-user")]).await;
    two.until_ready("again").await;
    operator.ends_gracefully().await;

    let refused: Vec<String> = requests(&one, &operator.credential)
        .into_iter()
        .filter(|request| request.code == 403)
        .map(|request| format!("{} {}", request.verb, request.resource))
        .collect();
    let beyond = |refused: &&String| *refused != "list namespaces";
    assert_eq!(refused.iter().find(beyond), None, "nothing else is asked for beyond the namespaces");
    assert_eq!(other.config("bundle").await, CONFIG);
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(one.operator_client().await, &other.namespace);
    assert!(matches!(secrets.get("bundle").await, Err(kube::Error::Api(status)) if status.code == 403));
    one.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_namespace_that_it_may_not_see_holds_up_no_other_until_it_may() {
    let (mut one, mut two) = (World::new().await, World::new().await);
    account(&one, "registry-sts-half").await;
    for world in [&mut one, &mut two] {
        world.account = "registry-sts-half";
    }
    one.bind("registry-sts").await;
    one.grant().await;
    for world in [&one, &two] {
        world.put_example(CONFIG).await;
    }
    one.namespaces = vec![two.namespace.clone(), one.namespace.clone()];
    let _operator = Operator::start(&one).await;
    one.until_ready("example").await;
    two.bind("registry-sts").await;
    two.grant().await;
    two.until_ready("example").await;
}

#[tokio::test]
async fn what_it_lacks_it_asks_for_in_two_ways_for_the_roles_of_the_cluster_may_not_be_there() {
    let mut world = World::new().await;
    account(&world, "registry-sts-lacking").await;
    world.account = "registry-sts-lacking";
    world.bind("registry-sts").await;
    world.grant().await;
    let iam = world.iam("a").await;
    world.put_bundle("bundle", CONFIG).await;
    let location = json!({"name": "default", "bucket": iam.bucket, "region": "us-east-1",
        "auth": {"webIdentity": {"serviceAccountName": "example-quay-app", "roleArn": iam.role_arn}}});
    world.put_resource("example", "bundle", &[location]).await;
    let _operator = Operator::start(&world).await;
    let told =
        world.until("example", "told what it lacks", |r| condition(r, "Ready").is_some_and(|c| c["status"] == "False"));
    let message = condition(&told.await, "Ready").unwrap()["message"].to_string();
    for fix in
        ["create rolebinding registry-sts-mint", "# if there is no such ClusterRole: registry-sts rbac --namespaced"]
    {
        assert!(message.contains(fix), "{message}");
    }
}
