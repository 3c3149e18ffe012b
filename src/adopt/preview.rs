//! What applying a `QuayStorage` would change, by the plan that the controller makes.

use secrecy::{ExposeSecret as _, SecretString};

use super::location::{Adopted, KeyOf};
use super::{Bundle, fill_in};
use crate::api::QuayStorageSpec;
use crate::bundle::ConfigYaml;
use crate::plan::desired::{Allowed, Auth, DesiredLocation};
use crate::plan::key::AccessKey;
use crate::plan::observation::{Observation, ObservedBundle, ObservedLocation, Reference};
use crate::plan::{Approval, Desired, Left, Plan, ProofState, Standing, Standings};
use crate::reason::{Failure, Reason};
use crate::target::Principal;
use crate::verdict::Step;

/// What would come of it, were each location proven.
pub(super) struct Preview {
    /// What it asks for.
    pub(super) desired: Desired,
    /// What stands against it: a location's name, if it is one, and why.
    pub(super) failures: Vec<(Option<String>, Failure)>,
    /// The change with every secret masked; empty where there is none.
    pub(super) diff: String,
}

impl Preview {
    /// The outcome of a spec for a bundle. `document` is the bundle's.
    pub(super) fn of(
        bundle: &Bundle,
        document: &ConfigYaml,
        spec: &QuayStorageSpec,
        adopted: &[Adopted],
    ) -> Result<Self, Failure> {
        let desired = Desired::parse(spec, bundle.consumer.clone(), &Allowed::any())?;
        let locations =
            desired.locations.iter().zip(adopted).map(|(location, one)| observed(bundle, location, one)).collect();
        let read = ObservedBundle::Read(Box::new(Reference::Found(bundle.secret.clone())));
        let seen = Observation {
            locations,
            bundle: read,
            unwatched: None,
            has_elder: false,
            left: Left::default(),
            approval: Approval::Waived,
            backup: None,
        };
        let plan = Plan::make(&desired, &seen);
        let failures = match plan.standings {
            Standings::Unusable(failure) => vec![(None, failure)],
            Standings::NotLooked => Vec::new(),
            Standings::Each(each) => {
                let kept = plan.locations.iter().zip(each).filter_map(|(location, standing)| match standing {
                    Standing::Kept(failure) => Some((Some(location.name.clone()), failure)),
                    Standing::Current => None,
                });
                kept.collect()
            }
        };
        let diff = match plan.write {
            Some(write) => {
                let after = ConfigYaml::parse(write.config.expose_secret().as_bytes());
                let after = after.map_err(|refusal| Failure::new(Reason::BundleUneditable, refusal.to_string()))?;
                document.diff(&after, "config.yaml")
            }
            None => String::new(),
        };
        Ok(Self { desired, failures, diff })
    }
}

fn observed(bundle: &Bundle, location: &DesiredLocation, adopted: &Adopted) -> ObservedLocation {
    let principal = location.wanted.clone().and_then(|wanted| match (&wanted.auth, &adopted.key) {
        (Auth::WebIdentity(identity), _) => {
            Ok(Principal::unseen(bundle.namespace.as_deref().unwrap_or_default(), identity))
        }
        (Auth::AccessKey { .. }, KeyOf::Entry { key, .. }) => Ok(Principal::Key(key.clone())),
        (Auth::AccessKey { .. }, KeyOf::Nobody | KeyOf::Elsewhere) => filled_in().map(Principal::Key),
    });
    let proof = match &principal {
        Ok(_) => ProofState::Skipped,
        Err(failure) => ProofState::Failed(Step::Principal, failure.clone()),
    };
    ObservedLocation { principal, key_version: None, account: None, proof, written_at: None, claimed_by: None }
}

/// A key that stands in for one that is not known. A diff shows none.
fn filled_in() -> Result<AccessKey, Failure> {
    let (id, secret) = (SecretString::from(fill_in::KEY_ID), SecretString::from("fill-in"));
    AccessKey::new(&id, &secret).ok_or_else(|| Failure::new(Reason::MissingKey, "There is no key."))
}
