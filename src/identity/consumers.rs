//! Whether those who use a key have the one that is in the Secret.

use crate::api::QuayStorage;
use crate::api::auth::Auth;
use crate::api::quay_storage::Mode;

/// A `QuayStorage` that uses the key in the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// Which key it has.
    pub standing: Standing,
}

/// Which key a consumer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The one in the Secret: proven, in its bundle, and Quay runs it.
    Current,
    /// Not that yet, and why.
    Behind(String),
    /// It is in its bundle, and Quay does not run that: why.
    NotRunning(String),
    /// Nobody can say whether Quay runs it, and why.
    Unknown(String),
}

/// Whether a resource refers to an identity, or uses the Secret that its key is in.
pub fn refers(resource: &QuayStorage, identity: &str, secret: Option<&str>) -> bool {
    locations(resource, identity, secret).next().is_some()
}

fn locations<'a>(
    resource: &'a QuayStorage,
    identity: &'a str,
    secret: Option<&'a str>,
) -> impl Iterator<Item = &'a str> {
    let refers = move |auth: &Auth| {
        let uses = auth.access_key.as_ref().is_some_and(|key| Some(key.secret_ref.name.as_str()) == secret);
        uses || auth.identity_ref.as_ref().is_some_and(|of| of.name == identity)
    };
    resource.spec.locations.iter().filter(move |location| refers(&location.auth)).map(|location| location.name.as_str())
}

/// How a resource stands to the Secret as it is now: its name, and uid and resourceVersion as a proof names them. None if it
/// uses neither the identity nor the Secret.
pub fn consumer(resource: &QuayStorage, identity: &str, (name, secret): (&str, &str)) -> Option<Consumer> {
    let names: Vec<&str> = locations(resource, identity, Some(name)).collect();
    if names.is_empty() {
        return None;
    }
    let name = resource.metadata.name.clone().unwrap_or_default();
    Some(Consumer { standing: standing(resource, &names, secret), name })
}

fn standing(resource: &QuayStorage, locations: &[&str], secret: &str) -> Standing {
    let behind = |why: String| Standing::Behind(why);
    if resource.spec.suspend {
        return behind("it is suspended (spec.suspend)".into());
    }
    let Some(status) = resource.status.as_ref().filter(|s| s.observed_generation == resource.metadata.generation)
    else {
        return behind("it has not been looked at yet".into());
    };
    if resource.spec.verification.mode == Mode::Skip {
        return Standing::Unknown("nobody proves what it writes (verification.mode Skip)".into());
    }
    let condition = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
    for name in locations {
        let row = status.locations.iter().find(|location| location.name == *name);
        let is_of = |of: &str| of.strip_prefix(secret).is_some_and(|rest| rest.starts_with('/'));
        let is_proven =
            row.is_some_and(|row| row.proven == "True" && row.proof.as_ref().is_some_and(|proof| is_of(&proof.of)));
        if !is_proven {
            let reason = row.map_or("it is not known yet", |row| row.reason.as_str());
            return behind(format!("location {name} is not proven with the key in the Secret ({reason})"));
        }
    }
    match condition("BundleCurrent") {
        Some(current) if current.status == "True" => {}
        Some(current) => return behind(format!("its bundle does not have the key yet ({})", current.reason)),
        None => return behind("its bundle does not have the key yet".into()),
    }
    match condition("ConsumerCurrent") {
        Some(runs) if runs.status == "True" => Standing::Current,
        Some(runs) if runs.status == "False" => {
            Standing::NotRunning(format!("Quay does not run its bundle yet ({})", runs.reason))
        }
        Some(runs) => Standing::Unknown(format!("it is not known whether Quay runs its bundle ({})", runs.reason)),
        None => Standing::Unknown("it does not say what runs Quay (registryRef, or restart)".into()),
    }
}
