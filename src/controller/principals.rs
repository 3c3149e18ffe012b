//! Who assumes the roles: the keys in Secrets and the service accounts, read when they may have changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Context;
use super::memory::{AccountReading, Memory};
use crate::api::quay_storage::Mode;
use crate::cluster::secret_watches::Before;
use crate::cluster::secrets::KeyReading;
use crate::cluster::version::Version;
use crate::cluster::{accounts, secrets};
use crate::plan::desired::{Auth, Desired, DesiredLocation, Wanted, WebIdentity};
use crate::plan::web_identity::{AccountSeen, PodIdentity};
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;
use crate::target::{Principal, Target};
use crate::verdict::Step;

/// How long it is waited for what another resource reads.
const SHARED_WAIT: Duration = Duration::from_secs(1);
/// A service account that is good is looked at again after this share of the interval, shortly before its role is
/// proven again; no watch tells of it.
const ACCOUNT_AGE: f64 = 0.85;

/// What is written is written by an account that was seen not longer ago than this.
const ACCOUNT_IS_FRESH: Duration = Duration::from_secs(10);

/// What is known of who assumes a location's role.
pub(super) struct Known {
    /// Who is to assume it.
    pub(super) principal: Result<Principal, Failure>,
    /// What is to be proven, or the step at which that ends.
    pub(super) target: Result<Target, (Step, Failure)>,
    /// The service account, where one was looked at.
    pub(super) account: Option<AccountSeen>,
    /// The version of what that was read from, if it is known.
    pub(super) version: Option<Version>,
    /// It may change without a watch that tells.
    pub(super) is_unwatched: bool,
    /// When it is to be looked at again though nothing told of a change.
    pub(super) look_again: Option<Duration>,
}

impl Known {
    fn nobody(failure: &Failure) -> Self {
        Self {
            principal: Err(failure.clone()),
            target: Err((Step::Principal, failure.clone())),
            account: None,
            version: None,
            is_unwatched: false,
            look_again: None,
        }
    }
}

/// Reads what may have changed; each once, however many locations share it.
pub(super) async fn read(context: &Context, who: &ResourceId, desired: &Desired, memory: &mut Memory) {
    read_keys(context, who, desired, memory).await;
    read_accounts(context, who, desired, memory).await;
    read_certificates(context, who, desired, memory).await;
}

/// What is known of who assumes a location's role.
pub(super) fn of(who: &ResourceId, desired: &Desired, location: &DesiredLocation, memory: &Memory) -> Known {
    let wanted = match &location.wanted {
        Ok(wanted) => wanted,
        Err(failure) => return Known::nobody(failure),
    };
    let mut known = of_wanted(who, desired, wanted, memory);
    if let (Ok(target), true) = (&mut known.target, wanted.needs_certificates()) {
        target.certificates = memory.certificates.as_ref().and_then(|(_, certificates)| certificates.clone());
    }
    known
}

fn of_wanted(who: &ResourceId, desired: &Desired, wanted: &Wanted, memory: &Memory) -> Known {
    match &wanted.auth {
        Auth::AccessKey { secret, role, sts } => {
            let Some(reading) = memory.keys.get(secret) else {
                return Known::nobody(&Failure::new(
                    Reason::KeySecretUnreadable,
                    format!("Secret {secret} was not read."),
                ));
            };
            let target = wanted.assumed_with(&reading.key, role, sts, &desired.consumer);
            Known {
                principal: reading.key.clone().map(Principal::Key),
                target,
                account: None,
                version: reading.version.clone(),
                is_unwatched: reading.version.is_none(),
                look_again: None,
            }
        }
        Auth::WebIdentity(identity) => of_account(who, desired, wanted, identity, memory),
    }
}

fn of_account(who: &ResourceId, desired: &Desired, wanted: &Wanted, identity: &WebIdentity, memory: &Memory) -> Known {
    if desired.mode == Mode::Skip {
        // Nobody asks, and nothing of the account stands in the bundle.
        let principal = Principal::unseen(&who.namespace, identity);
        let failure = Failure::new(Reason::AccountUnusable, "The service account is not looked at (mode Skip).");
        let target = Err((Step::Principal, failure));
        let version = Some(Version::Absent);
        return Known {
            principal: Ok(principal),
            target,
            account: None,
            version,
            is_unwatched: false,
            look_again: None,
        };
    }
    let Some(reading) = memory.accounts.get(&identity.account) else {
        let failure = format!("Service account {} was not read.", identity.account);
        return Known { is_unwatched: true, ..Known::nobody(&Failure::new(Reason::AccountUnusable, failure)) };
    };
    let account = reading.seen.as_ref().ok().cloned();
    let pod = match &reading.seen {
        Ok(seen) => PodIdentity::of(identity, &who.namespace, seen),
        Err(failure) => Err(failure.clone()),
    };
    let pod = match pod {
        Ok(pod) => pod,
        Err(failure) => return Known { account, is_unwatched: true, ..Known::nobody(&failure) },
    };
    let principal = Principal::Account(pod.account.clone());
    let target = wanted.assumed_by(&pod, &desired.consumer);
    // What counts of the account is what is proven: another annotation is another version.
    let version = Version::At { uid: pod.account.uid, resource_version: pod.role.to_string() };
    let look_again = desired.interval.mul_f64(ACCOUNT_AGE).saturating_sub(reading.at.elapsed());
    Known {
        principal: Ok(principal),
        target,
        account,
        version: Some(version),
        is_unwatched: false,
        look_again: Some(look_again),
    }
}

/// Forgets accounts that were seen long ago, before something is written that depends on them; whether there are any.
pub(super) fn forget_old_accounts(memory: &mut Memory) -> bool {
    let known = memory.accounts.len();
    memory.accounts.retain(|_, reading| reading.at.elapsed() < ACCOUNT_IS_FRESH);
    memory.accounts.len() < known
}

async fn read_accounts(context: &Context, who: &ResourceId, desired: &Desired, memory: &mut Memory) {
    let wanted: Vec<&WebIdentity> = desired
        .locations
        .iter()
        .filter_map(|location| match &location.wanted.as_ref().ok()?.auth {
            Auth::WebIdentity(identity) if desired.mode != Mode::Skip => Some(identity),
            Auth::WebIdentity(_) | Auth::AccessKey { .. } => None,
        })
        .collect();
    memory.accounts.retain(|name, _| wanted.iter().any(|identity| identity.account == *name));
    for identity in wanted {
        let is_good = memory.accounts.get(&identity.account).is_some_and(|reading| {
            let seen = reading.seen.as_ref();
            reading.at.elapsed() < desired.interval.mul_f64(ACCOUNT_AGE)
                && seen.is_ok_and(|seen| PodIdentity::of(identity, &who.namespace, seen).is_ok())
        });
        let just_read = memory.accounts.get(&identity.account).is_some_and(|r| r.at.elapsed() < Duration::from_secs(1));
        if !is_good && !just_read {
            let (namespace, name) = (&who.namespace, &identity.account);
            let seen = accounts::seen(&context.client, &context.grants, namespace, name).await;
            let is_silence = matches!(&seen, Err(failure) if failure.reason == Reason::AccountUnanswered);
            let known = memory.accounts.get(name).is_some_and(|reading| reading.seen.is_ok());
            // That the API server is silent says nothing against what was seen.
            if !(is_silence && known) {
                memory.accounts.insert(name.clone(), AccountReading { at: Instant::now(), seen });
            }
        }
    }
}

/// Reads the key Secrets that may have changed; each once, however many locations share it.
async fn read_keys(context: &Context, who: &ResourceId, desired: &Desired, memory: &mut Memory) {
    let wanted: BTreeSet<&String> =
        desired.locations.iter().filter_map(|location| location.wanted.as_ref().ok()?.key_secret()).collect();
    memory.keys.retain(|name, _| wanted.contains(name));
    for name in wanted {
        let known = context.secrets.version(&who.namespace, name);
        let unchanged = known.is_some() && memory.keys.get(name).is_some_and(|reading| reading.version == known);
        if !unchanged {
            let reading = read_key(context, who, desired, name, memory.is_anew).await;
            memory.keys.insert(name.clone(), reading);
        }
    }
}

/// Reads a key Secret, unless another resource has read it as it stands.
async fn read_key(
    context: &Context,
    who: &ResourceId,
    desired: &Desired,
    name: &str,
    is_anew: bool,
) -> Arc<KeyReading> {
    let slot = context.keys.slot(&who.namespace, name);
    // Where changes are not seen nothing is shared, and an API server that is silent keeps each for itself.
    let mut shared = if context.secrets.is_seen(&who.namespace) {
        tokio::time::timeout(SHARED_WAIT, slot.lock()).await.ok()
    } else {
        None
    };
    let known = context.secrets.version(&who.namespace, name);
    let others = shared.as_ref().and_then(|shared| shared.upgrade());
    if let Some(reading) = others.filter(|reading| known.is_some() && reading.version == known && !is_anew) {
        return reading;
    }
    let before = context.secrets.before_request(&who.namespace, name);
    let (client, grants) = (&context.client, &context.grants);
    let reading = secrets::read_key(client, grants, &desired.consumer, &who.namespace, name).await;
    note(context, who, name, &before, reading.version.as_ref());
    let reading = Arc::new(reading);
    // Why there is none is told to each in its own words.
    if let Some(shared) = &mut shared {
        **shared = if reading.key.is_ok() { Arc::downgrade(&reading) } else { Weak::new() };
    }
    reading
}

/// Reads the certificates in the bundle where a location's endpoint may have one of theirs.
async fn read_certificates(context: &Context, who: &ResourceId, desired: &Desired, memory: &mut Memory) {
    let needed = |location: &DesiredLocation| location.wanted.as_ref().is_ok_and(Wanted::needs_certificates);
    if !desired.locations.iter().any(needed) {
        memory.certificates = None;
        return;
    }
    let bundle = desired.consumer.read_from();
    let known = context.secrets.version(&who.namespace, bundle);
    if known.is_some() && memory.certificates.as_ref().map(|(version, _)| version) == known.as_ref() {
        return;
    }
    let before = context.secrets.before_request(&who.namespace, bundle);
    // That it cannot be read is said where it is planned with.
    let read = secrets::read_bundle(&context.client, &who.namespace, bundle).await.ok();
    note(context, who, bundle, &before, read.as_ref().map(|read| &read.version));
    memory.certificates = read.map(|read| (read.version, read.content.certificates));
}

pub(super) fn note(context: &Context, who: &ResourceId, secret: &str, before: &Before, read: Option<&Version>) {
    match read {
        Some(version) => context.secrets.saw(&who.namespace, secret, before, version),
        None => context.secrets.lost(&who.namespace, secret),
    }
}
