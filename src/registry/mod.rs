//! PURE: what a `QuayRegistry` says of its Quay: which Secret its bundle is, what its pods' environment is, how old it
//! is. The controller and the offline verbs read it here.

mod environment;
mod seen;
#[cfg(test)]
mod tests;
mod version;

pub use environment::{Overrides, PodsEnvironment, Setting};
pub use seen::RegistrySeen;
pub use version::{NoVersion, QuayVersion};

use serde::Deserialize;
use serde_json::Value;

use environment::EnvVar;

/// The API that it is read by.
pub const API_VERSION: &str = "quay.redhat.com/v1";
/// Its kind.
pub const KIND: &str = "QuayRegistry";

/// A `QuayRegistry`, as far as it concerns us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// The name of the bundle Secret, once there is one.
    pub bundle: Option<String>,
    /// Who keeps its object storage.
    pub object_storage: ObjectStorage,
    /// The environment of the pods that serve it.
    pub quay: PodsEnvironment,
    /// That of the pods that mirror into it; none where there are no such pods.
    pub mirror: Option<PodsEnvironment>,
    /// Which Quay runs, if that is known.
    pub version: Option<QuayVersion>,
    /// Why the Quay operator does not roll it out, in its own word, if it says so.
    pub rollout_blocked: Option<String>,
    /// It is being deleted.
    pub deleting: bool,
}

/// What a registry says of component `objectstorage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectStorage {
    /// Nothing: the Quay operator decides.
    #[default]
    Undeclared,
    /// The Quay operator keeps it.
    Managed,
    /// Whoever writes the bundle does.
    Unmanaged,
}

/// What the Quay operator calls the Secrets that it renders, and deletes when they are old, after the registry's name.
pub const RENDERED: &str = "-quay-config-secret";

/// Whether a Secret is named as those that the Quay operator renders for a registry.
pub fn is_rendered(registry: &str, secret: &str) -> bool {
    secret.strip_prefix(registry).is_some_and(|rest| rest.starts_with(RENDERED))
}

/// The service account that the pods of a registry run as.
pub fn account_of(registry: &str) -> String {
    format!("{registry}-quay-app")
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    metadata: Metadata,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    config_bundle_secret: Option<String>,
    components: Option<Vec<Component>>,
}

#[derive(Deserialize)]
struct Component {
    kind: String,
    managed: Option<bool>,
    overrides: Option<ComponentOverrides>,
}

#[derive(Deserialize)]
struct ComponentOverrides {
    env: Option<Vec<EnvVar>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    current_version: Option<String>,
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
}

impl Status {
    /// Of the condition nothing is taken but a word: its message is somebody else's.
    fn rollout_blocked(&self) -> Option<String> {
        let blocked = self.conditions.iter().find(|c| c.kind == "RolloutBlocked" && c.status == "True")?;
        let is_word = |reason: &&str| {
            !reason.is_empty() && reason.len() <= 64 && reason.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        Some(Some(blocked.reason.as_str()).filter(is_word).unwrap_or("for no reason that is a word").to_owned())
    }
}

impl Registry {
    /// Reads a `QuayRegistry`; none for what does not have the form of one. Why it has not is not told: the decoder
    /// quotes values, and passwords stand in environments.
    pub fn read(object: &Value) -> Option<Self> {
        let object = Object::deserialize(object).ok()?;
        let spec = object.spec.unwrap_or_default();
        let components = spec.components.unwrap_or_default();
        let component = |kind: &str| components.iter().find(|component| component.kind == kind);
        let environment = |component: Option<&Component>| {
            let overrides = component.and_then(|component| component.overrides.as_ref());
            PodsEnvironment::of(overrides.and_then(|overrides| overrides.env.as_deref()).unwrap_or_default())
        };
        let object_storage = match component("objectstorage").map(|component| component.managed) {
            None => ObjectStorage::Undeclared,
            // The Quay operator reads what is not said as `false`.
            Some(Some(false) | None) => ObjectStorage::Unmanaged,
            Some(Some(true)) => ObjectStorage::Managed,
        };
        let mirror = component("mirror");
        let has_mirror = mirror.is_none_or(|mirror| mirror.managed == Some(true));
        Some(Self {
            bundle: spec.config_bundle_secret.filter(|name| !name.is_empty()),
            object_storage,
            quay: environment(component("quay")),
            mirror: has_mirror.then(|| environment(mirror)),
            rollout_blocked: object.status.as_ref().and_then(Status::rollout_blocked),
            version: object.status.and_then(|status| status.current_version?.parse().ok()),
            deleting: object.metadata.deletion_timestamp.is_some(),
        })
    }
}
