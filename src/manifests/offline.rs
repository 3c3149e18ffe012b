//! What the controller would write for manifests, without a cluster and without a proof.

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::Manifests;
use crate::api::QuayStorage;
use crate::plan::claim::{self, Claimant};
use crate::plan::desired::{AllowedEndpoints, DesiredLocation};
use crate::plan::key::AccessKey;
use crate::plan::observation::{BundleSecret, CONFIG, ObservedBundle, ObservedLocation, Reference};
use crate::plan::{Desired, Observation, Plan, ProofState, Standing, Standings};
use crate::reason::{Failure, Reason};

/// A bundle before and after.
pub struct Bundle {
    namespace: Option<String>,
    /// The Secret's name.
    pub name: String,
    /// `config.yaml` as it was given.
    pub before: SecretSlice<u8>,
    /// `config.yaml` as it would be written.
    pub after: SecretSlice<u8>,
}

/// What keeps a location from being written.
pub struct Refused {
    /// The resource's name.
    pub resource: String,
    /// The location's name, or what else of the resource is concerned.
    pub location: String,
    /// Why.
    pub failure: Failure,
}

impl Manifests {
    /// Each bundle with everything that the resources ask of it; `plain` stands for all of them, if it is given.
    ///
    /// # Errors
    /// Everything that is refused. Then nothing is to be written at all.
    pub fn render(&self, plain: Option<&SecretSlice<u8>>) -> Result<Vec<Bundle>, Vec<Refused>> {
        let mut bundles: Vec<Bundle> = Vec::new();
        let mut refused = Vec::new();
        for resource in &self.resources {
            let namespace = resource.metadata.namespace.as_deref();
            let name = &resource.spec.config_bundle_secret;
            let same =
                |bundle: &Bundle| plain.is_some() || (bundle.namespace.as_deref() == namespace && bundle.name == *name);
            let known = bundles.iter().position(same);
            let seen = match (plain, self.secret(namespace, name)) {
                (Some(text), _) => Reference::Found(BundleSecret::of([(CONFIG.to_owned(), text.clone())].into())),
                (None, Some(secret)) => Reference::Found(secret.bundle()),
                (None, None) => Reference::Missing,
            };
            let seen = match (seen, known) {
                // What an earlier resource asked of it is in it already.
                (Reference::Found(secret), Some(known)) => {
                    Reference::Found(BundleSecret { config: Some(bundles[known].after.clone()), ..secret })
                }
                (seen, _) => seen,
            };
            let before = match &seen {
                Reference::Found(secret) => secret.config.clone(),
                _ => None,
            };
            match (self.render_one(resource, seen), before) {
                (Err(failures), _) => refused.extend(failures.into_iter().map(|(location, failure)| Refused {
                    resource: resource.metadata.name.clone().unwrap_or_default(),
                    location,
                    failure,
                })),
                (Ok(after), Some(before)) => {
                    let after = after.map_or_else(|| before.clone(), |text| bytes(&text));
                    match known {
                        Some(known) => bundles[known].after = after,
                        None => bundles.push(Bundle {
                            namespace: namespace.map(str::to_owned),
                            name: name.clone(),
                            before,
                            after,
                        }),
                    }
                }
                (Ok(_), None) => {}
            }
        }
        if refused.is_empty() { Ok(bundles) } else { Err(refused) }
    }

    /// The manifest of a bundle with its new `config.yaml`; none if there is no such manifest.
    ///
    /// # Errors
    /// When it cannot be serialised.
    pub fn manifest_of(&self, bundle: &Bundle) -> Result<Option<SecretString>, serde_yaml::Error> {
        let secret = self.secret(bundle.namespace.as_deref(), &bundle.name);
        secret.map(|secret| secret.with_config(&bundle.after)).transpose()
    }

    fn render_one(
        &self,
        resource: &QuayStorage,
        bundle: Reference<BundleSecret>,
    ) -> Result<Option<SecretString>, Vec<(String, Failure)>> {
        let desired = Desired::parse(&resource.spec, &AllowedEndpoints::Any)
            .map_err(|invalid| vec![("spec".to_owned(), invalid)])?;
        let locations = desired.locations.iter().map(|location| self.observe(resource, location)).collect();
        let seen = Observation { locations, bundle: ObservedBundle::Read(bundle), unwatched: None };
        let plan = Plan::make(&desired, &seen);
        let failures = failures(&plan);
        if failures.is_empty() { Ok(plan.write.map(|write| write.config)) } else { Err(failures) }
    }

    fn observe(&self, resource: &QuayStorage, location: &DesiredLocation) -> ObservedLocation {
        let namespace = resource.metadata.namespace.as_deref();
        let key = location.wanted.clone().and_then(|wanted| match self.secret(namespace, &wanted.key_secret) {
            Some(secret) => AccessKey::from_secret(&wanted.key_secret, &secret.texts()),
            None => Err(Failure::new(
                Reason::KeySecretMissing,
                format!(
                    "Secret {} (auth.accessKey.secretRef) is not among the manifests. Give its file too.",
                    wanted.key_secret
                ),
            )),
        });
        let proof = match &key {
            Ok(_) => ProofState::Skipped,
            Err(failure) => ProofState::Failed(failure.clone()),
        };
        ObservedLocation { key, proof, written_at: None, claimed_by: self.claimed_by(resource, &location.name) }
    }

    /// Among manifests nobody is older: the first by name writes a location that several name.
    fn claimed_by(&self, resource: &QuayStorage, location: &str) -> Option<String> {
        let claims = |other: &&QuayStorage| {
            other.metadata.namespace == resource.metadata.namespace
                && other.spec.config_bundle_secret == resource.spec.config_bundle_secret
                && other.spec.locations.iter().any(|l| l.name == location)
        };
        let name = |resource: &'_ QuayStorage| resource.metadata.name.clone().unwrap_or_default();
        let names: Vec<String> = self.resources.iter().filter(claims).map(name).collect();
        let claimants = names.iter().map(|name| Claimant { name, created: 0, written: false });
        claim::owner(claimants).filter(|owner| Some(*owner) != resource.metadata.name.as_deref()).map(str::to_owned)
    }
}

fn bytes(text: &SecretString) -> SecretSlice<u8> {
    SecretSlice::from(text.expose_secret().as_bytes().to_vec())
}

fn failures(plan: &Plan) -> Vec<(String, Failure)> {
    let bundle = match &plan.standings {
        Standings::Unusable(failure) => vec![("config.yaml".to_owned(), failure.clone())],
        Standings::NotLooked | Standings::Each(_) => Vec::new(),
    };
    let each = match &plan.standings {
        Standings::Each(each) => each.as_slice(),
        Standings::NotLooked | Standings::Unusable(_) => &[],
    };
    let kept = plan.locations.iter().zip(each).filter_map(|(location, standing)| match standing {
        Standing::Kept(failure) => Some((location.name.clone(), failure.clone())),
        Standing::Current => None,
    });
    bundle.into_iter().chain(kept).collect()
}
