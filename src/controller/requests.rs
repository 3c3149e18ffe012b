//! What is asked of a resource by annotation, from when it is met until status echoes it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use kube::{Resource as _, ResourceExt as _};

use super::Stored;
use crate::api::QuayStorage;
use crate::api::status::QuayStorageStatus;
use crate::requests::Requests;

/// What of a resource wakes the controller: that it is another one, its spec, its end, and what is asked by annotation.
/// Nothing that the controller writes itself.
pub(super) fn asked_for(stored: &Stored) -> u64 {
    let mut hasher = DefaultHasher::new();
    let is_ending = stored.meta().deletion_timestamp.is_some();
    let meta = stored.meta();
    (&meta.uid, meta.generation, is_ending, Requests::of(stored.annotations())).hash(&mut hasher);
    hasher.finish()
}

/// The requests that are being answered.
#[derive(Default)]
pub(super) struct Answering {
    look: Option<String>,
    prove: Option<(String, Instant)>,
}

impl Answering {
    /// Takes up what is not echoed yet. Says whether a look at everything is asked for that is not under way yet.
    pub(super) fn take_up(&mut self, resource: &QuayStorage) -> bool {
        let Requests { look, prove, .. } = Requests::of(resource.annotations()).open(resource.status.as_ref());
        let is_new = look.is_some() && look != self.look;
        self.look = look;
        self.prove = prove.map(|prove| {
            let before = self.prove.take().filter(|(before, _)| *before == prove);
            before.unwrap_or_else(|| (prove, Instant::now()))
        });
        is_new
    }

    /// Since when a proof is asked for, if one is.
    pub(super) fn proof_since(&self) -> Option<Instant> {
        self.prove.as_ref().map(|(_, since)| *since)
    }

    /// The status after a look, which may have found that everything is proven or refused anew.
    pub(super) fn echoed(&self, status: QuayStorageStatus, is_proof_fresh: bool) -> QuayStorageStatus {
        let prove = self.prove.as_ref().filter(|_| is_proof_fresh).map(|(prove, _)| prove.clone());
        QuayStorageStatus {
            last_handled_reconcile_at: self.look.clone().or(status.last_handled_reconcile_at),
            last_handled_prove_at: prove.or(status.last_handled_prove_at),
            ..status
        }
    }
}
