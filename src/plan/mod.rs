//! PURE: what is desired and what was seen, turned into what is to be done.

mod allowed;
pub mod approval;
mod assuming;
pub mod backup;
pub mod claim;
pub mod contest;
pub mod desired;
pub mod identities;
mod in_place;
pub mod key;
pub mod mark;
pub mod observation;
pub mod output;
pub mod owner;
mod print;
mod render;
pub mod restorable;
pub mod restore;
pub mod source;
pub mod web_identity;

use secrecy::{SecretSlice, SecretString};

pub use approval::Approval;
pub use backup::Keep;
pub use contest::{Held, Left};
pub use desired::Desired;
pub use observation::{Observation, ProofState};
pub use restorable::Restorable;
pub use source::Source;

use crate::api::quay_storage::Mode;
use crate::api::status::{ContestedStatus, PendingStatus};
use crate::reason::{Failure, Reason};
use crate::target::Principal;
use crate::verdict::Step;
use contest::Judgement;
use observation::ObservedBundle;
use output::OutputWrite;
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
    /// The change that waits for somebody to approve of it, as status shows it.
    pub pending: Option<PendingStatus>,
    /// What could be put back when the resource is deleted; none where nothing is to be.
    pub restorable: Option<Restorable>,
    /// The write would put right what somebody undid.
    pub undone: bool,
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
    /// What stands in `config.yaml`; of an output that is to be created, in its source's.
    pub before: SecretSlice<u8>,
    /// The new value of `config.yaml`.
    pub config: SecretString,
    /// The names of the locations whose entries change or are new.
    pub locations: Vec<String>,
    /// The field manager that was the last to write the Secret's data, if that is not ours.
    pub last_writer: Option<String>,
    /// What is to be kept before, where the resource has a backup.
    pub keep: Option<Keep>,
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
            (None, ObservedBundle::Read(bundle)) => match in_place::plan(desired, seen, bundle) {
                Err(failure) => (Standings::Unusable(failure), None),
                Ok((standings, write)) => (Standings::Each(standings), write),
            },
        };
        let Judgement { held, contested, undone } =
            contest::judge(&consumer.bundle, write.as_ref(), &locations, &seen.left);
        let asked = write.as_ref().filter(|_| held.is_none());
        let asked =
            asked.and_then(|write| approval::judge(desired.apply, &seen.approval, write, (&locations, &seen.left)));
        let (pending, held) = asked.map_or((None, held), |(pending, held)| (Some(pending), Some(held)));
        let restorable = seen.backup.as_ref().map(|(owner, backup)| {
            restorable::judge((owner, desired), backup, &standings, (write.as_ref(), held.is_some()))
        });
        Self {
            locations,
            standings,
            write,
            held,
            pending,
            restorable,
            undone,
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
