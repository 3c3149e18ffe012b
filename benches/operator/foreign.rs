//! Secrets that are none of the operator's business, in the very namespaces that it works in.

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::content::{AT_ONCE, create, namespace};
use crate::progress::each;

const LARGE: usize = 32 * 1024;
const SMALL: usize = 256;

/// So many large ones, every other as if applied by kubectl, and small ones.
pub(crate) async fn put(admin: &Client, large: usize, small: usize) {
    let admin = admin.clone();
    each("creating foreign Secrets", 0..large + small, AT_ONCE, |number| {
        let admin = admin.clone();
        async move {
            let size = if number < large { LARGE } else { SMALL };
            let is_applied = number < large && number % 2 == 0;
            // Neighbours in number are in one namespace, so that each has both kinds.
            let namespace = namespace(number / 2);
            create::<Secret>(&admin, &namespace, foreign(&namespace, number, size, is_applied)).await;
        }
    })
    .await;
}

fn foreign(namespace: &str, number: usize, size: usize, is_applied: bool) -> Value {
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect();
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": format!("foreign-{number:05}"), "namespace": namespace},
        "data": {"content": BASE64.encode(bytes)},
    });
    if is_applied {
        let applied = secret.to_string();
        secret["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
    }
    secret
}
