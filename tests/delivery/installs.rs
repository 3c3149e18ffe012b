//! Each way to install the operator, from nothing to a resource that is Ready, and back.

use std::process::Command;

use kube::api::Api;
use serde_json::Value;

use crate::cluster::{
    KINDS_OF_OURS, alone, delete_resources_and_grants, rbac, until_kinds_are_served, until_nothing_is_left,
    with_namespace,
};
use crate::files::{documents, identity, kustomized, printed, root, tool};
use crate::harness::audit::requests;
use crate::harness::operator::Operator;
use crate::harness::world::World;
use crate::kubectl::{ended, kubectl};
use crate::pod;

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

fn as_yaml(objects: &[Value]) -> String {
    let texts: Vec<String> = objects.iter().map(|object| serde_yaml::to_string(object).unwrap()).collect();
    texts.join("---\n")
}

pub(crate) fn deployment(objects: &[Value]) -> &Value {
    let mut deployments = objects.iter().filter(|object| object["kind"] == "Deployment");
    let only = deployments.next().unwrap();
    assert!(deployments.next().is_none());
    only
}

/// Applies manifests, after the API server has said that it would take all of them.
pub(crate) fn apply(world: &World, objects: &[Value]) {
    // What everything else stands in.
    let first = |object: &&Value| object["kind"] == "Namespace";
    let namespaces: Vec<Value> = objects.iter().filter(first).cloned().collect();
    if !namespaces.is_empty() {
        kubectl(world, &["apply", "--server-side", "-f", "-"], &as_yaml(&namespaces));
    }
    let dry = kubectl(world, &["apply", "--server-side", "--dry-run=server", "-f", "-"], &as_yaml(objects));
    assert_eq!(dry.lines().count(), objects.len(), "{dry}");
    let applied = kubectl(world, &["apply", "--server-side", "-f", "-"], &as_yaml(objects));
    assert_eq!(applied.lines().count(), objects.len(), "{applied}");
    for kind in KINDS_OF_OURS {
        let crd = format!("crd/{kind}.registry-sts.dev");
        kubectl(world, &["wait", "--for=condition=Established", &crd, "--timeout=60s"], "");
    }
    until_kinds_are_served(world);
    // Again, and nothing conflicts.
    kubectl(world, &["apply", "--server-side", "-f", "-"], &as_yaml(objects));
}

/// Lets the operator at the world's namespace.
pub(crate) fn grant(world: &World, flags: &[&str]) {
    kubectl(world, &["apply", "-f", "-"], &rbac(world, flags));
}

/// The example becomes Ready, its key is rotated, and nothing was forbidden on the way but what may be.
pub(crate) async fn works(world: &World, operator: &mut Operator, may_be_forbidden: &[&str]) {
    let iam = world.put_example(CONFIG).await;
    world.until_ready("example").await;
    world.rotate_example(&iam).await;
    let forbidden = requests(world, &operator.credential).into_iter().filter(|request| request.code == 403);
    let forbidden: Vec<String> = forbidden.map(|request| format!("{} {}", request.verb, request.resource)).collect();
    assert!(forbidden.iter().all(|one| may_be_forbidden.contains(&one.as_str())), "{forbidden:?}");
    world.assert_nothing_secret_was_told(&operator.log()).await;
    operator.ends_gracefully_in("stopped").await;
}

/// Deletes what was applied, and what docs/uninstall.md says is to be deleted besides.
pub(crate) fn delete(world: &World, objects: &[Value]) {
    kubectl(world, &["delete", "--wait=true", "--timeout=60s", "-f", "-"], &as_yaml(objects));
}

#[tokio::test]
async fn the_default_install_by_kustomize_works_where_it_was_granted_and_leaves_nothing_but_the_bundle() {
    let _alone = alone().await;
    let mut world = with_namespace("kustomize").await;
    let objects = kustomized("deploy/default");
    apply(&world, &objects);
    let mut operator = pod::start(&mut world, deployment(&objects)).await;
    grant(&world, &["--bundle", "bundle"]);
    works(&world, &mut operator, &[]).await;

    delete_resources_and_grants(&world);
    delete(&world, &objects);
    until_nothing_is_left(&world).await;
    assert!(world.config("bundle").await.contains("STSS3Storage"), "Quay goes on as it was");
}

#[tokio::test]
async fn the_install_for_all_secrets_needs_nothing_of_a_namespaces_owner() {
    let _alone = alone().await;
    let mut world = with_namespace("all-secrets").await;
    let objects = kustomized("deploy/overlays/all-secrets");
    apply(&world, &objects);
    let mut operator = pod::start(&mut world, deployment(&objects)).await;
    works(&world, &mut operator, &[]).await;
    delete(&world, &objects);
    until_nothing_is_left(&world).await;
}

#[tokio::test]
async fn the_namespaced_install_works_in_its_namespace_and_can_read_no_secret_of_another() {
    let _alone = alone().await;
    let mut world = with_namespace("quay").await;
    let other = with_namespace("not-quay").await;
    other.put_bundle("bundle", CONFIG).await;
    let crds = ["apply", "--server-side", "-k", "crds"];
    kubectl(&world, &crds, "");
    let objects = kustomized("deploy/overlays/namespaced");
    apply(&world, &objects);
    let mut operator = pod::start(&mut world, deployment(&objects)).await;
    works(&world, &mut operator, &["list namespaces"]).await;

    let client = world.operator_client().await;
    let refused = |error: kube::Error| matches!(error, kube::Error::Api(status) if status.code == 403);
    let theirs: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(client.clone(), &other.namespace);
    assert!(refused(theirs.get("bundle").await.unwrap_err()));
    assert!(refused(theirs.list(&kube::api::ListParams::default()).await.unwrap_err()));
    let all: Api<k8s_openapi::api::core::v1::Secret> = Api::all(client.clone());
    assert!(refused(all.list(&kube::api::ListParams::default()).await.unwrap_err()));
    let own: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(client, &world.namespace);
    assert!(own.get("bundle").await.is_ok(), "its token is good");

    kubectl(&world, &["-n", "quay", "delete", "quaystorage", "--all", "--wait=true", "--timeout=60s"], "");
    delete(&world, &objects);
    kubectl(&world, &["-n", "quay", "delete", "lease", "registry-sts"], "");
    kubectl(&world, &["delete", "-k", "crds"], "");
    kubectl(&world, &["delete", "namespace", "quay", "--wait=true", "--timeout=60s"], "");
    until_nothing_is_left(&world).await;
}

#[tokio::test]
async fn the_chart_installs_an_operator_that_works_and_uninstalls_all_but_the_definitions() {
    let _alone = alone().await;
    let mut world = with_namespace("helm").await;
    let chart = root().join("deploy/helm/registry-sts");
    let helm = |world: &World, arguments: &[&str]| {
        let mut helm = Command::new(tool("helm"));
        helm.args(arguments).env("KUBECONFIG", world.plane.info("kubeconfig")).env("HOME", world.dir.path());
        printed(&mut helm)
    };
    let chart = chart.to_str().unwrap();
    let release = ["registry-sts", chart, "-n", "registry-sts"];
    let install = [&["install"], &release[..], &["--create-namespace"]].concat();
    // Helm's own dry run asks no admission.
    kubectl(&world, &["create", "namespace", "registry-sts"], "");
    let template = helm(&world, &[&["template"], &release[..], &["--kube-version", "1.36.0"]].concat());
    kubectl(&world, &["apply", "--server-side", "--dry-run=server", "-f", "-"], &template);
    helm(&world, &install);
    until_kinds_are_served(&world);
    let rendered = documents(&helm(&world, &["get", "manifest", "registry-sts", "-n", "registry-sts"]));
    assert!(rendered.len() > 20, "what a release has");
    for object in &rendered {
        let kind = object["kind"].as_str().unwrap();
        let mut get = vec!["get", kind, object["metadata"]["name"].as_str().unwrap(), "-o", "name"];
        get.extend(object["metadata"]["namespace"].as_str().into_iter().flat_map(|namespace| ["-n", namespace]));
        assert!(ended(&world, &get, "").is_success, "{} is missing", identity(object));
    }
    let mut operator = pod::start(&mut world, deployment(&rendered)).await;
    grant(&world, &[]);
    works(&world, &mut operator, &[]).await;

    delete_resources_and_grants(&world);
    helm(&world, &["uninstall", "registry-sts", "-n", "registry-sts", "--wait"]);
    // The definitions are kept, for with them all resources would go.
    kubectl(&world, &["get", "-k", "crds"], "");
    kubectl(&world, &["delete", "-k", "crds"], "");
    kubectl(&world, &["delete", "namespace", "registry-sts", "--wait=true", "--timeout=60s"], "");
    until_nothing_is_left(&world).await;
}

#[tokio::test]
async fn what_olm_makes_of_the_bundle_works_with_the_policies_beside_it() {
    let _alone = alone().await;
    let mut world = with_namespace("olm").await;
    kubectl(&world, &["create", "namespace", "registry-sts"], "");
    kubectl(&world, &["apply", "--server-side", "-k", "deploy/olm/policies"], "");
    let unpacked = printed(Command::new("python3").args(["deploy/olm/unpack.py", "registry-sts"]));
    let objects = documents(&unpacked);
    apply(&world, &objects);
    let mut operator = pod::start(&mut world, deployment(&objects)).await;
    grant(&world, &["--bundle", "bundle"]);
    works(&world, &mut operator, &[]).await;

    delete_resources_and_grants(&world);
    delete(&world, &objects);
    kubectl(&world, &["delete", "--wait=true", "--timeout=60s", "-k", "deploy/olm/policies"], "");
    kubectl(&world, &["delete", "namespace", "registry-sts", "--wait=true", "--timeout=60s"], "");
    until_nothing_is_left(&world).await;
}
