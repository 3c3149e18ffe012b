//! A workload that runs Quay, as far as it decides whether its pods run what was written.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Deserialize;
use serde_json::Value;

/// The annotation of a pod template, and of the pods made from it, that names the write which they were rolled for.
pub const ROLLED_FOR: &str = "registry-sts.dev/rolled-for";

/// Set by a Quay operator that was given a role.
const CREDENTIALS_FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";

/// A Deployment or a `StatefulSet`, and its pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadSeen {
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// The names of the Secrets that its pods mount.
    pub mounts: BTreeSet<String>,
    /// The write that its template was rolled for.
    pub rolled_for: Option<String>,
    /// Its containers are told where credentials of AWS are, as the Quay operator does that was given a role.
    pub has_credentials_file: bool,
    /// Whether what the Quay operator rendered, and its pods mount, has what was written; none where that is not known.
    pub has_it: Option<bool>,
    /// Its controller rolls nothing.
    pub is_paused: bool,
    /// Every pod is made from the template as it is now, and available.
    pub is_complete: bool,
    /// Its pods that have not ended.
    pub pods: Vec<PodSeen>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Its uid.
    pub uid: String,
    /// When it was created; the API counts whole seconds.
    pub created: Timestamp,
    /// The write that its template was rolled for.
    pub rolled_for: Option<String>,
}

impl PodSeen {
    /// A pod as its metadata tells of it; one without a time is as old as can be.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0),
            rolled_for: metadata.annotations.as_ref().and_then(|all| all.get(ROLLED_FOR)).cloned(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: ObjectMeta,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    replicas: Option<i64>,
    paused: bool,
    selector: LabelSelector,
    template: Template,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: ObjectMeta,
    spec: PodSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodSpec {
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    env: Vec<Variable>,
}

/// Of a variable nothing counts but its name.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Variable {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Volume {
    secret: Option<SecretVolume>,
    projected: Option<Projected>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SecretVolume {
    secret_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Projected {
    sources: Vec<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    secret: Option<SecretSource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SecretSource {
    name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: Option<i64>,
    replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
}

impl WorkloadSeen {
    /// Reads a Deployment or a `StatefulSet`, without its pods; and which pods are its own. None for what does not have
    /// the form of one.
    pub fn read(object: &Value) -> Option<(Self, LabelSelector)> {
        let Object { metadata, spec, status } = Object::deserialize(object).ok()?;
        let replicas = spec.replicas.unwrap_or(1);
        let is_observed = metadata.generation.is_none_or(|now| status.observed_generation.is_some_and(|o| o >= now));
        let counts = [status.replicas, status.updated_replicas, status.available_replicas];
        let mut variables = spec.template.spec.containers.iter().flat_map(|container| &container.env);
        let has_credentials_file = variables.any(|variable| variable.name == CREDENTIALS_FILE);
        let secrets = spec.template.spec.volumes.into_iter().flat_map(|volume| {
            let projected = volume.projected.into_iter().flat_map(|projected| projected.sources);
            let projected = projected.filter_map(|source| source.secret?.name);
            volume.secret.and_then(|secret| secret.secret_name).into_iter().chain(projected)
        });
        let seen = Self {
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            mounts: secrets.collect(),
            rolled_for: spec.template.metadata.annotations.and_then(|mut all| all.remove(ROLLED_FOR)),
            has_credentials_file,
            has_it: None,
            is_paused: spec.paused,
            is_complete: is_observed && counts.iter().all(|count| *count == replicas),
            pods: Vec::new(),
        };
        Some((seen, spec.selector))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_read_as_kubectl_rollout_status_reads_it() {
        let deployment = |observed: i64, replicas: [i64; 3]| {
            json!({
                "metadata": {"uid": "u", "resourceVersion": "7", "generation": 2},
                "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "quay"}}, "template": {
                    "metadata": {"annotations": {ROLLED_FOR: "a"}},
                    "spec": {"volumes": [
                        {"name": "config", "secret": {"secretName": "bundle"}},
                        {"name": "all", "projected": {"sources": [{"secret": {"name": "other"}}, {"configMap": {"name": "no"}}]}},
                        {"name": "more", "emptyDir": {}}]}}},
                "status": {"observedGeneration": observed,
                    "replicas": replicas[0], "updatedReplicas": replicas[1], "availableReplicas": replicas[2]},
            })
        };
        let read = |observed, replicas| WorkloadSeen::read(&deployment(observed, replicas)).unwrap().0;
        let complete = read(2, [2, 2, 2]);
        assert!(complete.is_complete && !complete.is_paused);
        assert_eq!(complete.mounts.iter().map(String::as_str).collect::<Vec<_>>(), ["bundle", "other"]);
        assert_eq!(complete.rolled_for.as_deref(), Some("a"));
        for (observed, replicas) in [(1, [2, 2, 2]), (2, [3, 2, 2]), (2, [2, 1, 2]), (2, [2, 2, 1]), (2, [0, 0, 0])] {
            assert!(!read(observed, replicas).is_complete, "{observed} {replicas:?}");
        }
        assert_eq!(WorkloadSeen::read(&json!({"spec": "none"})), None);
    }
}
