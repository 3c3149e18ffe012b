//! Reading Secrets, and the one change that is made to them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_json::json;

use super::grants::Grants;
use super::version::Version;
use super::{ApiProblem, answered};
use crate::consumer::Consumer;
use crate::plan::BundleWrite;
use crate::plan::key::AccessKey;
use crate::plan::mark::Mark;
use crate::plan::observation::{BundleSecret, CONFIG};
use crate::plan::output::WholeSecret;
pub use crate::plan::owner::FIELD_MANAGER;
use crate::plan::owner::{self, Owner};
use crate::reason::{Failure, Reason};

/// A Secret as it was read: its version, and what is needed of it.
pub struct Read<T> {
    /// Which object, at which version.
    pub version: Version,
    /// What is needed of it.
    pub content: T,
}

/// A key Secret as it was read.
pub struct KeyReading {
    /// At which version; none if it could not be read.
    pub version: Option<Version>,
    /// When its values were last written, by the clock of the API server.
    pub changed: Option<Timestamp>,
    /// The key in it, or why there is none.
    pub key: Result<AccessKey, Failure>,
}

/// A write that was made.
pub struct Wrote {
    /// The Secret's version since.
    pub version: Version,
    /// When, by the clock of the API server.
    pub at: Option<Timestamp>,
}

impl Wrote {
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        Self { version: Version::of(metadata), at: owner::own_write(metadata) }
    }
}

/// Reads the access key in a Secret, or says why there is none.
pub async fn read_key(
    client: &Client,
    grants: &Grants,
    consumer: &Consumer,
    namespace: &str,
    name: &str,
) -> KeyReading {
    let nothing = |version, failure| KeyReading { version, changed: None, key: Err(failure) };
    match read(client, namespace, name).await {
        Ok(secret) => {
            let (version, changed) = (Version::of(&secret.metadata), owner::data_changed(&secret.metadata));
            // What is no UTF-8 is no access key either; the replacement characters are refused where it is parsed.
            let text = |value: ByteString| SecretString::from(String::from_utf8_lossy(&value.0).into_owned());
            let values = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(value))).collect();
            KeyReading { version: Some(version), changed, key: AccessKey::from_secret(name, &values) }
        }
        Err(ApiProblem::NotFound) => {
            let message = format!(
                "Secret {name} (auth.accessKey.secretRef) does not exist in this namespace. Create it with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            );
            nothing(Some(Version::Absent), Failure::new(Reason::KeySecretMissing, message))
        }
        Err(ApiProblem::Forbidden) => {
            let message = format!(
                "{} may not read Secret {name} (auth.accessKey.secretRef). Grant it: {}",
                grants.who(),
                grants.secrets(namespace, consumer).await
            );
            nothing(None, Failure::new(Reason::KeySecretForbidden, message))
        }
        Err(problem) => {
            let message = format!("Secret {name} could not be read: {problem}.");
            nothing(None, Failure::new(Reason::KeySecretUnreadable, message))
        }
    }
}

/// Reads a config bundle.
///
/// # Errors
/// What the API server answered instead.
pub async fn read_bundle(client: &Client, namespace: &str, name: &str) -> Result<Read<BundleSecret>, ApiProblem> {
    let Read { version, content } = read_whole(client, namespace, name).await?;
    Ok(Read { version, content: content.bundle })
}

/// Reads a config bundle with all of its values.
///
/// # Errors
/// What the API server answered instead.
pub async fn read_whole(client: &Client, namespace: &str, name: &str) -> Result<Read<WholeSecret>, ApiProblem> {
    let secret = read(client, namespace, name).await?;
    let version = Version::of(&secret.metadata);
    let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, SecretSlice::from(value.0)));
    let data: BTreeMap<_, _> = data.collect();
    let bundle = BundleSecret {
        mark: Mark::read(secret.metadata.labels.as_ref(), secret.metadata.annotations.as_ref()),
        owner: Owner::of(&secret.metadata),
        own_write: owner::own_write(&secret.metadata),
        last_change: owner::last_change(&secret.metadata),
        last_writer: owner::last_writer(&secret.metadata),
        uid: secret.metadata.uid.unwrap_or_default(),
        resource_version: secret.metadata.resource_version.unwrap_or_default(),
        immutable: secret.immutable == Some(true),
        deleting: secret.metadata.deletion_timestamp.is_some(),
        ..BundleSecret::of(data.clone())
    };
    Ok(Read { version, content: WholeSecret { bundle, data } })
}

async fn read(client: &Client, namespace: &str, name: &str) -> Result<Secret, ApiProblem> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    answered(secrets.get(name)).await
}

/// Changes `config.yaml` of the very Secret at the very version that was observed; anything else is a `Conflict`.
///
/// # Errors
/// What the API server answered instead; then nothing was written.
pub async fn write_config(client: &Client, namespace: &str, write: &BundleWrite) -> Result<Wrote, ApiProblem> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let patch = json!({
        "metadata": {"uid": write.uid, "resourceVersion": write.resource_version},
        "data": {CONFIG: BASE64.encode(write.config.expose_secret())},
    });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let secret = answered(secrets.patch_metadata(&write.secret_name, &params, &Patch::Merge(&patch))).await?;
    Ok(Wrote::of(&secret.metadata))
}
