//! Who else keeps a bundle Secret, as its metadata tells: a write into a Secret that another tool keeps would be undone,
//! and each undoing restarts a registry twice.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;

use crate::reason::{Failure, Reason};

/// Who writes, to the API server and in `managedFields`.
pub const FIELD_MANAGER: &str = "registry-sts";

/// The annotation by which a Secret's owner says that another tool leaves `config.yaml` alone, for example by Argo CD's
/// `ignoreDifferences`.
pub const IN_PLACE: &str = "registry-sts.dev/in-place";

/// Labels that tools put on what they keep; where a value is named, only with that value.
const LABELS: [(&str, Option<&str>, &str); 4] = [
    ("reconcile.external-secrets.io/managed", Some("true"), "External Secrets"),
    ("argocd.argoproj.io/instance", None, "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/name", None, "Flux"),
    ("helm.toolkit.fluxcd.io/name", None, "Flux"),
];

/// The objects that a controller makes Secrets from: the group of their API, their kind, the tool.
const MAKERS: [(&str, &str, &str); 5] = [
    ("external-secrets.io", "ExternalSecret", "External Secrets"),
    ("bitnami.com", "SealedSecret", "Sealed Secrets"),
    ("secrets.hashicorp.com", "VaultStaticSecret", "the Vault Secrets Operator"),
    ("secrets.hashicorp.com", "VaultDynamicSecret", "the Vault Secrets Operator"),
    ("isindir.github.com", "SopsSecret", "the SOPS secrets operator"),
];

/// What the names of field managers begin with that write again and again. People's tools (kubectl, helm, terraform) are
/// not among them: they write when somebody runs them.
const WRITERS: [(&str, &str); 7] = [
    ("argocd-controller", "Argo CD"),
    ("argocd-application-controller", "Argo CD"),
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux"),
    ("external-secrets", "External Secrets"),
    ("externalsecrets.external-secrets.io", "External Secrets"),
    ("vault-secrets-operator", "the Vault Secrets Operator"),
];

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
const INSTANCE: &str = "app.kubernetes.io/instance";
const ARGO_CD: &str = "Argo CD";

/// Another tool that keeps a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// What people call it.
    pub name: String,
    /// By what it was recognised.
    pub by: String,
}

impl Owner {
    /// The tool that keeps a Secret, if one does and nobody has said that it leaves `config.yaml` alone.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        if annotation(metadata, IN_PLACE) == Some("true") {
            return None;
        }
        labelled(metadata)
            .or_else(|| made(metadata))
            .or_else(|| tracked(metadata))
            .or_else(|| instance(metadata))
            .or_else(|| writes(metadata))
    }

    /// That nothing is written into the Secret, which messages call `called`.
    pub(super) fn refuses(&self, called: &str) -> Failure {
        let Self { name, by } = self;
        Failure::new(
            Reason::BundleOwnedElsewhere,
            format!(
                "{called} is kept by {name}, as {by} tells. What is written there would be undone, and each change restarts Quay. Nothing was changed. Set spec.outputSecret, so that the result is written to a Secret of its own and the registry reads that one; or, if {name} leaves config.yaml alone (as with Argo CD's ignoreDifferences), annotate the Secret with {IN_PLACE}: \"true\"."
            ),
        )
    }

    /// The same for an output: it was made for the operator alone.
    pub(super) fn refuses_output(&self, secret: &str) -> Failure {
        let Self { name, by } = self;
        Failure::new(
            Reason::BundleOwnedElsewhere,
            format!(
                "Secret {secret} (spec.outputSecret) is kept by {name}, as {by} tells. What is written there would be undone, and each change restarts Quay. Nothing was changed. Take the Secret out of what {name} keeps, or name another in spec.outputSecret; if {name} leaves its data alone, annotate the Secret with {IN_PLACE}: \"true\"."
            ),
        )
    }
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn owner(name: &str, by: String) -> Owner {
    Owner { name: name.to_owned(), by }
}

fn labelled(metadata: &ObjectMeta) -> Option<Owner> {
    LABELS.iter().find_map(|(key, wanted, name)| {
        let value = label(metadata, key).filter(|value| wanted.is_none_or(|wanted| wanted == *value))?;
        Some(owner(name, format!("its label {key}={value}")))
    })
}

fn made(metadata: &ObjectMeta) -> Option<Owner> {
    metadata.owner_references.iter().flatten().find_map(|maker| {
        let (group, _) = maker.api_version.split_once('/')?;
        let (.., name) = MAKERS.iter().find(|(of, kind, _)| *of == group && *kind == maker.kind)?;
        Some(owner(name, format!("its ownerReference to {} {}", maker.kind, maker.name)))
    })
}

/// Argo CD itself takes no notice of a tracking id that was copied along from another object.
fn tracked(metadata: &ObjectMeta) -> Option<Owner> {
    let id = annotation(metadata, TRACKING_ID)?;
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    // <application>:<group>/<kind>:<namespace>/<name>
    let mut parts = id.rsplitn(3, ':');
    let is_copied = match (parts.next().and_then(|object| object.split_once('/')), parts.next(), parts.next()) {
        (Some((in_namespace, named)), Some(kind), Some(_)) => {
            kind != "/Secret"
                || namespace.is_some_and(|own| own != in_namespace)
                || name.is_some_and(|own| own != named)
        }
        _ => false,
    };
    if is_copied { None } else { Some(owner(ARGO_CD, format!("its annotation {TRACKING_ID}={id}"))) }
}

/// Helm charts set this label on all that they have, and Argo CD, where it is told to track by label, on all that it
/// keeps. So it counts only together with another trace of Argo CD.
fn instance(metadata: &ObjectMeta) -> Option<Owner> {
    let value = label(metadata, INSTANCE)?;
    let keys = metadata.annotations.iter().flatten().chain(metadata.labels.iter().flatten()).map(|(key, _)| key);
    // A tracking id that was copied along tells of another object.
    let key = keys.into_iter().find(|key| key.starts_with("argocd.argoproj.io/") && *key != TRACKING_ID);
    let manager = || managers(metadata).filter_map(|entry| entry.manager.as_ref()).find(|m| tool(m) == Some(ARGO_CD));
    let trace = match key {
        Some(key) => format!("with {key}"),
        None => format!("with the field manager {:?}", manager()?),
    };
    Some(owner(ARGO_CD, format!("its label {INSTANCE}={value} {trace}")))
}

fn writes(metadata: &ObjectMeta) -> Option<Owner> {
    managers(metadata).filter(|entry| touches_config(entry)).find_map(|entry| {
        let manager = entry.manager.as_deref()?;
        Some(owner(
            tool(manager)?,
            format!("the field manager {manager:?} of its config.yaml (metadata.managedFields)"),
        ))
    })
}

fn managers(metadata: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    metadata.managed_fields.iter().flatten()
}

fn tool(manager: &str) -> Option<&'static str> {
    WRITERS.iter().find(|(begins, _)| manager.starts_with(begins)).map(|(_, name)| *name)
}

fn data(entry: &ManagedFieldsEntry) -> impl Iterator<Item = &Value> {
    let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    ["f:data", "f:stringData"].into_iter().filter_map(move |key| fields?.get(key))
}

fn touches_config(entry: &ManagedFieldsEntry) -> bool {
    data(entry).any(|data| data.get("f:config.yaml").is_some())
}

/// When this operator last wrote `config.yaml`, if it is still the one that did, by the clock of the API server.
pub fn own_write(metadata: &ObjectMeta) -> Option<Timestamp> {
    let ours =
        managers(metadata).filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER) && touches_config(entry));
    ours.filter_map(|entry| entry.time.as_ref().map(|time| time.0)).max()
}

/// When anybody last wrote `config.yaml`, as far as field managers tell.
pub fn last_change(metadata: &ObjectMeta) -> Option<Timestamp> {
    managers(metadata)
        .filter(|entry| touches_config(entry))
        .filter_map(|entry| entry.time.as_ref())
        .map(|time| time.0)
        .max()
}

/// When any of a Secret's values was last written, as far as field managers tell; else when it was created.
pub fn data_changed(metadata: &ObjectMeta) -> Option<Timestamp> {
    let written = managers(metadata).filter(|entry| data(entry).next().is_some());
    let last = written.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max();
    last.or_else(|| metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// The field manager, not ours, that was the last to write `config.yaml`; or other data, where nobody has that now.
pub fn last_writer(metadata: &ObjectMeta) -> Option<String> {
    let theirs = managers(metadata).filter(|entry| entry.manager.as_deref().is_some_and(|name| name != FIELD_MANAGER));
    let touching = theirs.filter(|entry| data(entry).next().is_some());
    touching.max_by_key(|entry| (touches_config(entry), entry.time.as_ref().map(|time| time.0)))?.manager.clone()
}

#[cfg(test)]
mod tests;
