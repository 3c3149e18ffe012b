//! What the API server admits: the pods in a namespace with the strictest of its standards.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::alone;
use crate::files::kustomized;
use crate::harness::world::{World, apply};
use crate::kubectl::kubectl;

async fn admitted(world: &World, pod: &Value) -> Result<(), String> {
    let pods: Api<Pod> = world.api();
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    match pods.create(&PostParams::default(), &pod).await {
        Ok(_) => {
            pods.delete("operator", &DeleteParams::default().grace_period(0)).await.unwrap();
            Ok(())
        }
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_pods_pass_the_restricted_standard_and_would_not_with_less() {
    let _alone = alone().await;
    let world = World::bare("restricted".into()).await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": {
        "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}}});
    apply(&world.admin, &namespace).await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "registry-sts", "namespace": "restricted"}});
    apply(&world.admin, &account).await;
    let objects = kustomized("deploy/default");
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "operator", "namespace": "restricted"}, "spec": deployment["spec"]["template"]["spec"]});
    assert_eq!(admitted(&world, &pod).await, Ok(()));
    for needed in [
        "/spec/securityContext/runAsNonRoot",
        "/spec/securityContext/seccompProfile",
        "/spec/containers/0/securityContext/allowPrivilegeEscalation",
        "/spec/containers/0/securityContext/capabilities",
    ] {
        let mut less = pod.clone();
        let (parent, field) = needed.rsplit_once('/').unwrap();
        less.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        let refused = admitted(&world, &less).await.unwrap_err();
        assert!(refused.contains("violates PodSecurity \"restricted:latest\""), "{needed}: {refused}");
    }
    // The others look at what is left of theirs.
    kubectl(&world, &["-n", "restricted", "delete", "serviceaccount", "registry-sts"], "");
}
