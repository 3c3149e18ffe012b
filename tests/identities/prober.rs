//! Somebody who assumes the role all the while, with the key that a bundle has or that pods hold, and remembers every refusal.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::account::Account;
use crate::harness::iam::Key;
use crate::harness::pods::rolled_for;
use crate::harness::world::World;

/// How often each key is tried.
const PACE: Duration = Duration::from_millis(700);

/// Two of them: one with the key in the bundle, one with the key that the pods started with.
pub(crate) struct Probers {
    seen: Arc<Mutex<Seen>>,
    _probing: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Seen {
    tries: usize,
    refusals: Vec<String>,
    most_keys: usize,
}

impl Probers {
    pub(crate) async fn start(account: &Arc<Account>, identity: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let user = account.named(identity).await;
        let role = account.aws("get_role", json!({"RoleName": user})).await["Role"]["Arn"].as_str().unwrap().to_owned();
        let mut pods = (rolled_for(&account.world, "quay").await, key_in_bundle(&account.world).await);
        let (of, account) = (Arc::clone(&seen), Arc::clone(account));
        let probing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PACE).await;
                // The bundle is read after the rollout was seen: pods that are all new have what stood there when they began.
                let rolled = rolled_out(&account.world).await.filter(|rolled| Some(rolled) != pods.0.as_ref());
                let bundle = key_in_bundle(&account.world).await;
                if let Some(rolled) = rolled {
                    pods = (Some(rolled), bundle.clone());
                }
                for (who, key) in [("the bundle", &bundle), ("the pods", &pods.1)] {
                    let told = assume(&account.world, key, &role).await;
                    let mut seen = of.lock().unwrap();
                    seen.tries += 1;
                    seen.refusals
                        .extend(told.map(|told| format!("{who} with …{}: {told}", &key.id[key.id.len() - 4..])));
                }
                let keys = account.keys(&user).await.len();
                let mut seen = of.lock().unwrap();
                seen.most_keys = seen.most_keys.max(keys);
            }
        });
        Self { seen, _probing: AbortOnDropHandle::new(probing) }
    }

    /// Nobody was ever refused, and there were never more keys than IAM's two.
    pub(crate) fn assert_never_refused(&self) {
        let seen = self.seen.lock().unwrap();
        assert!(seen.tries > 10, "only {} tries", seen.tries);
        assert!(seen.refusals.is_empty(), "{:?} of {} tries", seen.refusals, seen.tries);
        assert!(seen.most_keys <= 2, "{} keys", seen.most_keys);
    }

    pub(crate) fn tries(&self) -> usize {
        self.seen.lock().unwrap().tries
    }
}

/// What AWS answers who assumes the role with a key; nothing if it lets it.
pub(crate) async fn assume(world: &World, key: &Key, role: &str) -> Option<String> {
    let request = json!({"service": "sts", "call": "assume_role",
        "args": {"RoleArn": role, "RoleSessionName": "prober"},
        "as": {"access_key": key.id, "secret_key": key.secret}});
    let reply = world.plane.request(request).await;
    reply.get("error").map(ToString::to_string)
}

/// The key that stands in the bundle's entry.
pub(crate) async fn key_in_bundle(world: &World) -> Key {
    let config = world.config("bundle").await;
    let value = |key: &str| {
        let (_, rest) = config.split_once(&format!("{key}: ")).unwrap_or_else(|| panic!("there is no {key}"));
        rest.lines().next().unwrap().trim().trim_matches('"').to_owned()
    };
    Key { id: value("sts_user_access_key"), secret: value("sts_user_secret_key") }
}

/// For which write the pods were rolled last, once all of them are new: as one and the same look tells.
async fn rolled_out(world: &World) -> Option<String> {
    let deployment = world.api::<Deployment>().get("quay").await.unwrap();
    let status = deployment.status.unwrap_or_default();
    let is_new = status.observed_generation == deployment.metadata.generation
        && [status.replicas, status.updated_replicas, status.available_replicas] == [Some(2); 3];
    let template = deployment.spec.unwrap().template.metadata?;
    template.annotations?.remove("registry-sts.dev/rolled-for").filter(|_| is_new)
}
