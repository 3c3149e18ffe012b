//! One location's row of status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Row, whole_seconds};
use crate::api::status::{LocationStatus, ProofStatus};
use crate::plan::ProofState;
use crate::plan::observation::Proof;
use crate::reason::{Failure, Reason};

/// The rows that are there, where nothing can be known now.
pub(super) fn unknown(failure: &Failure, before: &[LocationStatus]) -> Vec<LocationStatus> {
    let reason = failure.reason.as_str().to_owned();
    let row = |row: &LocationStatus| LocationStatus {
        proven: "Unknown".into(),
        reason: reason.clone(),
        message: String::new(),
        // What was refused since is not proven by what was before, also once it is known again.
        proof: row.proof.clone().filter(|_| row.proven != "False"),
        ..row.clone()
    };
    before.iter().map(row).collect()
}

/// The row, given the rows that are there: the last proof that succeeded stays.
pub(super) fn of(row: &Row<'_>, before: &[LocationStatus]) -> LocationStatus {
    let last_proof = || before.iter().find(|l| l.name == row.name).and_then(|l| l.proof.clone());
    let proof_status = |proof: &Proof| Some(ProofStatus { time: Time(whole_seconds(proof.at)), of: proof.of.clone() });
    let (proven, reason, message, proof) = match row.proof {
        ProofState::Pending => ("Unknown", Reason::ProofPending, String::new(), last_proof()),
        ProofState::Skipped => ("Unknown", Reason::WrittenUnproven, String::new(), last_proof()),
        ProofState::Failed(_, failure) if failure.reason == Reason::StsEndpointUnknown => {
            ("Unknown", failure.reason, failure.message.clone(), last_proof())
        }
        ProofState::Failed(_, failure) => ("False", failure.reason, failure.message.clone(), last_proof()),
        ProofState::Stale(proof, failure) => ("True", Reason::ProofStale, failure.message.clone(), proof_status(proof)),
        ProofState::Proven(proof) | ProofState::Earlier(proof) => match row.standing {
            // Proven, yet not in the bundle: say why here, where people look for it.
            Err(failure) => ("True", failure.reason, failure.message.clone(), proof_status(proof)),
            Ok(_) => ("True", Reason::StorageWorks, String::new(), proof_status(proof)),
        },
    };
    LocationStatus {
        name: row.name.into(),
        proven: proven.into(),
        reason: reason.as_str().into(),
        message,
        principal: row.principal.map(str::to_owned),
        proof,
    }
}
