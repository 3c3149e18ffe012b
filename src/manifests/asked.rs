//! What manifests ask for, resource by resource.

use super::{Manifests, Refused, Resource};
use crate::consumer::Consumer;
use crate::plan::Desired;
use crate::plan::desired::Allowed;
use crate::plan::key::AccessKey;
use crate::plan::observation::BundleSecret;
use crate::reason::{Failure, Reason};

/// A `QuayStorage` that can be read.
pub struct Parsed<'a> {
    resource: &'a Resource,
    /// What it asks for.
    pub desired: Desired,
}

impl Parsed<'_> {
    /// Its name, with its namespace if the manifest says one.
    pub fn name(&self) -> String {
        self.resource.name()
    }

    /// Its namespace, if the manifest says one.
    pub fn namespace(&self) -> Option<&str> {
        self.resource.namespace()
    }

    /// That a location of it is refused.
    pub fn refused(&self, location: &str, failure: &Failure) -> Refused {
        self.resource.refused(&format!(", location {location}"), failure.clone())
    }
}

impl Manifests {
    /// Each resource.
    ///
    /// # Errors
    /// Everything that the API server or the operator would refuse of whole resources.
    pub fn parsed(&self, allowed: &Allowed) -> Result<Vec<Parsed<'_>>, Vec<Refused>> {
        let mut refused = self.invalid.clone();
        refused.extend(self.twice());
        let mut parsed = Vec::new();
        for resource in &self.resources {
            let parse = |consumer| Desired::parse(&resource.object.spec, consumer, allowed);
            match self.consumer_if_known(resource).and_then(parse) {
                Ok(desired) => parsed.push(Parsed { resource, desired }),
                Err(failure) => refused.push(resource.refused("", failure)),
            }
        }
        if refused.is_empty() { Ok(parsed) } else { Err(refused) }
    }

    /// The access key in the Secret that a resource of a namespace names.
    ///
    /// # Errors
    /// `KeySecretMissing` where it is not among the manifests; else what is wrong with it.
    pub fn key(&self, namespace: Option<&str>, secret: &str) -> Result<AccessKey, Failure> {
        let reasons = (Reason::KeySecretMissing, Reason::KeySecretUnreadable);
        let index = self.secret(namespace, secret, "auth.accessKey.secretRef", reasons)?;
        let secret = &self.secrets[index];
        AccessKey::from_secret(&secret.called(), &secret.texts())
    }
    /// The bundle of a Quay in a namespace.
    ///
    /// # Errors
    /// `BundleMissing` where it is not among the manifests, `BundleUnreadable` where it stands twice.
    pub fn bundle(&self, namespace: Option<&str>, consumer: &Consumer) -> Result<BundleSecret, Failure> {
        let reasons = (Reason::BundleMissing, Reason::BundleUnreadable);
        let secret = &self.secrets[self.secret(namespace, &consumer.bundle, &consumer.field(), reasons)?];
        Ok(BundleSecret { called: Some(format!("Secret {}", secret.called())), ..secret.bundle() })
    }

    /// The Secrets that hold a `config.yaml`: the namespace, if the manifest says one, and the name.
    pub fn bundle_names(&self) -> Vec<(Option<&str>, &str)> {
        let bundles = self.secrets.iter().filter(|secret| secret.bundle().config.is_some());
        bundles.filter_map(|secret| Some((secret.namespace(), secret.name()?))).collect()
    }
}
