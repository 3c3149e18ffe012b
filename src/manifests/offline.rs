//! What the controller would write for manifests, without a cluster and without a proof.

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::secret::Written;
use super::{Manifests, Refused, Resource, SecretManifest, Unwritable};
use crate::consumer::Consumer;
use crate::plan::claim::{self, Claimant};
use crate::plan::desired::{Allowed, Auth, DesiredLocation};
use crate::plan::observation::{BundleSecret, CONFIG, ObservedBundle, ObservedLocation, Reference};
use crate::plan::{Approval, Desired, Left, Observation, Plan, ProofState, Standing, Standings};
use crate::reason::{Failure, Reason};
use crate::target::Principal;
use crate::verdict::Step;

/// A `config.yaml` that is no Secret's: it stands for every bundle.
pub struct PlainFile {
    /// How the user calls it.
    pub name: String,
    /// What stands in it.
    pub text: SecretSlice<u8>,
}

/// A bundle before and after.
pub struct Bundle {
    pub(super) of: Target,
    /// What people call the `config.yaml`.
    pub name: String,
    /// `config.yaml` as it was given.
    pub before: SecretSlice<u8>,
    /// `config.yaml` as it would be written.
    pub after: SecretSlice<u8>,
    /// The whole manifest, of an output.
    pub(super) manifest: Option<SecretString>,
}

/// Manifests of Secrets. They hold all of their values.
pub struct Secrets {
    /// The documents.
    pub stream: SecretString,
    /// Those that had to be written anew, without their comments and their layout: which, and why.
    pub anew: Vec<(String, &'static str)>,
}

/// What is written into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Plain,
    /// The Secret at this index.
    Secret(usize),
    /// The output of the resource at this index.
    Output(usize),
}

/// A resource that can be planned, the Quay that reads its bundle, and that bundle.
pub(super) struct Asked<'a> {
    pub(super) resource: &'a Resource,
    pub(super) consumer: Consumer,
    pub(super) target: Target,
}

impl Manifests {
    /// Each bundle with everything that the resources ask of it.
    ///
    /// # Errors
    /// Everything that is refused. Then nothing is to be written at all.
    pub fn render(&self, plain: Option<&PlainFile>, allowed: &Allowed) -> Result<Vec<Bundle>, Vec<Refused>> {
        let mut refused = self.invalid.clone();
        refused.extend(self.twice());
        if !refused.is_empty() {
            return Err(refused);
        }
        let mut asked = Vec::new();
        for resource in &self.resources {
            match self.asked(resource, plain) {
                Ok(one) => asked.push(one),
                Err(failure) => refused.push(resource.refused("", failure)),
            }
        }
        let mut bundles: Vec<Bundle> = Vec::new();
        for one in &asked {
            if let Target::Output(_) = one.target {
                match self.output(one, &asked, allowed) {
                    Err(failures) => refused.extend(failures),
                    Ok(bundle) => bundles.push(bundle),
                }
                continue;
            }
            let known = bundles.iter().position(|bundle| bundle.of == one.target);
            let mut seen = self.read(one.target, plain);
            let before = seen.config.clone();
            if let Some(known) = known {
                // What an earlier resource asked of it is in it already.
                seen.config = Some(bundles[known].after.clone());
            }
            match self.render_one(one, &asked, seen, allowed) {
                Err(failures) => refused.extend(failures),
                Ok(text) => {
                    if let (None, Some(before)) = (known, before) {
                        let (name, after) = (self.name_of(one.target, plain), before.clone());
                        bundles.push(Bundle { of: one.target, name, before, after, manifest: None });
                    }
                    let bundle = bundles.iter_mut().find(|bundle| bundle.of == one.target);
                    if let (Some(bundle), Some(text)) = (bundle, text) {
                        bundle.after = SecretSlice::from(text.expose_secret().as_bytes().to_vec());
                    }
                }
            }
        }
        if refused.is_empty() { Ok(bundles) } else { Err(refused) }
    }

    /// The Secrets' manifests with their new `config.yaml`, as one stream.
    ///
    /// # Errors
    /// When one cannot be serialised.
    pub fn secrets(&self, bundles: &[Bundle]) -> Result<Secrets, Unwritable> {
        let mut secrets = Secrets { stream: SecretString::default(), anew: Vec::new() };
        let mut stream = String::new();
        for bundle in bundles {
            let (written, called) = match (&bundle.manifest, self.secret_at(bundle.of)) {
                (Some(text), _) => (Written { text: text.clone(), marked: false, anew: None }, String::new()),
                (None, Some(secret)) => (secret.with_config(&bundle.after)?, secret.called()),
                (None, None) => continue,
            };
            if !stream.is_empty() && !stream.ends_with('\n') {
                stream.push('\n');
            }
            if !stream.is_empty() && !written.marked {
                stream.push_str("---\n");
            }
            stream.push_str(written.text.expose_secret());
            secrets.anew.extend(written.anew.map(|why| (called, why)));
        }
        secrets.stream = SecretString::from(stream);
        Ok(secrets)
    }

    /// The endpoints that the resources name.
    pub fn endpoints(&self) -> Vec<&str> {
        let locations = self.resources.iter().flat_map(|resource| &resource.object.spec.locations);
        let mut urls: Vec<&str> = locations.filter_map(|location| location.endpoint_url.as_deref()).collect();
        urls.sort_unstable();
        urls.dedup();
        urls
    }

    fn asked<'a>(&self, resource: &'a Resource, plain: Option<&PlainFile>) -> Result<Asked<'a>, Failure> {
        let consumer = self.consumer(resource)?;
        let reasons = (Reason::BundleMissing, Reason::BundleUnreadable);
        let at = self.resources.iter().position(|other| std::ptr::eq(other, resource));
        let target = if plain.is_some() {
            Target::Plain
        } else if let (Some(_), Some(at)) = (&consumer.source, at) {
            Target::Output(at)
        } else {
            Target::Secret(self.secret(resource.namespace(), &consumer.bundle, &consumer.field(), reasons)?)
        };
        Ok(Asked { resource, consumer, target })
    }

    fn secret_at(&self, target: Target) -> Option<&SecretManifest> {
        match target {
            Target::Plain | Target::Output(_) => None,
            Target::Secret(index) => self.secrets.get(index),
        }
    }

    fn name_of(&self, target: Target, plain: Option<&PlainFile>) -> String {
        match (self.secret_at(target), plain) {
            (Some(secret), _) => format!("{}/{CONFIG}", secret.name().unwrap_or_default()),
            (None, Some(file)) => file.name.clone(),
            (None, None) => CONFIG.to_owned(),
        }
    }

    fn read(&self, target: Target, plain: Option<&PlainFile>) -> BundleSecret {
        match (self.secret_at(target), plain) {
            (Some(secret), _) => {
                BundleSecret { called: Some(format!("Secret {}", secret.called())), ..secret.bundle() }
            }
            (None, Some(file)) => BundleSecret {
                called: Some(file.name.clone()),
                ..BundleSecret::of([(CONFIG.to_owned(), file.text.clone())].into())
            },
            (None, None) => BundleSecret::of([].into()),
        }
    }

    fn render_one(
        &self,
        one: &Asked<'_>,
        all: &[Asked<'_>],
        bundle: BundleSecret,
        allowed: &Allowed,
    ) -> Result<Option<SecretString>, Vec<Refused>> {
        let resource = one.resource;
        // A plain file is all that there is, whatever it is to become.
        let consumer = Consumer { source: None, ..one.consumer.clone() };
        let desired = Desired::parse(&resource.object.spec, consumer, allowed)
            .map_err(|invalid| vec![resource.refused("", invalid)])?;
        let plan = self.planned(one, all, &desired, ObservedBundle::Read(Box::new(Reference::Found(bundle))))?;
        Ok(plan.write.map(|write| write.config))
    }

    /// The plan for what is among the manifests, if nothing of it is refused.
    pub(super) fn planned(
        &self,
        one: &Asked<'_>,
        all: &[Asked<'_>],
        desired: &Desired,
        bundle: ObservedBundle,
    ) -> Result<Plan, Vec<Refused>> {
        let locations = desired.locations.iter().map(|location| self.observe(one, all, location)).collect();
        let (has_elder, left) = (has_elder(one, all), Left::default());
        let plan = Plan::make(
            desired,
            &Observation {
                locations,
                bundle,
                unwatched: None,
                has_elder,
                left,
                approval: Approval::Waived,
                backup: None,
            },
        );
        let failures = failures(one, all, &plan);
        if failures.is_empty() { Ok(plan) } else { Err(failures) }
    }

    fn observe(&self, one: &Asked<'_>, all: &[Asked<'_>], location: &DesiredLocation) -> ObservedLocation {
        let namespace = one.resource.namespace();
        let principal = location.wanted.clone().and_then(|wanted| match &wanted.auth {
            Auth::AccessKey { secret, .. } => self.key(namespace, secret).map(Principal::Key),
            Auth::WebIdentity(identity) => Ok(Principal::unseen(namespace.unwrap_or_default(), identity)),
        });
        let proof = match &principal {
            Ok(_) => ProofState::Skipped,
            Err(failure) => ProofState::Failed(Step::Principal, failure.clone()),
        };
        let claimed_by = claimant(one, all, &location.name).map(Resource::name);
        ObservedLocation { principal, key_version: None, account: None, proof, written_at: None, claimed_by }
    }
}

/// Whether another resource of the same bundle comes first by name.
fn has_elder(one: &Asked<'_>, all: &[Asked<'_>]) -> bool {
    all.iter().any(|other| other.target == one.target && other.resource.name() < one.resource.name())
}

/// Another resource that writes a location of the same bundle. Among manifests nobody is older: the first by name does.
fn claimant<'a>(one: &Asked<'a>, all: &[Asked<'a>], location: &str) -> Option<&'a Resource> {
    let claims = |other: &&Asked<'_>| {
        other.target == one.target && other.resource.object.spec.locations.iter().any(|l| l.name == location)
    };
    let named: Vec<(String, &Resource)> =
        all.iter().filter(claims).map(|other| (other.resource.name(), other.resource)).collect();
    let owner = claim::owner(named.iter().map(|(name, _)| Claimant { name, created: 0, written: false }))?;
    named.iter().find(|(name, _)| name == owner && *name != one.resource.name()).map(|(_, resource)| *resource)
}

fn failures(one: &Asked<'_>, all: &[Asked<'_>], plan: &Plan) -> Vec<Refused> {
    let each = match &plan.standings {
        Standings::Unusable(failure) => return vec![one.resource.refused("", failure.clone())],
        Standings::NotLooked => &[][..],
        Standings::Each(each) => each.as_slice(),
    };
    let kept = plan.locations.iter().zip(each).filter_map(|(location, standing)| {
        // Also where both ask for the same: the operator would report it on one of them for ever.
        let failure = match (claimant(one, all, &location.name), standing) {
            (Some(other), _) => Failure::new(
                Reason::LocationClaimed,
                format!(
                    "QuayStorage {} ({}) has this location of the bundle too, and only one can write it. Remove it from one of the two.",
                    other.name(),
                    other.origin
                ),
            ),
            (None, Standing::Kept(failure)) => failure.clone(),
            (None, Standing::Current) => return None,
        };
        Some(one.resource.refused(&format!(", location {}", location.name), failure))
    });
    kept.collect()
}
