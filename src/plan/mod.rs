//! PURE: what is desired and what was seen, turned into what is to be done.

mod allowed;
mod assuming;
pub mod claim;
pub mod contest;
pub mod desired;
pub mod key;
pub mod mark;
pub mod observation;
pub mod output;
pub mod owner;
mod print;
mod render;
pub mod source;
pub mod web_identity;

use secrecy::SecretString;

pub use contest::{Held, Left};
pub use desired::Desired;
pub use observation::{Observation, ProofState};
pub use source::Source;

use crate::api::quay_storage::Mode;
use crate::api::status::ContestedStatus;
use crate::consumer::Consumer;
use crate::place::Place;
use crate::reason::{Failure, Reason};
use crate::target::Principal;
use crate::verdict::Step;
use observation::{BundleSecret, ObservedBundle, Reference};
use output::OutputWrite;
use render::Rendered;
use web_identity::Annotation;

/// The most that the values of a Secret may have together, in bytes (Kubernetes' `MaxSecretSize`).
const LARGEST_SECRET: usize = 1024 * 1024;

/// What is to be done. Printing it is the dry run.
pub struct Plan {
    /// What holds for each location once the plan has been carried out, in the order of the spec.
    pub locations: Vec<PlannedLocation>,
    /// How the bundle stands.
    pub standings: Standings,
    /// The change of the bundle, if there is one to make.
    pub write: Option<BundleWrite>,
    /// Why that is not made now, though it is to be made.
    pub held: Option<Held>,
    /// What is to be remembered of those who undo what is written.
    pub contested: Option<ContestedStatus>,
    /// The command that lets the operator see changes at once, if it cannot.
    pub unwatched: Option<String>,
    /// What is written without a proof.
    pub mode: Mode,
    /// The service accounts to annotate before the rest is looked at again.
    pub annotations: Vec<Annotation>,
    /// Whether the bundle is whichever a registry names: its blobs are where they were when it names another.
    pub follows_registry: bool,
    /// What is worth knowing of the Quay that reads the bundle, though nothing fails.
    pub notes: Vec<String>,
    /// That the registry does not read that bundle (yet).
    pub elsewhere: Option<Failure>,
}

/// A location in a plan.
pub struct PlannedLocation {
    /// Its name.
    pub name: String,
    /// What is known of its role and its storage.
    pub proof: ProofState,
    /// Who assumes its role, for people.
    pub principal: Option<String>,
    /// Where its blobs are to be, as `acceptPlace` spells it; none for a location that cannot be read.
    pub place: Option<String>,
    /// Another resource writes it.
    pub claimed: bool,
    /// What is to stand in the bundle, as a hash of what is no secret; none where that cannot be known.
    pub of: Option<String>,
}

/// How the bundle stands with respect to the intent, once the plan has been carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standings {
    /// Nobody looked.
    NotLooked,
    /// The bundle as a whole cannot be used.
    Unusable(Failure),
    /// Each location's entry, in the order of the spec.
    Each(Vec<Standing>),
}

/// How a location's entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It reads as intended.
    Current,
    /// It is left as it is, for this reason.
    Kept(Failure),
}

/// A change of the bundle Secret.
pub struct BundleWrite {
    /// The Secret's name.
    pub secret_name: String,
    /// The Secret's uid: another Secret of that name is another bundle.
    pub uid: String,
    /// The version that was observed. If it is no longer that, nothing is written.
    pub resource_version: String,
    /// The new value of `config.yaml`.
    pub config: SecretString,
    /// The names of the locations whose entries change or are new.
    pub locations: Vec<String>,
    /// The field manager that was the last to write the Secret's data, if that is not ours.
    pub last_writer: Option<String>,
    /// What else is written, where the Secret is an output.
    pub output: Option<OutputWrite>,
}

impl Plan {
    /// Whether something would be written but for what only an earlier process proved.
    pub fn needs_proof(&self) -> bool {
        let Standings::Each(each) = &self.standings else { return false };
        self.locations.iter().zip(each).any(|(location, standing)| {
            let is_kept = matches!(standing, Standing::Kept(failure) if failure.reason == Reason::NotProven);
            is_kept && matches!(location.proof, ProofState::Earlier(_))
        })
    }

    /// The plan for what was seen.
    pub fn make(desired: &Desired, seen: &Observation) -> Self {
        let locations: Vec<_> = desired
            .locations
            .iter()
            .zip(&seen.locations)
            .map(|(location, looked)| PlannedLocation {
                name: location.name.clone(),
                proof: match &location.wanted {
                    Ok(_) => looked.proof.clone(),
                    Err(invalid) => ProofState::Failed(Step::Principal, invalid.clone()),
                },
                place: location.wanted.as_ref().ok().map(|wanted| wanted.place().consent()),
                claimed: looked.claimed_by.is_some(),
                of: render::digest(desired, location, looked, seen.has_elder),
                principal: looked.principal.as_ref().ok().map(Principal::told),
            })
            .collect();
        let consumer = &desired.consumer;
        let (standings, write) = match (&consumer.hindrance, &seen.bundle) {
            (Some(hindrance), _) => (Standings::Unusable(hindrance.clone()), None),
            (None, ObservedBundle::NotLooked) => (Standings::NotLooked, None),
            (None, ObservedBundle::Unchanged(standings)) => (standings.clone(), None),
            (None, ObservedBundle::Output(both)) => match output::plan(desired, seen, both) {
                Err(failure) => (Standings::Unusable(failure), None),
                Ok((standings, write)) => (Standings::Each(standings), write),
            },
            (None, ObservedBundle::Read(bundle)) => match found(consumer, bundle)
                .and_then(|secret| editable(consumer, secret).map(|config| (secret, config)))
            {
                Err(failure) => (Standings::Unusable(failure), None),
                Ok((secret, config)) => match rendered(desired, seen, secret, config) {
                    Err(failure) => (Standings::Unusable(failure), None),
                    Ok(rendered) => {
                        let changed = rendered.changed;
                        let write = rendered.config.map(|config| BundleWrite {
                            secret_name: consumer.bundle.clone(),
                            uid: secret.uid.clone(),
                            resource_version: secret.resource_version.clone(),
                            config,
                            last_writer: secret.last_writer.clone(),
                            locations: changed.iter().map(|entry| entry.name.to_string()).collect(),
                            output: None,
                        });
                        (Standings::Each(rendered.standings), write)
                    }
                },
            },
        };
        let (held, contested) = contest::judge(&consumer.bundle, write.as_ref(), &locations, &seen.left);
        Self {
            locations,
            standings,
            write,
            held,
            contested,
            unwatched: seen.unwatched.clone(),
            mode: desired.mode,
            annotations: web_identity::annotations(desired, seen),
            follows_registry: consumer.registry.is_some(),
            notes: consumer.notes.clone(),
            elsewhere: consumer.elsewhere.clone(),
        }
    }
}

/// The Secret that a reference leads to, or why it leads to none.
fn found<'a, T>(consumer: &Consumer, secret: &'a Reference<T>) -> Result<&'a T, Failure> {
    let (name, field) = (&consumer.bundle, consumer.field());
    match secret {
        Reference::Found(secret) => Ok(secret),
        Reference::Missing => Err(Failure::new(
            Reason::BundleMissing,
            format!(
                "Secret {name} ({field}) does not exist in this namespace. Create it, or name there the Secret that holds the registry's config.yaml."
            ),
        )),
        Reference::Forbidden { grant } => Err(Failure::new(
            Reason::BundleForbidden,
            format!("The operator may not read Secret {name} ({field}). Grant it: {grant}"),
        )),
        Reference::Unreadable { why } => {
            Err(Failure::new(Reason::BundleUnreadable, format!("Secret {name} could not be read: {why}.")))
        }
    }
}

/// The bundle's `config.yaml`, or why there is none to edit.
fn editable<'a>(consumer: &Consumer, secret: &'a BundleSecret) -> Result<&'a [u8], Failure> {
    use secrecy::ExposeSecret;
    let (name, field) = (&consumer.bundle, consumer.field());
    if secret.deleting {
        return Err(Failure::new(
            Reason::BundleMissing,
            format!("Secret {name} ({field}) is being deleted, so nothing is written into it."),
        ));
    }
    if let Some(mark) = &secret.mark {
        let (name, owner) = (called(name, secret), mark.owner());
        return Err(Failure::new(
            Reason::OutputSecretRefused,
            format!(
                "{name} ({field}) is the output of {owner}, which would undo what is written there. Name the Secret that it is made from, or give the locations to {owner}; or, if it is no output any more, take its label {} off.",
                mark::LABEL
            ),
        ));
    }
    secret.config.as_ref().map(ExposeSecret::expose_secret).ok_or_else(|| {
        let name = called(name, secret);
        Failure::new(
            Reason::ConfigMissing,
            format!(
                "{name} has no key config.yaml. Put Quay's config.yaml there, as the config bundle of a QuayRegistry has it."
            ),
        )
    })
}

fn uneditable(message: String) -> Failure {
    Failure::new(Reason::BundleUneditable, message)
}

/// That no other key of a bundle sets what is ours.
fn overlaid(name: &str, secret: &BundleSecret) -> Result<(), Failure> {
    use secrecy::ExposeSecret as _;
    let name = called(name, secret);
    for (key, overlay) in &secret.overlays {
        if let Some(ours) = crate::bundle::key_of_ours(overlay.expose_secret()) {
            return Err(uneditable(format!(
                "{name}, key {key}: it sets {ours} too, and the Quay operator merges it over config.yaml, so that what is written there would not count. Remove {ours} from it. Nothing was changed."
            )));
        }
    }
    Ok(())
}

/// The bundle's new text, if it can be edited with certainty and stays a Secret that Kubernetes takes.
fn rendered(desired: &Desired, seen: &Observation, secret: &BundleSecret, config: &[u8]) -> Result<Rendered, Failure> {
    use secrecy::ExposeSecret as _;
    let name = called(&desired.consumer.bundle, secret);
    overlaid(&desired.consumer.bundle, secret)?;
    let rendered = render::render(desired, seen, secret, config)
        .map_err(|refusal| uneditable(format!("{name}: {refusal}. Nothing was changed.")))?;
    if let (Some(owner), true) = (&secret.owner, rendered.config.is_some()) {
        return Ok(rendered.held_back(&owner.refuses(&name)));
    }
    if secret.immutable && rendered.config.is_some() {
        return Err(Failure::new(
            Reason::BundleImmutable,
            format!(
                "{name} is immutable: Kubernetes refuses any change of it. Create a new Secret without `immutable: true` and name it in {}.",
                desired.consumer.field()
            ),
        ));
    }
    let size = rendered.config.as_ref().map_or(0, |config| config.expose_secret().len()) + secret.other_bytes;
    if size > LARGEST_SECRET {
        return Err(uneditable(format!(
            "{name} would have {size} bytes, and Kubernetes takes at most {LARGEST_SECRET}. Move what is large, such as extra_ca_cert_* bundles, elsewhere. Nothing was changed."
        )));
    }
    Ok(rendered)
}

/// What messages call a bundle.
fn called(name: &str, secret: &BundleSecret) -> String {
    secret.called.clone().unwrap_or_else(|| format!("Secret {name}"))
}

/// That a location would move: both places, and how to consent.
fn would_move(bundle: &BundleSecret, stands: &str, intended: &Place) -> Failure {
    let bundle = bundle.called.as_deref().unwrap_or("The bundle");
    Failure::new(
        Reason::WouldMoveData,
        format!(
            "{bundle} has this location {stands}; the spec puts it at {intended}. Quay finds its blobs by the location's name and would lose those that it has there. Copy them and set acceptPlace: {:?} on the location, or correct the spec.",
            intended.consent()
        ),
    )
}
