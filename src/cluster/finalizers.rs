//! Finalizers of our own kinds.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::secrets::FIELD_MANAGER;
use super::{ApiProblem, answered};
use crate::resource::ResourceId;

/// How often a finalizer is tried against others who write at the same time.
const TRIES: usize = 5;

/// Whether a resource has a finalizer.
pub fn has(metadata: &ObjectMeta, finalizer: &str) -> bool {
    metadata.finalizers.iter().flatten().any(|one| one == finalizer)
}

/// Gives the resource the finalizer, or takes it, at the version that was observed, or at that of a look anew where that one
/// is old: other finalizers stay in any case.
///
/// # Errors
/// What the API server answered instead; `NotFound` if it is gone, or another of its name is there.
pub async fn set<K>(
    client: &Client,
    owner: &ResourceId,
    metadata: &ObjectMeta,
    (finalizer, present): (&str, bool),
) -> Result<ObjectMeta, ApiProblem>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    let resources: Api<K> = Api::namespaced(client.clone(), &owner.namespace);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let mut seen = metadata.clone();
    for _ in 0..TRIES {
        let others = seen.finalizers.iter().flatten().filter(|one| *one != finalizer);
        let finalizers: Vec<&str> = others.map(String::as_str).chain(present.then_some(finalizer)).collect();
        let patch = json!({"metadata": {
            "uid": seen.uid, "resourceVersion": seen.resource_version, "finalizers": finalizers,
        }});
        // As metadata alone: an object that cannot be decoded may go, too.
        match answered(resources.patch_metadata(&owner.name, &params, &Patch::Merge(&patch))).await {
            Err(ApiProblem::Conflict) => seen = answered(resources.get_metadata(&owner.name)).await?.metadata,
            answer => return Ok(answer?.metadata),
        }
        if seen.uid != metadata.uid {
            return Err(ApiProblem::NotFound);
        }
        if has(&seen, finalizer) == present {
            return Ok(seen);
        }
    }
    Err(ApiProblem::Conflict)
}
