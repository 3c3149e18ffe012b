//! Backups of what stood in a bundle, and the finalizer of the resources that have one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_json::{Map, Value, json};

use super::secrets::{FIELD_MANAGER, Read};
use super::version::Version;
use super::{ApiProblem, answered, finalizers};
use crate::api::QuayStorage;
use crate::plan::backup::{self, Backup, BackupSeen, FINALIZER};
use crate::resource::ResourceId;

/// Reads a resource's backup; its content is none where the Secret of that name is somebody else's, or says nothing that
/// this program wrote.
///
/// # Errors
/// What the API server answered instead.
pub async fn read(client: &Client, owner: &ResourceId) -> Result<Read<Option<BackupSeen>>, ApiProblem> {
    let secret = answered(secrets(client, owner).get(&backup::name(owner))).await?;
    let version = Version::of(&secret.metadata);
    let is_ours = backup::labels(owner)
        .iter()
        .all(|(key, value)| secret.metadata.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value));
    let values: BTreeMap<_, _> =
        secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, SecretSlice::from(value.0))).collect();
    let content = Backup::read(&values).filter(|_| is_ours).map(|backup| BackupSeen {
        uid: secret.metadata.uid.unwrap_or_default(),
        resource_version: secret.metadata.resource_version.unwrap_or_default(),
        backup,
    });
    Ok(Read { version, content })
}

/// Writes a resource's backup: creates it where none was seen, or changes the very Secret at the very version that was;
/// anything else is a `Conflict`.
///
/// # Errors
/// What the API server answered instead; then nothing was written.
pub async fn write(
    client: &Client,
    owner: &ResourceId,
    seen: Option<&BackupSeen>,
    new: &Backup,
) -> Result<Version, ApiProblem> {
    let (secrets, values) = (secrets(client, owner), new.values());
    let bytes = |value: &SecretString| value.expose_secret().as_bytes().to_vec();
    let written = if let Some(seen) = seen {
        let data: Map<String, Value> =
            values.iter().map(|(key, value)| (key.clone(), BASE64.encode(bytes(value)).into())).collect();
        let patch = json!({"metadata": {"uid": seen.uid, "resourceVersion": seen.resource_version}, "data": data});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        answered(secrets.patch_metadata(&backup::name(owner), &params, &Patch::Merge(&patch))).await?.metadata
    } else {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(backup::name(owner)),
                labels: Some(backup::labels(owner)),
                annotations: Some(backup::annotations(owner)),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            data: Some(values.iter().map(|(key, value)| (key.clone(), ByteString(bytes(value)))).collect()),
            ..Secret::default()
        };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        answered(secrets.create(&params, &secret)).await?.metadata
    };
    Ok(Version::of(&written))
}

/// Deletes the very backup that was seen. One that is gone is deleted.
///
/// # Errors
/// What the API server answered instead.
pub async fn delete(client: &Client, owner: &ResourceId, seen: &BackupSeen) -> Result<(), ApiProblem> {
    let very = Preconditions { uid: Some(seen.uid.clone()), resource_version: None };
    let params = DeleteParams { preconditions: Some(very), ..DeleteParams::default() };
    match answered(secrets(client, owner).delete(&backup::name(owner), &params)).await {
        Ok(_) | Err(ApiProblem::NotFound) => Ok(()),
        Err(problem) => Err(problem),
    }
}

/// Whether a resource has the finalizer.
pub fn has_finalizer(metadata: &ObjectMeta) -> bool {
    finalizers::has(metadata, FINALIZER)
}

/// Gives the resource the finalizer, or takes it.
///
/// # Errors
/// As of [`finalizers::set`].
pub async fn set_finalizer(
    client: &Client,
    owner: &ResourceId,
    metadata: &ObjectMeta,
    present: bool,
) -> Result<ObjectMeta, ApiProblem> {
    finalizers::set::<QuayStorage>(client, owner, metadata, (FINALIZER, present)).await
}

fn secrets(client: &Client, owner: &ResourceId) -> Api<Secret> {
    Api::namespaced(client.clone(), &owner.namespace)
}
