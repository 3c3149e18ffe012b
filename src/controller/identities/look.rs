//! Looking: what AWS says of user, role and keys, and the cluster of the Secret, of those who use it, and of their bundles.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use kube::core::DeserializeGuard;
use secrecy::ExposeSecret as _;

use super::super::{Context, consumer};
use super::pass::HeldKey;
use crate::api::{QuayStorage, StorageIdentity};
use crate::aws::iam::Iam;
use crate::cluster::version::Version;
use crate::cluster::{ApiProblem, answered, key_secrets, secrets};
use crate::identity::answer::Unanswered;
use crate::identity::consumers::{Consumer, Standing, consumer as standing_of};
use crate::identity::desired::{Desired, Trusted};
use crate::identity::keys::LISTED_WITHIN;
use crate::identity::observed::{Asked, Held, Key, KeySecret, Keys, Observed};
use crate::reason::{Failure, Reason};

/// What was seen, and the version of the Secret that it was seen at.
pub(super) struct Looked {
    pub(super) observed: Observed,
    pub(super) secret: Option<Version>,
    /// Whether the Secret goes with its `StorageIdentity`.
    pub(super) is_owned: bool,
}

/// Looks at everything that the desired state is made of.
///
/// # Errors
/// Why it cannot be seen: nothing is done then.
pub(super) async fn look(
    context: &Context,
    iam: &Iam,
    (resource, desired): (&StorageIdentity, &Desired),
    held: Option<&HeldKey>,
    asked: &Asked,
) -> Result<Looked, Failure> {
    let told = |unanswered: Unanswered| unanswered.failure(desired, None);
    let role = iam.role(&desired.role).await.map_err(told)?;
    let mut looked = Looked {
        observed: Observed { user: None, role, keys: None, has_provider: None },
        secret: None,
        is_owned: false,
    };
    match &desired.trusted {
        Trusted::WebIdentity { provider, audience, .. } => {
            looked.observed.has_provider = iam.has_provider(provider, audience).await.map_err(told)?;
        }
        Trusted::User { user, secret, .. } => {
            looked.observed.user = iam.user(user).await.map_err(told)?;
            let listed = match &looked.observed.user {
                Some(_) => {
                    let unknown = |unanswered: &Unanswered| unanswered.failure(desired, None);
                    iam.keys(&user.name, unknown).await.map_err(told)?
                }
                None => Vec::new(),
            };
            let (held_there, version, is_owned) = key_secret(context, resource, secret).await?;
            (looked.secret, looked.is_owned) = (version, is_owned);
            let keys = of_keys(context, resource, (listed, held_there), (secret, looked.secret.as_ref()), held).await?;
            looked.observed.keys = Some(Keys { asked: asked.clone(), ..keys });
        }
    }
    Ok(looked)
}

async fn key_secret(
    context: &Context,
    resource: &StorageIdentity,
    name: &str,
) -> Result<(KeySecret, Option<Version>, bool), Failure> {
    let namespace = resource.namespace().unwrap_or_default();
    let unusable = |reason, message| Ok((KeySecret::Unusable(Failure::new(reason, message)), None, false));
    let secret = match key_secrets::read(&context.client, &namespace, name).await {
        Ok(secret) => secret,
        Err(ApiProblem::NotFound) => return Ok((KeySecret::Absent, Some(Version::Absent), false)),
        Err(ApiProblem::Forbidden) => {
            let grant = context.grants.key(&namespace).await;
            return unusable(
                Reason::KeySecretUnwritable,
                format!(
                    "The operator may not read Secret {name}, into which it is to put the access key. Grant it: {grant}"
                ),
            );
        }
        Err(problem) => {
            return Err(Failure::new(
                Reason::KeySecretUnreadable,
                format!("Secret {name} could not be read: {problem}. It is tried again."),
            ));
        }
    };
    if secret.owner.as_deref() != resource.metadata.name.as_deref() {
        return unusable(
            Reason::KeySecretTaken,
            format!(
                "Secret {name}, into which the access key is to be put, exists and was not made for this StorageIdentity (annotation {}). It was left as it is. Give another secretName, or delete it.",
                key_secrets::OWNER
            ),
        );
    }
    if secret.is_immutable || secret.is_deleting {
        let why = if secret.is_immutable { "immutable" } else { "being deleted" };
        return unusable(Reason::KeySecretTaken, format!("Secret {name} is {why}: delete it, and it is made anew."));
    }
    Ok((KeySecret::Holds(secret.key), Some(secret.version), secret.is_owned))
}

async fn of_keys(
    context: &Context,
    resource: &StorageIdentity,
    (listed, secret): (Vec<Key>, KeySecret),
    (name, version): (&str, Option<&Version>),
    held: Option<&HeldKey>,
) -> Result<Keys, Failure> {
    let namespace = resource.namespace().unwrap_or_default();
    let of_namespace = storages(context, &namespace).await?;
    let version = version.map_or_else(String::new, |at| format!("{}/{}", at.uid(), at.resource_version()));
    let standing = |one: &QuayStorage| standing_of(one, &resource.name_any(), (name, &version));
    let mut consumers: Vec<Consumer> = of_namespace.known.iter().filter_map(standing).collect();
    consumers.extend(of_namespace.unknown.iter().map(|name| Consumer {
        name: name.clone(),
        standing: Standing::Unknown("it is none as this version of the operator knows them".into()),
    }));
    // Whether a bundle has a key matters where there is one that may have to go.
    let is_one = matches!((&secret, listed.as_slice()), (KeySecret::Holds(Some(id)), [key]) if key.id == *id);
    let bundles = if is_one || listed.is_empty() {
        Bundles::default()
    } else {
        Bundles::read(context, &namespace, &of_namespace.known, &listed).await
    };
    let unread = bundles
        .unread
        .iter()
        .map(|(storage, why)| Consumer { name: storage.clone(), standing: Standing::Unknown(why.clone()) });
    consumers.extend(unread);
    let is_bundle_unread = !bundles.unread.is_empty() || !of_namespace.unknown.is_empty();
    let held = held.map(HeldKey::seen);
    let (in_bundles, asked) = (bundles.with, Asked::default());
    Ok(Keys { listed, secret, held, in_bundles, is_bundle_unread, consumers, asked })
}

/// The `QuayStorages` of a namespace as they are at this moment: what a watch has told may be older than what is decided.
pub(super) struct Storages {
    pub(super) known: Vec<QuayStorage>,
    /// The names of those that cannot be decoded.
    pub(super) unknown: Vec<String>,
}

pub(super) async fn storages(context: &Context, namespace: &str) -> Result<Storages, Failure> {
    let api: Api<DeserializeGuard<QuayStorage>> = Api::namespaced(context.client.clone(), namespace);
    let listed = answered(api.list(&ListParams::default())).await.map_err(|problem| {
        let message = format!(
            "Who uses this StorageIdentity cannot be seen: the QuayStorages of namespace {namespace} could not be listed: {problem}. Nothing is done before. It is tried again."
        );
        Failure::new(Reason::ProgressingWithRetry, message)
    })?;
    let mut storages = Storages { known: Vec::new(), unknown: Vec::new() };
    for stored in listed.items {
        let name = stored.name_any();
        match stored.0 {
            Ok(storage) => storages.known.push(storage),
            Err(_) => storages.unknown.push(name),
        }
    }
    Ok(storages)
}

/// Which bundles of a namespace have which keys.
#[derive(Default)]
pub(super) struct Bundles {
    pub(super) with: BTreeMap<String, BTreeSet<String>>,
    /// Of which nobody can say: whose they are, and why.
    pub(super) unread: Vec<(String, String)>,
}

impl Bundles {
    pub(super) async fn read(context: &Context, namespace: &str, storages: &[QuayStorage], keys: &[Key]) -> Self {
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        for storage in storages {
            let written = storage.status.as_ref().and_then(|status| status.config_bundle.as_ref());
            let each = [
                storage.spec.config_bundle_secret.clone(),
                storage.spec.output_secret.clone(),
                written.map(|written| written.secret_name.clone()),
                consumer::bundle_of(context, namespace, storage),
            ];
            named.extend(each.into_iter().flatten().map(|bundle| (bundle, storage.name_any())));
        }
        let mut bundles = Self::default();
        for (bundle, storage) in named {
            match secrets::read_whole(&context.client, namespace, &bundle).await {
                Ok(read) => {
                    let has = |id: &str| {
                        let in_value = |value: &[u8]| value.windows(id.len()).any(|window| window == id.as_bytes());
                        read.content.data.values().any(|value| in_value(value.expose_secret()))
                    };
                    for key in keys.iter().filter(|key| has(&key.id)) {
                        bundles.with.entry(key.id.clone()).or_default().insert(bundle.clone());
                    }
                }
                Err(ApiProblem::NotFound) => {}
                Err(problem) => {
                    let why = format!("its bundle, Secret {bundle}, could not be read ({problem})");
                    bundles.unread.push((storage, why));
                }
            }
        }
        bundles
    }
}

impl HeldKey {
    /// Whether somebody deleted it: IAM lists a new key long before.
    pub(super) fn is_gone(&self, observed: &Observed) -> bool {
        let is_listed = |keys: &Keys| keys.listed.iter().any(|key| key.id == self.key.id());
        self.since.elapsed() > LISTED_WITHIN && !observed.keys.as_ref().is_some_and(is_listed)
    }

    fn seen(&self) -> Held {
        let (is_proven_once, is_proven) = (self.proving.is_enough(true), self.proving.is_enough(false));
        Held { id: self.key.id().to_owned(), is_proven_once, is_proven }
    }
}
