//! What happens to Secrets from a moment on. They are never listed: a list of one says which moment it is, and a watch
//! tells what comes after. However many Secrets other people have, and however large, nobody waits for them.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use futures::{Stream, TryStreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::Deserialize;

use super::Scope;
use crate::cluster::version::Version;
use crate::cluster::{ApiProblem, DOUBT, answered};

/// The API server ends a watch after so long, and it is taken up again.
const WATCHED_FOR: Duration = Duration::from_secs(290);
/// A watch of which nothing is heard for longer than it may last is on a connection that is gone.
const SILENCE: Duration = Duration::from_secs(310);
/// A watch that lasted this long did not fail.
const LASTING: Duration = Duration::from_secs(5);
/// What fails is tried again after this; each later time after twice the time before.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// No retry waits longer.
const LAST_RETRY: Duration = Duration::from_secs(15);

/// What has failed so often in a row is told, and a watch that cannot be taken up where it ended is begun anew.
const LASTING_FAILURE: u32 = 5;

/// What a watch has to say.
pub(super) enum Change {
    /// From here on every change is told. What happened before is not known.
    Begins,
    /// The API server does not say what happens.
    Unanswered,
    /// A Secret is at a version now.
    Is {
        /// Where it is.
        namespace: String,
        /// Its name.
        name: String,
        /// The version; absent if it is gone.
        version: Version,
    },
}

/// Of a Secret's metadata what we go by. Annotations may hold all of the Secret once more: they are skipped as they come.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Told")]
struct SecretMeta {
    metadata: ObjectMeta,
}

#[derive(Deserialize)]
struct Told {
    metadata: Kept,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl From<Told> for SecretMeta {
    fn from(Told { metadata: Kept { namespace, name, uid, resource_version } }: Told) -> Self {
        Self { metadata: ObjectMeta { namespace, name, uid, resource_version, ..ObjectMeta::default() } }
    }
}

impl Resource for SecretMeta {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Secret".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "secrets".into()
    }

    fn metadata_api() -> bool {
        true
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Follows the Secrets of a scope until the API server refuses to tell of them.
pub(super) async fn until_refused(client: &Client, scope: &Scope, mut take: impl FnMut(Change)) {
    let secrets: Api<SecretMeta> = match scope {
        Scope::Everywhere => Api::all(client.clone()),
        Scope::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
    };
    let mut since: Option<String> = None;
    let (mut failures, mut was_let_in) = (0, false);
    loop {
        let began = Instant::now();
        let ended = match since.take() {
            None => match now(&secrets).await {
                Ok(version) => {
                    was_let_in = true;
                    take(Change::Begins);
                    since = Some(version);
                    continue;
                }
                Err(problem) => {
                    take(Change::Unanswered);
                    Ended { is_refused: false, problem: Some(problem), since: None }
                }
            },
            Some(version) => watch(&secrets, version, &mut take).await,
        };
        since = ended.since;
        if let Some(problem) = ended.problem {
            tracing::debug!(%problem, "Secrets cannot be watched");
            if problem == ApiProblem::Forbidden {
                if !std::mem::take(&mut was_let_in) {
                    return;
                }
                tokio::time::sleep(DOUBT).await;
                continue;
            }
        }
        was_let_in |= began.elapsed() >= LASTING;
        failures = if began.elapsed() >= LASTING { 0 } else { failures + 1 };
        if failures > 0 && failures % LASTING_FAILURE == 0 && ended.is_refused {
            tracing::warn!(namespace = scope.namespace(), failures, "Secrets cannot be watched; they are read instead");
            since = None;
        }
        tokio::time::sleep(pause(failures)).await;
    }
}

/// How long to wait after so many failures in a row.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_RETRY.saturating_mul(1 << failures.min(16)).min(LAST_RETRY);
    if failures == 0 { Duration::ZERO } else { longest.mul_f64(0.5 + 0.5 * fastrand::f64()) }
}

/// At which version the collection is.
async fn now(secrets: &Api<SecretMeta>) -> Result<String, ApiProblem> {
    let one = answered(secrets.list(&ListParams::default().limit(1))).await?;
    one.metadata.resource_version.filter(|version| !version.is_empty()).ok_or(ApiProblem::Unreachable)
}

/// How a watch has ended, and from where it can be taken up again; nowhere, if what happened since is not kept.
struct Ended {
    problem: Option<ApiProblem>,
    /// The API server answered, and not with a watch.
    is_refused: bool,
    since: Option<String>,
}

async fn watch(secrets: &Api<SecretMeta>, mut version: String, take: &mut impl FnMut(Change)) -> Ended {
    let params = WatchParams::default().timeout(u32::try_from(WATCHED_FOR.as_secs()).unwrap_or(u32::MAX));
    let mut events = match answered(secrets.watch(&params, &version)).await {
        Ok(events) => std::pin::pin!(events),
        Err(problem) => return Ended::by(problem, version),
    };
    loop {
        match next(&mut events).await {
            Ok(Some(WatchEvent::Added(secret) | WatchEvent::Modified(secret))) => {
                version = secret.metadata.resource_version.clone().unwrap_or(version);
                let told = Version::of(&secret.metadata);
                take(secret.is(told));
            }
            Ok(Some(WatchEvent::Deleted(secret))) => {
                version = secret.metadata.resource_version.clone().unwrap_or(version);
                take(secret.is(Version::Absent));
            }
            Ok(Some(WatchEvent::Bookmark(mark))) => version = mark.metadata.resource_version,
            Ok(Some(WatchEvent::Error(status))) => {
                return Ended::by(ApiProblem::from(&kube::Error::Api(status)), version);
            }
            Ok(None) => return Ended { problem: None, is_refused: false, since: Some(version) },
            Err(problem) => return Ended::by(problem, version),
        }
    }
}

async fn next<S>(events: &mut S) -> Result<Option<WatchEvent<SecretMeta>>, ApiProblem>
where
    S: Stream<Item = kube::Result<WatchEvent<SecretMeta>>> + Unpin,
{
    match tokio::time::timeout(SILENCE, events.try_next()).await {
        Ok(told) => told.map_err(|error| ApiProblem::from(&error)),
        Err(_) => Err(ApiProblem::Unreachable),
    }
}

impl Ended {
    fn by(problem: ApiProblem, version: String) -> Self {
        // 410 Gone: too much happened since.
        let is_gone = matches!(problem, ApiProblem::Refused { code: 410, .. });
        let is_refused = matches!(problem, ApiProblem::Refused { .. });
        Self { problem: Some(problem), is_refused, since: (!is_gone).then_some(version) }
    }
}

impl SecretMeta {
    fn is(self, version: Version) -> Change {
        let ObjectMeta { namespace, name, .. } = self.metadata;
        Change::Is { namespace: namespace.unwrap_or_default(), name: name.unwrap_or_default(), version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_secret_nothing_is_kept_but_where_it_is_and_at_which_version() {
        let told = r#"{"type":"MODIFIED","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":
            {"name":"key","namespace":"quay","uid":"u","resourceVersion":"7","annotations":{"last-applied":"all of it"},
            "managedFields":[{"manager":"kubectl"}]}}}"#;
        let WatchEvent::Modified(secret) = serde_json::from_str::<WatchEvent<SecretMeta>>(told).unwrap() else {
            panic!("{told}")
        };
        assert_eq!(secret.metadata.annotations, None);
        assert_eq!(secret.metadata.managed_fields, None);
        let version = Version::of(&secret.metadata);
        let Change::Is { namespace, name, version: Version::At { uid, resource_version } } = secret.is(version) else {
            panic!("{told}")
        };
        assert_eq!([namespace, name, uid, resource_version], ["quay", "key", "u", "7"]);
    }

    #[test]
    fn what_fails_is_tried_again_ever_later_and_what_lasted_at_once() {
        assert_eq!(pause(0), Duration::ZERO);
        for failures in 1..100 {
            let most = FIRST_RETRY.saturating_mul(1 << failures.min(16)).min(LAST_RETRY);
            assert!((most / 2..=most).contains(&pause(failures)), "{failures}");
        }
    }

    #[test]
    fn a_watch_is_taken_up_where_it_ended_unless_too_much_happened_since() {
        let refused = |code| ApiProblem::Refused { code, reason: String::new() };
        assert_eq!(Ended::by(refused(410), "7".into()).since, None);
        assert_eq!(Ended::by(refused(500), "7".into()).since.as_deref(), Some("7"));
        assert_eq!(Ended::by(ApiProblem::Unreachable, "7".into()).since.as_deref(), Some("7"));
    }
}
