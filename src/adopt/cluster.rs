//! A bundle in a cluster, read with the rights of whoever asks.

use std::sync::Arc;

use kube::Client;
use kube::api::Api;

use super::{Bundle, Named, is_name};
use crate::api::QuayStorage;
use crate::cluster::grants::Grants;
use crate::cluster::{ApiProblem, answered, registries, secrets};
use crate::consumer::Consumer;
use crate::registry::RegistrySeen;

/// Reads the bundle, and finds the name of its `QuayStorage`.
///
/// # Errors
/// Why it cannot be read, and what to change.
pub async fn bundle(
    client: Client,
    namespace: Option<String>,
    named: &Named,
    said: Option<String>,
) -> Result<(Bundle, String), String> {
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let mut bundle = read(&client, &namespace, named).await?;
    let name = super::resource_name(said.as_deref(), &bundle.consumer)?;
    let resources: Api<QuayStorage> = Api::namespaced(client, &namespace);
    if answered(resources.get_metadata(&name)).await.is_ok() {
        bundle.notes.push(format!(
            "QuayStorage {namespace}/{name} exists already: applying this changes it. Give another name with --name."
        ));
    }
    Ok((bundle, name))
}

async fn read(client: &Client, namespace: &str, named: &Named) -> Result<Bundle, String> {
    let (Named::ByRegistry(name) | Named::Secret(name)) = named;
    if !is_name(name) || !is_name(namespace) {
        return Err(format!("{namespace:?} and {name:?} have to be names that Kubernetes takes: correct them"));
    }
    let consumer = match named {
        Named::Secret(name) => Consumer { bundle: name.clone(), ..Consumer::default() },
        Named::ByRegistry(name) => {
            let grants = Arc::new(Grants::of_caller(client.clone()));
            let unread = |why: &str| Err(format!("QuayRegistry {namespace}/{name}: {why}"));
            match registries::seen(client, &grants, namespace, name).await {
                RegistrySeen::Missing | RegistrySeen::NotInstalled => {
                    return unread(
                        "there is none. See `kubectl get quayregistries -A`; or name the bundle with --secret, for Quay without its operator",
                    );
                }
                RegistrySeen::Forbidden { .. } => {
                    return unread("your kubeconfig's user may not get quayregistries.quay.redhat.com there");
                }
                seen => seen.consumer(name).map_err(|failure| failure.message)?,
            }
        }
    };
    let name = &consumer.bundle;
    if !is_name(name) {
        return Err("the bundle's name is none that Kubernetes takes for a Secret: correct it".to_owned());
    }
    let read = secrets::read_bundle(client, namespace, name).await.map_err(|problem| {
        let why = match problem {
            ApiProblem::NotFound => "there is none".to_owned(),
            ApiProblem::Forbidden => "your kubeconfig's user may not get Secrets there".to_owned(),
            problem => format!("it could not be read: {problem}"),
        };
        format!("Secret {namespace}/{name} ({}): {why}", consumer.field())
    })?;
    let namespace = Some(namespace.to_owned());
    Ok(Bundle { namespace, consumer, secret: read.content, is_live: true, notes: Vec::new() })
}
