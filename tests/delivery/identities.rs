//! The install that may make users and roles: it is taken as it stands, works as the default one does, and its admission policies
//! hold the operator to what its rights are for.

use serde_json::{Value, json};

use crate::cluster::{alone, delete_resources_and_grants, until_nothing_is_left, with_namespace};
use crate::files::{documents, printed, tool};
use crate::harness::world::{World, eventually};
use crate::installs::{apply, delete, deployment, grant, works};
use crate::kubectl::{ended, kubectl};
use crate::pod;

const OPERATOR: &str = "--as=system:serviceaccount:registry-sts:registry-sts";

/// What kubectl builds of the overlay, with the cluster's id put in as its kustomization says.
fn built() -> Vec<Value> {
    let built = printed(std::process::Command::new(tool("kubectl")).args(["kustomize", "deploy/overlays/identities"]));
    documents(&built.replace("<cluster-id>", "prod-eu-1"))
}

/// What is said to the operator's account that applies or creates this; empty if it may.
fn refusal(world: &World, verb: &[&str], object: &Value) -> String {
    let arguments = [verb, &[OPERATOR, "-f", "-"]].concat();
    let ended = ended(world, &arguments, &object.to_string());
    assert_eq!(ended.is_success, ended.err.is_empty(), "{}", ended.err);
    ended.err
}

#[tokio::test]
async fn the_install_with_identities_works_and_leaves_nothing_and_its_rights_go_no_further_than_they_are_for() {
    let _alone = alone().await;
    let mut world = with_namespace("identities").await;
    let objects = built();
    apply(&world, &objects);
    let mut operator = pod::start(&mut world, deployment(&objects)).await;
    grant(&world, &["--bundle", "bundle", "--key", "example-key"]);
    works(&world, &mut operator, &[]).await;

    // The cluster knows these only on OpenShift.
    kubectl(&world, &["apply", "--server-side", "-f", "-"], &credentials_requests().to_string());
    let established = ["wait", "--for=condition=Established", "--timeout=60s"];
    kubectl(&world, &[&established[..], &["crd/credentialsrequests.cloudcredential.openshift.io"]].concat(), "");
    makes_no_secret_but_of_a_key(&world).await;
    changes_no_identity_but_its_finalizer(&world);
    asks_for_no_role_but_its_own(&world);

    kubectl(&world, &["delete", "crd", "credentialsrequests.cloudcredential.openshift.io"], "");
    kubectl(&world, &["-n", &world.namespace, "delete", "storageidentity", "--all"], "");
    delete_resources_and_grants(&world);
    delete(&world, &objects);
    until_nothing_is_left(&world).await;
}

/// What is done to an object that would be taken.
type Change<'a> = &'a dyn Fn(&mut Value);

async fn makes_no_secret_but_of_a_key(world: &World) {
    let secret = |name: &str, change: Change<'_>| {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "namespace": world.namespace,
                "annotations": {"registry-sts.dev/storage-identity": "example"}},
            "data": {"AWS_ACCESS_KEY_ID": "QUtJQQ==", "AWS_SECRET_ACCESS_KEY": "aHVzaA=="}});
        change(&mut secret);
        refusal(world, &["create"], &secret)
    };
    // A policy counts some time after it was applied.
    eventually("the policy counts", || async {
        let refused = secret("plain", &|secret| {
            secret["metadata"].as_object_mut().unwrap().remove("annotations");
        });
        kubectl(world, &["-n", &world.namespace, "delete", "secret", "plain", "--ignore-not-found"], "");
        refused.contains("registry-sts may create Secrets with label").then_some(())
    })
    .await;
    let owner = |name: &str, kind: &str| json!([{"apiVersion": "registry-sts.dev/v1alpha1", "kind": kind, "name": name, "uid": "1"}]);
    let cases: [(&str, Change<'_>); 4] = [
        ("nothing but an access key", &|secret| secret["data"]["config.yaml"] = json!("YQ==")),
        ("without finalizers", &|secret| secret["metadata"]["finalizers"] = json!(["example.com/stay"])),
        ("without owners", &|secret| secret["metadata"]["ownerReferences"] = owner("other", "StorageIdentity")),
        ("without owners", &|secret| secret["metadata"]["ownerReferences"] = owner("example", "QuayStorage")),
    ];
    for (why, change) in cases {
        let refused = secret("example-key", change);
        assert!(refused.contains(why), "{why}: {refused}");
    }
    let made = |secret: &mut Value| secret["metadata"]["ownerReferences"] = owner("example", "StorageIdentity");
    assert_eq!(secret("example-key", &made), "");
    kubectl(world, &["-n", &world.namespace, "delete", "secret", "example-key", "--ignore-not-found"], "");
}

fn changes_no_identity_but_its_finalizer(world: &World) {
    let identity = json!({"apiVersion": "registry-sts.dev/v1alpha1", "kind": "StorageIdentity",
        "metadata": {"name": "example", "namespace": world.namespace},
        "spec": {"trust": "user", "storage": [{"bucket": "my-quay-bucket"}]}});
    kubectl(world, &["apply", "--server-side", "-f", "-"], &identity.to_string());
    let patched = |patch: &Value| {
        let patch = patch.to_string();
        let of =
            ["-n", &world.namespace, "patch", "storageidentity", "example", "--type=merge", OPERATOR, "-p", &patch];
        ended(world, &of, "").err
    };
    assert_eq!(patched(&json!({"metadata": {"finalizers": ["registry-sts.dev/identity"]}})), "");
    let only = "registry-sts may change finalizer registry-sts.dev/identity of a StorageIdentity only";
    for other in
        [json!({"finalizers": ["example.com/stay"]}), json!({"labels": {"a": "b"}}), json!({"annotations": {"a": "b"}})]
    {
        let refused = patched(&json!({"metadata": other}));
        assert!(refused.contains(only), "{refused}");
    }
    let refused = patched(&json!({"spec": {"suspend": true}}));
    assert!(refused.contains("registry-sts may not change the spec of a StorageIdentity"), "{refused}");
    assert_eq!(patched(&json!({"metadata": {"finalizers": []}})), "");
}

fn asks_for_no_role_but_its_own(world: &World) {
    let role = "arn:aws:iam::123492922789:role/registry-sts";
    let statement = |action: &str| json!([{"effect": "Allow", "action": [action], "resource": "*"}]);
    let request = |namespace: &str, secret: &str, provider: Value| {
        json!({"apiVersion": "cloudcredential.openshift.io/v1", "kind": "CredentialsRequest",
            "metadata": {"name": "registry-sts", "namespace": namespace},
            "spec": {"secretRef": {"name": secret, "namespace": namespace}, "serviceAccountNames": ["registry-sts"],
                "cloudTokenPath": "/var/run/secrets/openshift/serviceaccount/token", "providerSpec": provider}})
    };
    let provider = |action: &str, role: &str| json!({"kind": "AWSProviderSpec", "stsIAMRoleARN": role, "statementEntries": statement(action)});
    let own = provider("iam:GetUser", role);
    let asked = |request: &Value| refusal(world, &["apply", "--server-side", "--field-manager=registry-sts"], request);
    assert_eq!(asked(&request("registry-sts", "registry-sts-aws", own.clone())), "");
    let again = "arn:aws:iam::123492922789:role/another";
    assert_eq!(asked(&request("registry-sts", "registry-sts-aws", provider("iam:GetUser", again))), "");

    let right = "may ask for a role, with no right but iam:GetUser";
    for (refused, why) in [
        (request("registry-sts", "other", own.clone()), "in Secret registry-sts-aws of its own namespace only"),
        (request("registry-sts", "registry-sts-aws", provider("iam:*", role)), right),
        (request("registry-sts", "registry-sts-aws", provider("iam:GetUser", "")), right),
        // Nothing binds it there: the Role is of its own namespace.
        (request(&world.namespace, "registry-sts-aws", own), "forbidden"),
    ] {
        let said = asked(&refused);
        assert!(said.contains(why), "{why}: {said}");
    }
}

/// The definition of `CredentialsRequests`, as far as it matters here.
fn credentials_requests() -> Value {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "credentialsrequests.cloudcredential.openshift.io"},
        "spec": {"group": "cloudcredential.openshift.io", "scope": "Namespaced",
            "names": {"kind": "CredentialsRequest", "plural": "credentialsrequests", "singular": "credentialsrequest"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything}}}}]}})
}
