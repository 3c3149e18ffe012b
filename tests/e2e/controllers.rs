//! Kubernetes' own controllers, where a test has started them: what becomes of a namespace that is deleted, of a
//! Deployment, and of what belongs to an object that is gone.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::harness::audit::until_quiet;
use crate::harness::operator::ready_world;
use crate::harness::world::{World, apply, eventually};

async fn world() -> World {
    let world = World::new().await;
    world.plane.start_controllers().await;
    world
}

/// Deletes the world's namespace and waits until it is gone.
async fn end_the_namespace(world: &World) {
    let namespaces: Api<Namespace> = Api::all(world.admin.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace is gone", || async {
        namespaces.get_opt(&world.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
}

async fn put_config_map(world: &World, name: &str, owners: &Value) -> ConfigMap {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": world.namespace, "ownerReferences": owners}});
    apply(&world.admin, &object).await;
    world.api().get(name).await.unwrap()
}

fn owners(metadata: &kube::api::ObjectMeta) -> Vec<(&str, &str)> {
    let owners = metadata.owner_references.iter().flatten();
    owners.map(|owner| (owner.kind.as_str(), owner.name.as_str())).collect()
}

#[tokio::test]
async fn a_namespace_that_is_deleted_goes_with_all_that_is_in_it() {
    let world = world().await;
    put_config_map(&world, "inside", &json!([])).await;
    end_the_namespace(&world).await;
    assert!(world.api::<ConfigMap>().get_opt("inside").await.unwrap().is_none());
}

#[tokio::test]
async fn a_namespace_with_a_bundle_and_its_resource_goes_and_the_operator_writes_nothing_on_its_way() {
    let (world, _iam, operator) = ready_world("FEATURE_MAILING: false\n").await;
    world.plane.start_controllers().await;
    let from = until_quiet(&world, &operator.credential).await.len();
    end_the_namespace(&world).await;
    let asked = until_quiet(&world, &operator.credential).await;
    let writes: Vec<_> = asked[from..].iter().filter(|r| r.is_write()).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test]
async fn a_deployment_gets_a_replica_set_and_a_pod_that_nothing_runs() {
    let world = world().await;
    let labels = json!({"app": "quay"});
    let containers = json!([{"name": "quay", "image": "quay.example/quay"}]);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "quay", "namespace": world.namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}}});
    apply(&world.admin, &deployment).await;
    let (pods, all) = (world.api::<Pod>(), ListParams::default());
    let pod = eventually("there is a pod", || async { pods.list(&all).await.unwrap().items.pop() }).await;
    let set = world.api::<ReplicaSet>().list(&all).await.unwrap().items.pop().unwrap();
    assert_eq!(owners(&set.metadata), [("Deployment", "quay")]);
    assert_eq!(owners(&pod.metadata), [("ReplicaSet", set.metadata.name.as_deref().unwrap())]);
    eventually("the deployment knows of its pod", || async {
        let status = world.api::<Deployment>().get("quay").await.unwrap().status.unwrap_or_default();
        (status.unavailable_replicas == Some(1)).then_some(())
    })
    .await;
    let pod = pods.get(pod.metadata.name.as_deref().unwrap()).await.unwrap();
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Pending"));
    assert_eq!(pod.spec.unwrap().node_name, None);
}

#[tokio::test]
async fn what_belongs_to_a_deleted_object_is_collected_and_nothing_else_is() {
    let world = world().await;
    let owner = put_config_map(&world, "owner", &json!([])).await.metadata.uid.unwrap();
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner}]);
    put_config_map(&world, "owned", &reference).await;
    put_config_map(&world, "other", &json!([])).await;
    let maps = world.api::<ConfigMap>();
    maps.delete("owner", &DeleteParams::default()).await.unwrap();
    eventually("what it owned is gone", || async { maps.get_opt("owned").await.unwrap().is_none().then_some(()) })
        .await;
    assert!(maps.get_opt("other").await.unwrap().is_some());
}
