//! Whether a process is one of several, and which lease decides among them.

use kube::{Client, Config};

use super::Problem;
use crate::cluster::fenced;
use crate::leadership::{Candidate, Election, Fence, Terms};

/// Flags of who takes part in the election of a leader.
#[derive(clap::Args)]
pub(super) struct LeaderElection {
    /// Act without being elected: only where no other process of the operator works in the same namespaces.
    #[arg(long = "no-leader-election")]
    acts_alone: bool,

    /// The Lease that decides which of several processes acts.
    #[arg(long, value_name = "NAME", default_value = "registry-sts")]
    lease_name: String,

    /// The namespace of that Lease [default: the operator's own].
    #[arg(long, value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
}

/// What a process works with: a fenced client, the fence, and the election that opens it, if there is one.
pub(super) struct Membership {
    pub(super) client: Client,
    pub(super) fence: Fence,
    pub(super) election: Option<Election>,
}

impl LeaderElection {
    /// Nobody is asked yet.
    pub(super) fn join(&self, config: Config) -> Result<Membership, Problem> {
        if self.acts_alone {
            let (fence, client) = (Fence::open(), Client::try_from(config)?);
            return Ok(Membership { client, fence, election: None });
        }
        let fence = Fence::closed();
        let candidate = Candidate {
            namespace: self.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone()),
            name: self.lease_name.clone(),
            me: me(),
            terms: Terms::default(),
            client: Client::try_from(config.clone())?,
        };
        let client = fenced::client(config, fence.clone())?;
        let election = Some(Election::new(candidate, fence.clone()));
        Ok(Membership { client, fence, election })
    }
}

/// The pod, and which start of it: the same pod may come again before its lease of before has expired.
fn me() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "registry-sts".into());
    format!("{host}_{:016x}", fastrand::u64(..))
}
