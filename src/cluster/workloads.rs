//! The workloads that run Quay, their pods, and the one change that is made to them.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, PartialObjectMeta, Patch, PatchParams};
use kube::core::Selector;
use serde_json::json;

use super::secrets::FIELD_MANAGER;
use super::{ApiProblem, answered};
use crate::api::quay::WorkloadKind;
use crate::rollout::{PodSeen, ROLLED_FOR, Roll, WorkloadSeen};

/// A pod that has ended runs nothing, however old it is.
const HAS_NOT_ENDED: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Reads a workload and its pods, the pods as metadata only.
///
/// # Errors
/// What the API server answered instead.
pub async fn read(
    client: &Client,
    namespace: &str,
    kind: WorkloadKind,
    name: &str,
) -> Result<WorkloadSeen, ApiProblem> {
    let (seen, selector) = get(client, namespace, kind, name).await?;
    let selector: Selector = selector.try_into().map_err(|_| no_workload())?;
    let its_own = ListParams::default().labels_from(&selector).fields(HAS_NOT_ENDED);
    let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(client.clone(), namespace);
    let pods = answered(pods.list_metadata(&its_own)).await?;
    Ok(WorkloadSeen { pods: pods.items.iter().map(|pod| PodSeen::of(&pod.metadata)).collect(), ..seen })
}

/// Reads a workload without its pods.
///
/// # Errors
/// What the API server answered instead.
pub async fn read_alone(
    client: &Client,
    namespace: &str,
    kind: WorkloadKind,
    name: &str,
) -> Result<WorkloadSeen, ApiProblem> {
    get(client, namespace, kind, name).await.map(|(seen, _)| seen)
}

async fn get(
    client: &Client,
    namespace: &str,
    kind: WorkloadKind,
    name: &str,
) -> Result<(WorkloadSeen, LabelSelector), ApiProblem> {
    let object = answered(workloads(client, namespace, kind).get(name)).await?;
    let value = serde_json::to_value(&object).map_err(|_| no_workload())?;
    WorkloadSeen::read(&value).ok_or_else(no_workload)
}

fn no_workload() -> ApiProblem {
    ApiProblem::Refused { code: 200, reason: "without the form of a workload".into() }
}

/// Rolls the very workload at the very version that was observed, as `kubectl rollout restart` does it; anything else is a
/// `Conflict`.
///
/// # Errors
/// What the API server answered instead; then nothing was rolled.
pub async fn roll(client: &Client, namespace: &str, roll: &Roll) -> Result<(), ApiProblem> {
    let patch = json!({
        "metadata": {"uid": roll.uid, "resourceVersion": roll.resource_version},
        "spec": {"template": {"metadata": {"annotations": {ROLLED_FOR: roll.name}}}},
    });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let workloads = workloads(client, namespace, roll.runner.kind);
    answered(workloads.patch(&roll.runner.name, &params, &Patch::Merge(&patch))).await.map(drop)
}

fn workloads(client: &Client, namespace: &str, kind: WorkloadKind) -> Api<DynamicObject> {
    let (kind, plural) = match kind {
        WorkloadKind::Deployment => ("Deployment", "deployments"),
        WorkloadKind::StatefulSet => ("StatefulSet", "statefulsets"),
    };
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("apps", "v1", kind), plural);
    Api::namespaced_with(client.clone(), namespace, &kind)
}
