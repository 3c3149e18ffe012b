//! What the API server admits: the pods in a namespace with the strictest of its standards, and people with the roles that
//! every cluster has.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::{alone, with_namespace};
use crate::files::kustomized;
use crate::harness::world::{World, apply, eventually};
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

/// Whether somebody may do something with `QuayStorages` of the world's namespace, as the API server says.
async fn may(world: &World, user: &str, verb: &str, resource: &str) -> bool {
    let group = if resource == "secrets" { "" } else { "registry-sts.dev" };
    let asked = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {
        "user": user, "resourceAttributes":
            {"namespace": world.namespace, "group": group, "resource": resource, "verb": verb}}});
    let reviews: Api<SubjectAccessReview> = Api::all(world.admin.clone());
    let asked = serde_json::from_value(asked).unwrap();
    reviews.create(&PostParams::default(), &asked).await.unwrap().status.unwrap().allowed
}

#[tokio::test]
async fn who_may_edit_or_view_a_namespace_may_do_so_with_its_quaystorages() {
    let _alone = alone().await;
    let world = with_namespace("people").await;
    kubectl(&world, &["apply", "--server-side", "-f", "deploy/rbac/people.yaml"], "");
    for role in ["admin", "edit", "view"] {
        let (bound, user) = (format!("--clusterrole={role}"), format!("--user=somebody-who-may-{role}"));
        kubectl(&world, &["-n", "people", "create", "rolebinding", role, &bound, &user], "");
    }
    let expected = [
        ("admin", "deletecollection", true),
        ("admin", "create", true),
        ("edit", "create", true),
        ("edit", "patch", true),
        ("edit", "deletecollection", false),
        ("view", "list", true),
        ("view", "create", false),
        ("view", "patch", false),
    ];
    for (role, verb, expected) in expected {
        let user = format!("somebody-who-may-{role}");
        eventually(&format!("whether {role} may {verb}"), || async {
            (may(&world, &user, verb, "quaystorages").await == expected).then_some(())
        })
        .await;
    }
    // Who may redirect a registry's storage may change its bundle anyway, and nobody else.
    for role in ["admin", "edit", "view"] {
        let user = format!("somebody-who-may-{role}");
        let (secrets, resources) =
            (may(&world, &user, "patch", "secrets").await, may(&world, &user, "create", "quaystorages").await);
        assert_eq!(secrets, resources, "{role}");
        assert!(!may(&world, &user, "patch", "quaystorages/status").await);
    }
    kubectl(&world, &["delete", "-f", "deploy/rbac/people.yaml"], "");
}
