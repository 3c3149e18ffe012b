//! Outputs: the Secrets that are the operator's own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::secrets::{FIELD_MANAGER, Wrote};
use super::{ApiProblem, answered};
use crate::plan::BundleWrite;
use crate::plan::observation::CONFIG;
use crate::plan::output::OutputWrite;

/// Creates the output where there is none, or changes the very Secret at the very version that was observed; anything
/// else is a `Conflict`.
///
/// # Errors
/// What the API server answered instead; then nothing was written.
pub async fn write(
    client: &Client,
    namespace: &str,
    write: &BundleWrite,
    output: &OutputWrite,
) -> Result<Wrote, ApiProblem> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    if output.creates {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        let created = answered(secrets.create(&params, &whole(write, output))).await?;
        return Ok(Wrote::of(&created.metadata));
    }
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let patch = Patch::Merge(change(write, output));
    let changed = answered(secrets.patch_metadata(&write.secret_name, &params, &patch)).await?;
    Ok(Wrote::of(&changed.metadata))
}

fn values<'a>(write: &'a BundleWrite, output: &'a OutputWrite) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    let others = output.values.iter().map(|(key, value)| (key.as_str(), value.expose_secret()));
    others.chain([(CONFIG, write.config.expose_secret().as_bytes())])
}

/// The Secret as it is created. It has no owner: who deletes a `QuayStorage` does not delete what a registry mounts.
fn whole(write: &BundleWrite, output: &OutputWrite) -> Secret {
    let data: BTreeMap<_, _> =
        values(write, output).map(|(key, value)| (key.to_owned(), ByteString(value.to_vec()))).collect();
    Secret {
        metadata: ObjectMeta {
            name: Some(write.secret_name.clone()),
            labels: Some(output.mark.labels()),
            annotations: Some(output.mark.annotations()),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

/// The change of one that stands. Labels and annotations of others stay.
fn change(write: &BundleWrite, output: &OutputWrite) -> Value {
    let mut data: Map<String, Value> =
        values(write, output).map(|(key, value)| (key.to_owned(), BASE64.encode(value).into())).collect();
    data.extend(output.gone.iter().map(|key| (key.clone(), Value::Null)));
    json!({
        "metadata": {
            "uid": write.uid,
            "resourceVersion": write.resource_version,
            "labels": output.mark.labels(),
            "annotations": output.mark.annotations(),
        },
        "data": data,
    })
}
