//! What a cluster has beside its controllers: workloads that mount a bundle, and a kubelet that runs their pods.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::world::{World, apply, eventually};

/// Says of every pod of the world's namespace that it runs and is ready, for as long as it is held.
pub(crate) fn kubelet(world: &World) -> AbortOnDropHandle<()> {
    let pods: Api<Pod> = world.api();
    let task = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let runs = json!({"status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        loop {
            ticks.tick().await;
            let Ok(all) = pods.list(&ListParams::default()).await else { continue };
            let is_pending = |pod: &&Pod| pod.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Pending"));
            for pod in all.items.iter().filter(is_pending) {
                let name = pod.metadata.name.as_deref().unwrap();
                // A pod that went meanwhile needs nothing.
                let _ = pods.patch_status(name, &PatchParams::default(), &Patch::Merge(&runs)).await;
            }
        }
    });
    AbortOnDropHandle::new(task)
}

/// Of pods that mount a Secret.
fn template(app: &str, secret: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {
        "containers": [{"name": "quay", "image": "quay.example/quay"}],
        "volumes": [{"name": "config", "secret": {"secretName": secret}}]}})
}

/// A Deployment of two pods that mount a Secret, all of them available.
pub(crate) async fn put_deployment(world: &World, name: &str, secret: &str) {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template(name, secret)}});
    apply(&world.admin, &deployment).await;
    until_available(world, name).await;
}

pub(crate) async fn until_available(world: &World, name: &str) {
    eventually("both pods are available", || async {
        let deployment = world.api::<Deployment>().get(name).await.unwrap();
        let status = deployment.status.unwrap_or_default();
        let counts = [status.replicas, status.updated_replicas, status.available_replicas];
        (status.observed_generation == deployment.metadata.generation && counts == [Some(2); 3]).then_some(())
    })
    .await;
}

/// A `StatefulSet` of two pods that mount a Secret, both of them ready.
pub(crate) async fn put_stateful_set(world: &World, name: &str, secret: &str) {
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"replicas": 2, "serviceName": name, "selector": {"matchLabels": {"app": name}}, "template": template(name, secret)}});
    apply(&world.admin, &set).await;
    eventually("both pods are ready", || async {
        let status = world.api::<StatefulSet>().get(name).await.unwrap().status.unwrap_or_default();
        (status.ready_replicas == Some(2)).then_some(())
    })
    .await;
}

/// Starts new pods that mount another Secret, as the Quay operator does with each that it renders.
pub(crate) async fn mount(world: &World, name: &str, secret: &str) {
    let volumes = json!([{"name": "config", "secret": {"secretName": secret}}]);
    let patch = json!({"spec": {"template": {"spec": {"volumes": volumes}}}});
    let deployments = world.api::<Deployment>();
    deployments.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

/// What the operator wrote on a Deployment's pod template.
pub(crate) async fn rolled_for(world: &World, name: &str) -> Option<String> {
    let template = world.api::<Deployment>().get(name).await.unwrap().spec.unwrap().template;
    template.metadata.and_then(|metadata| metadata.annotations?.remove("registry-sts.dev/rolled-for"))
}
