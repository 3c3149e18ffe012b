//! What a scenario has to itself: a namespace with a registry, an AWS account's worth of bucket, boundary and operator's role,
//! and what AWS says of the user, role and keys that the operator makes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use registry_sts::api::{QuayStorage, StorageIdentity};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::iam::Key;
use crate::harness::operator::Operator;
use crate::harness::pods::{kubelet, put_deployment};
use crate::harness::verb::run;
use crate::harness::world::{World, apply};

const ACCOUNT: &str = "arn:aws:iam::123456789012";
pub(crate) const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";
/// How long a rotation may take: it proves the new key over a minute.
pub(crate) const LONG: Duration = Duration::from_mins(4);

/// A world in which `StorageIdentities` are kept.
pub(crate) struct Account {
    pub(crate) world: World,
    /// What the cluster is called in AWS.
    pub(crate) cluster: String,
    pub(crate) bucket: String,
    pub(crate) boundary: String,
    /// The operator's own role.
    role: String,
    kubelet: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Account {
    pub(crate) async fn new() -> Self {
        Self::of_cluster(|namespace| format!("cluster-of-{namespace}")).await
    }

    /// A namespace, a bucket, the administrator's policy for both, and the operator's role with the printed documents.
    pub(crate) async fn of_cluster(cluster: impl FnOnce(&str) -> String) -> Self {
        let world = World::granted().await;
        install(&world).await;
        world.plane.start_controllers().await;
        let kubelet = kubelet(&world);
        for role in ["registry-sts-key", "registry-sts-restart", "registry-sts-mint"] {
            world.bind(role).await;
        }
        let namespace = world.namespace.clone();
        let (cluster, bucket) = (cluster(&namespace), format!("{namespace}-bucket"));
        world.plane.aws("s3", "create_bucket", json!({"Bucket": bucket})).await;
        let account = Self {
            boundary: format!("{ACCOUNT}:policy/{namespace}-boundary"),
            role: format!("{namespace}-operator"),
            cluster,
            bucket,
            world,
            kubelet: Mutex::new(Some(kubelet)),
        };
        account.put_policy(json!({})).await;
        let boundary = account.printed(&["--boundary"]);
        let args = json!({"PolicyName": format!("{namespace}-boundary"), "PolicyDocument": boundary});
        account.aws("create_policy", args).await;
        let trust = trusting_tokens();
        account.aws("create_role", json!({"RoleName": account.role, "AssumeRolePolicyDocument": trust})).await;
        account.give_rights().await;
        account
    }

    /// Another cluster that shares everything with this one, but what it is called and the operator's role.
    pub(crate) async fn beside(other: &Self, cluster: &str) -> Self {
        let world = other.world.twin().await;
        let account = Self {
            role: format!("{}-{cluster}", other.role),
            cluster: cluster.to_owned(),
            bucket: other.bucket.clone(),
            boundary: other.boundary.clone(),
            kubelet: Mutex::new(Some(kubelet(&world))),
            world,
        };
        account.put_policy(json!({})).await;
        let trust = trusting_tokens();
        account.aws("create_role", json!({"RoleName": account.role, "AssumeRolePolicyDocument": trust})).await;
        account.give_rights().await;
        account
    }

    /// A session of the operator's own role, as the peer's requests take it.
    pub(crate) async fn own_session(&self) -> Value {
        let args = json!({"RoleArn": self.own_role(), "RoleSessionName": "test", "WebIdentityToken": "a.b.c"});
        let told = self.world.plane.aws("sts", "assume_role_with_web_identity", args).await["Credentials"].clone();
        json!({"access_key": told["AccessKeyId"], "secret_key": told["SecretAccessKey"], "session_token": told["SessionToken"]})
    }

    /// Deletes the resource and its Secret: what is in AWS stays.
    pub(crate) async fn forget_identity(&self, name: &str) {
        let api: Api<StorageIdentity> = self.world.api();
        api.delete(name, &kube::api::DeleteParams::default()).await.unwrap();
        self.world.api::<Secret>().delete(name, &kube::api::DeleteParams::default()).await.unwrap();
        crate::harness::world::eventually("it is gone", || async {
            api.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// Gives the operator's role what is printed for it, and nothing else.
    pub(crate) async fn give_rights(&self) {
        let rights = self.printed(&["--operator", "--cluster-id", &self.cluster]);
        let args = json!({"RoleName": self.role, "PolicyName": "operator", "PolicyDocument": rights});
        self.aws("put_role_policy", args).await;
    }

    /// The administrator's policy for the namespace, with some fields otherwise.
    pub(crate) async fn put_policy(&self, otherwise: Value) {
        let mut spec = json!({
            "namespaces": [self.world.namespace], "storage": [{"bucket": self.bucket, "paths": ["/datastorage"]}],
            "permissionsBoundaryArn": self.boundary,
        });
        for (field, value) in otherwise.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let policy = json!({"apiVersion": "registry-sts.dev/v1alpha1", "kind": "IdentityPolicy",
            "metadata": {"name": self.world.namespace}, "spec": spec});
        std::fs::write(self.policy_file(), policy.to_string()).unwrap();
        apply(&self.world.admin, &policy).await;
    }

    pub(crate) fn policy_file(&self) -> String {
        self.world.dir.path().join("policy.yaml").to_str().unwrap().to_owned()
    }

    fn printed(&self, flags: &[&str]) -> String {
        let file = self.policy_file();
        let printed = run(&self.world, &[&["policy", "-f", &file], flags].concat());
        assert_eq!(printed.code, 0, "{}", printed.told());
        printed.json().to_string()
    }

    /// New pods do not become ready, or do again.
    pub(crate) fn pods_start(&self, start: bool) {
        *self.kubelet.lock().unwrap() = start.then(|| kubelet(&self.world));
    }

    /// The ARN of the operator's own role.
    pub(crate) fn own_role(&self) -> String {
        format!("{ACCOUNT}:role/{}", self.role)
    }

    /// Starts the operator with the flag and the identity that it needs.
    pub(crate) async fn operator(&self) -> Operator {
        self.operator_at(self.world.plane.info("aws")).await
    }

    /// The same with another way to AWS.
    pub(crate) async fn operator_at(&self, aws: &str) -> Operator {
        self.start(aws, &[]).await
    }

    /// The same with more flags.
    pub(crate) async fn operator_telling(&self, flags: &[&str]) -> Operator {
        self.start(self.world.plane.info("aws"), flags).await
    }

    async fn start(&self, aws: &str, flags: &[&str]) -> Operator {
        let token = self.world.dir.path().join("token");
        // The peer takes any token.
        std::fs::write(&token, "a.b.c").unwrap();
        let role = self.own_role();
        let variables = [("AWS_ROLE_ARN", role.as_str()), ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap())];
        let mut arguments = vec!["run", "--namespace", &self.world.namespace, "--no-leader-election"];
        arguments.extend(["--enable-identities", "--cluster-id", &self.cluster, "--log", "info,registry_sts=trace"]);
        arguments.extend(["--metrics-address", "127.0.0.1:0"]);
        arguments.extend(flags);
        Operator::start_exactly(&self.world, (self.world.plane.info("server"), aws), &arguments, &variables).await
    }

    /// A `StorageIdentity` with some fields otherwise.
    pub(crate) async fn put_identity(&self, name: &str, otherwise: Value) {
        let mut spec = json!({"trust": "user", "storage": [{"bucket": self.bucket}]});
        for (field, value) in otherwise.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let identity = json!({"apiVersion": "registry-sts.dev/v1alpha1", "kind": "StorageIdentity",
            "metadata": {"name": name, "namespace": self.world.namespace}, "spec": spec});
        apply(&self.world.admin, &identity).await;
    }

    /// A Quay whose pods mount a bundle, and the resource that keeps its location with an identity.
    pub(crate) async fn put_registry(&self, identity: &str) {
        self.world.put_bundle("bundle", CONFIG).await;
        put_deployment(&self.world, "quay", "bundle").await;
        self.world.put_resource_spec("example", self.storage_spec(identity)).await;
    }

    pub(crate) fn storage_spec(&self, identity: &str) -> Value {
        json!({"configBundleSecret": "bundle", "restart": [{"kind": "Deployment", "name": "quay"}],
            "locations": [{"name": "default", "bucket": self.bucket, "region": "us-east-1",
                "auth": {"identityRef": {"name": identity}}}]})
    }

    pub(crate) async fn aws(&self, call: &str, args: Value) -> Value {
        self.world.plane.aws("iam", call, args).await
    }

    /// The name that user and role of an identity have.
    pub(crate) async fn named(&self, identity: &str) -> String {
        let known = self.until(identity, "a role", |i| i.status.as_ref().is_some_and(|s| s.role_arn.is_some())).await;
        let arn = known.status.unwrap().role_arn.unwrap();
        arn.rsplit('/').next().unwrap().to_owned()
    }

    /// The keys of a user: id, and whether it is active.
    pub(crate) async fn keys(&self, user: &str) -> BTreeMap<String, bool> {
        let listed = self.aws("list_access_keys", json!({"UserName": user})).await;
        let key = |key: &Value| (key["AccessKeyId"].as_str().unwrap().to_owned(), key["Status"] == "Active");
        listed["AccessKeyMetadata"].as_array().unwrap().iter().map(key).collect()
    }

    pub(crate) async fn tags(&self, user: &str) -> BTreeMap<String, String> {
        let listed = self.aws("list_user_tags", json!({"UserName": user})).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        listed["Tags"].as_array().unwrap().iter().map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
    }

    /// Makes what was noted of keys, their creation and their use so much older.
    pub(crate) async fn age(&self, user: &str, hours: u32) {
        let seconds = hours * 3600;
        let reply =
            self.world.plane.request(json!({"peer": "age-keys", "args": {"user": user, "seconds": seconds}})).await;
        assert!(reply.get("error").is_none(), "{reply}");
        for (key, value) in self.tags(user).await {
            let Some((word, since)) = value.split_once('/').filter(|_| key.starts_with("registry-sts.dev/key-")) else {
                continue;
            };
            let since: k8s_openapi::jiff::Timestamp = since.parse().unwrap();
            let older = since - k8s_openapi::jiff::SignedDuration::from_secs(seconds.into());
            let value = format!("{word}/{}", older.strftime("%Y-%m-%dT%H:%M:%SZ"));
            self.aws("tag_user", json!({"UserName": user, "Tags": [{"Key": key, "Value": value}]})).await;
        }
    }

    /// The key in the Secret of an identity.
    pub(crate) async fn key_in(&self, secret: &str) -> Key {
        let data = self.world.api::<Secret>().get(secret).await.unwrap().data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        let key = Key { id: text("AWS_ACCESS_KEY_ID"), secret: text("AWS_SECRET_ACCESS_KEY") };
        self.world.must_not_be_told(&key.secret);
        key
    }

    pub(crate) async fn annotate(&self, identity: &str, key: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        let api: Api<StorageIdentity> = self.world.api();
        api.patch(identity, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Has the operator look, and waits until it has.
    pub(crate) async fn look(&self, identity: &str) -> StorageIdentity {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let value = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        self.annotate(identity, "reconcile.fluxcd.io/requestedAt", &value).await;
        let has_looked = |i: &StorageIdentity| {
            i.status.as_ref().is_some_and(|s| s.last_handled_reconcile_at.as_ref() == Some(&value))
        };
        self.until(identity, "looked at", has_looked).await
    }

    /// Asks for another key, as of now.
    pub(crate) async fn rotate(&self, identity: &str) {
        let now = k8s_openapi::jiff::Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_secs(1);
        self.annotate(identity, "registry-sts.dev/rotate", &now.to_string()).await;
    }

    pub(crate) async fn until(
        &self,
        identity: &str,
        what: &str,
        wanted: impl Fn(&StorageIdentity) -> bool,
    ) -> StorageIdentity {
        let api: Api<StorageIdentity> = self.world.api();
        let condition = |object: Option<&StorageIdentity>| object.is_some_and(&wanted);
        let waiting = kube::runtime::wait::await_condition(api.clone(), identity, condition);
        if let Ok(met) = tokio::time::timeout(LONG, waiting).await {
            return met.unwrap().unwrap();
        }
        let now = api.get(identity).await.unwrap();
        panic!("{identity} did not become {what}: {}", serde_json::to_string_pretty(&now.status).unwrap());
    }

    pub(crate) async fn until_ready(&self, identity: &str) -> StorageIdentity {
        let observed =
            |i: &StorageIdentity| i.status.as_ref().and_then(|s| s.observed_generation) == i.metadata.generation;
        self.until(identity, "Ready", |i| says(i, "Ready").0 == "True" && observed(i)).await
    }

    pub(crate) async fn until_rotating(&self, identity: &str, reason: &str) -> StorageIdentity {
        self.until(identity, reason, |i| says(i, "Rotating").1 == reason).await
    }

    /// The same after the operator has been made to look, again and again: what AWS says is news to nobody else.
    pub(crate) async fn until_rotating_after_look(&self, identity: &str, reason: &str) -> StorageIdentity {
        for _ in 0..20 {
            let looked = self.look(identity).await;
            if says(&looked, "Rotating").1 == reason {
                return looked;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.until_rotating(identity, reason).await
    }

    /// Until there is one key again, and nothing is rotated.
    pub(crate) async fn until_settled(&self, identity: &str) -> StorageIdentity {
        let is_settled = |i: &StorageIdentity| says(i, "Ready").0 == "True" && says(i, "Rotating").0.is_empty();
        self.until(identity, "settled", is_settled).await
    }

    /// Until Quay runs the key that is in the Secret.
    pub(crate) async fn until_consumed(&self, secret: &str) -> QuayStorage {
        let key = self.key_in(secret).await;
        let four = key.id[key.id.len() - 4..].to_owned();
        let runs = |r: &QuayStorage| {
            let principal = r.status.as_ref().and_then(|s| s.locations.first()?.principal.clone());
            principal.is_some_and(|p| p.contains(&four))
                && ["Ready", "ConsumerCurrent"].iter().all(|kind| crate::harness::world::is(r, kind, "True"))
        };
        self.world.until("example", "on the key in the Secret", runs).await
    }
}

fn trusting_tokens() -> String {
    let statement =
        json!({"Effect": "Allow", "Principal": {"Federated": "cluster"}, "Action": "sts:AssumeRoleWithWebIdentity"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// Status, reason and message of a condition; empty if it is not said.
pub(crate) fn says(identity: &StorageIdentity, kind: &str) -> (String, String, String) {
    let conditions = identity.status.iter().flat_map(|status| &status.conditions);
    let mut said =
        conditions.filter(|c| c.type_ == kind).map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()));
    said.next().unwrap_or_default()
}

/// The kinds, and the operator's rights for them.
async fn install(world: &World) {
    static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            apply(&world.admin, &json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": "registry-sts-identities"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "registry-sts-identities"},
                "subjects": [{"kind": "ServiceAccount", "name": world.account, "namespace": world.home}],
            })).await;
            let crds: Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> =
                Api::all(world.admin.clone());
            for name in ["storageidentities.registry-sts.dev", "identitypolicies.registry-sts.dev"] {
                let established = kube::runtime::conditions::is_crd_established();
                let waiting = kube::runtime::wait::await_condition(crds.clone(), name, established);
                tokio::time::timeout(LONG, waiting).await.expect("the CRD is not established").unwrap();
            }
        })
        .await;
}
