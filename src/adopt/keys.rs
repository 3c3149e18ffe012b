//! The Secrets with access keys that a `QuayStorage` needs, without their values.

use secrecy::ExposeSecret as _;

use super::Bundle;
use super::location::{Adopted, KeyOf};
use crate::plan::key::AccessKey;

/// A Secret with an access key.
pub(super) struct KeySecret {
    /// Its name.
    pub(super) name: String,
    /// The locations whose roles the key assumes.
    pub(super) locations: Vec<String>,
    /// The key as an entry has it: of the first of the locations, under these arguments.
    source: Option<(AccessKey, [&'static str; 2])>,
}

/// The Secrets of locations, which get their names. A key that several entries have is in one Secret.
pub(super) fn assign(resource: &str, adopted: &mut [Adopted]) -> Vec<KeySecret> {
    let mut secrets: Vec<KeySecret> = Vec::new();
    for one in adopted {
        let source = match &one.key {
            KeyOf::Nobody => continue,
            KeyOf::Entry { key, arguments } => Some((key.clone(), *arguments)),
            KeyOf::Elsewhere => None,
        };
        let is_same = |other: &&mut KeySecret| match (&other.source, &source) {
            (Some((other, _)), Some((key, _))) => {
                other.id() == key.id() && other.secret().expose_secret() == key.secret().expose_secret()
            }
            _ => false,
        };
        let count = secrets.len() + 1;
        let name = if let Some(known) = secrets.iter_mut().find(is_same) {
            known.locations.push(one.location.name.clone());
            known.name.clone()
        } else {
            let number = if count == 1 { String::new() } else { format!("-{count}") };
            let name = format!("{resource}-sts-key{number}");
            secrets.push(KeySecret { name: name.clone(), locations: vec![one.location.name.clone()], source });
            name
        };
        if let Some(key) = &mut one.location.auth.access_key {
            key.secret_ref.name = name;
        }
    }
    secrets
}

impl KeySecret {
    /// What is to be filled in: the id and the secret.
    pub(super) fn placeholders(&self) -> [String; 2] {
        match &self.source {
            Some((key, _)) => [format!("<as in the bundle, …{}>", key.last_four()), "<as in the bundle>".to_owned()],
            None => ["<the id of an IAM user's access key, AKIA…>".to_owned(), "<its secret>".to_owned()],
        }
    }

    /// The command that creates it from the bundle in the cluster. Values pass through pipes only: they are no arguments,
    /// which others on the machine see, and nothing prints them.
    pub(super) fn command(&self, bundle: &Bundle) -> Option<String> {
        let (_, [id, secret]) = self.source.as_ref()?;
        let (namespace, location) = (bundle.namespace.as_deref()?, self.locations.first()?);
        let from = format!(".DISTRIBUTED_STORAGE_CONFIG[\"{location}\"][1]");
        let manifest = format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {{\"name\": \"{}\"}}, \"stringData\": {{\"AWS_ACCESS_KEY_ID\": {from}.{id}, \"AWS_SECRET_ACCESS_KEY\": {from}.{secret}}}}}",
            self.name
        );
        let read = format!(
            "kubectl -n {namespace} get secret {} -o go-template='{{{{index .data \"config.yaml\" | base64decode}}}}'",
            bundle.consumer.bundle
        );
        bundle.is_live.then(|| format!("{read} |\n  yq '{manifest}' |\n  kubectl -n {namespace} create -f -"))
    }
}
