//! The pod identity webhook, one for the whole cluster. Before it is there, what is said without it is looked at.

use serde_json::json;
use tokio::sync::OnceCell;

use super::operator::Operator;
use super::world::{World, apply, is, message};

const CONFIG: &str = "FEATURE_MAILING: false\n";
const ROLE: &str = "arn:aws:iam::123456789012:role/of-nobody";

/// Installs it, once for all tests, after nothing was written for want of it.
pub(crate) async fn installed() {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED.get_or_init(missed_then_installed).await;
}

async fn missed_then_installed() {
    let world = World::granted().await;
    world.bind("registry-sts-mint").await;
    let annotations = json!({"eks.amazonaws.com/role-arn": ROLE});
    apply(&world.admin, &account(&world, "app", &annotations)).await;
    world.put_bundle("bundle", CONFIG).await;
    let _operator = Operator::start(&world).await;
    let location = location(&json!({"serviceAccountName": "app"}), "some-bucket");
    world.put_resource("example", "bundle", &[location]).await;
    let missing = world.until_reason("example", "WebhookMissing").await;
    assert!(message(&missing, "Ready").contains("pod-identity-webhook") && is(&missing, "Reconciling", "True"));
    assert_eq!(world.config("bundle").await, CONFIG);
    let webhook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "pod-identity-webhook"}, "webhooks": []});
    apply(&world.admin, &webhook).await;
    world.until("example", "past the webhook", |r| !message(r, "Ready").contains("webhook")).await;
}

/// A service account with annotations.
pub(crate) fn account(world: &World, name: &str, annotations: &serde_json::Value) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": world.namespace, "annotations": annotations}})
}

/// A location that a service account opens.
pub(crate) fn location(web_identity: &serde_json::Value, bucket: &str) -> serde_json::Value {
    json!({"name": "default", "bucket": bucket, "region": "us-east-1", "auth": {"webIdentity": web_identity}})
}
