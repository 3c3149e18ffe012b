//! The Secrets into which the operator puts the access keys that it makes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::secrets::FIELD_MANAGER;
use super::version::Version;
use super::{ApiProblem, answered};
use crate::plan::key::AccessKey;

/// The annotation that says of which `StorageIdentity` a Secret is.
pub const OWNER: &str = "registry-sts.dev/storage-identity";

/// A Secret as it was read.
pub struct KeySecret {
    /// At which version.
    pub version: Version,
    /// Of which `StorageIdentity` it says that it is.
    pub owner: Option<String>,
    /// The id of the key in it, if it holds one.
    pub key: Option<String>,
    /// It can never be changed.
    pub is_immutable: bool,
    /// It is being deleted.
    pub is_deleting: bool,
    /// Whether it goes with its `StorageIdentity`.
    pub is_owned: bool,
}

/// What a Secret is written for.
pub struct Purpose<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The `StorageIdentity`.
    pub identity: &'a str,
    /// Where it is to go with the `StorageIdentity`: that one.
    pub owner: Option<&'a OwnerReference>,
}

/// Reads a Secret.
///
/// # Errors
/// What the API server answered instead.
pub async fn read(client: &Client, namespace: &str, name: &str) -> Result<KeySecret, ApiProblem> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = answered(secrets.get(name)).await?;
    let text = |value: ByteString| SecretString::from(String::from_utf8_lossy(&value.0).into_owned());
    let values: BTreeMap<String, SecretString> =
        secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(value))).collect();
    Ok(KeySecret {
        version: Version::of(&secret.metadata),
        owner: secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(OWNER)).cloned(),
        key: AccessKey::from_secret(name, &values).ok().map(|key| key.id().to_owned()),
        is_immutable: secret.immutable == Some(true),
        is_deleting: secret.metadata.deletion_timestamp.is_some(),
        is_owned: secret.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "StorageIdentity"),
    })
}

/// Puts a key into a Secret: creates it where none was seen, else changes the very one at the very version that was.
///
/// # Errors
/// What the API server answered instead; a `Conflict` where somebody else was faster.
pub async fn write(
    client: &Client,
    purpose: &Purpose<'_>,
    key: &AccessKey,
    seen: &Version,
) -> Result<Version, ApiProblem> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), purpose.namespace);
    let parts = [("AWS_ACCESS_KEY_ID", key.id()), ("AWS_SECRET_ACCESS_KEY", key.secret().expose_secret())];
    let written = match seen {
        Version::Absent => {
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(purpose.name.to_owned()),
                    annotations: Some([(OWNER.to_owned(), purpose.identity.to_owned())].into()),
                    owner_references: purpose.owner.map(|owner| vec![owner.clone()]),
                    ..ObjectMeta::default()
                },
                type_: Some("Opaque".to_owned()),
                data: Some(parts.map(|(name, value)| (name.to_owned(), ByteString(value.as_bytes().to_vec()))).into()),
                ..Secret::default()
            };
            let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
            answered(secrets.create(&params, &secret)).await?.metadata
        }
        Version::At { uid, resource_version } => {
            let data: BTreeMap<&str, String> = parts.map(|(name, value)| (name, BASE64.encode(value))).into();
            let patch = json!({"metadata": {"uid": uid, "resourceVersion": resource_version}, "data": data});
            patched(&secrets, purpose.name, &patch).await?
        }
    };
    Ok(Version::of(&written))
}

/// Lets a Secret go with its `StorageIdentity`, or stay.
///
/// # Errors
/// What the API server answered instead.
pub async fn set_owner(client: &Client, purpose: &Purpose<'_>, seen: &Version) -> Result<Version, ApiProblem> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), purpose.namespace);
    let owners: Vec<&OwnerReference> = purpose.owner.into_iter().collect();
    let metadata = json!({"uid": seen.uid(), "resourceVersion": seen.resource_version(), "ownerReferences": owners});
    Ok(Version::of(&patched(&secrets, purpose.name, &json!({"metadata": metadata})).await?))
}

async fn patched(secrets: &Api<Secret>, name: &str, patch: &serde_json::Value) -> Result<ObjectMeta, ApiProblem> {
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    Ok(answered(secrets.patch_metadata(name, &params, &Patch::Merge(patch))).await?.metadata)
}
