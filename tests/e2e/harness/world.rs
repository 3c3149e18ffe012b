//! What one test has to itself: a namespace, names in AWS, clients, and a look at everything at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::audit::changes;
use super::control_plane::ControlPlane;
use super::iam::{Iam, Key};
pub(crate) use super::install::apply;
use super::install::install;
use registry_sts::api::QuayStorage;

/// How long anything that is to come may take.
pub(super) const BOUND: Duration = Duration::from_mins(1);

pub(crate) struct World {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) namespace: String,
    pub(crate) admin: Client,
    pub(crate) dir: tempfile::TempDir,
    /// The ServiceAccount of the operator.
    pub(crate) account: &'static str,
    /// The namespace that the operator lives in.
    pub(crate) home: &'static str,
    /// In which namespaces the operator works; in all, if there is none.
    pub(crate) namespaces: Vec<String>,
    /// Every secret value that the test used: none may show up anywhere.
    secrets: Mutex<BTreeSet<String>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let namespace = Self::next();
        let world = Self::bare(namespace.clone()).await;
        install(&world.admin).await;
        world.put_namespace().await;
        Self { namespaces: vec![namespace], ..world }
    }

    fn next() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// A world in which nothing is installed, with an operator that works in all namespaces.
    pub(crate) async fn bare(namespace: String) -> Self {
        let plane = ControlPlane::shared();
        let kubeconfig = Kubeconfig::read_from(plane.info("kubeconfig")).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let admin = Client::try_from(config).unwrap();
        plane.start_recording().await;
        Self {
            plane,
            admin,
            dir: tempfile::tempdir().unwrap(),
            account: "registry-sts",
            home: "registry-sts",
            namespaces: Vec::new(),
            namespace,
            secrets: Mutex::default(),
        }
    }

    /// Makes the world's namespace.
    pub(crate) async fn put_namespace(&self) {
        let spec = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        let namespaces: Api<Namespace> = Api::all(self.admin.clone());
        namespaces.create(&PostParams::default(), &serde_json::from_value(spec).unwrap()).await.unwrap();
    }

    // Of the scenarios here only some need it.
    #[allow(dead_code)]
    /// The same world with another folder, as another cluster would be that has the same objects.
    pub(crate) async fn twin(&self) -> Self {
        Self { namespaces: self.namespaces.clone(), ..Self::bare(self.namespace.clone()).await }
    }

    /// A world in which the registry's owner has let the operator at the namespace's Secrets.
    pub(crate) async fn granted() -> Self {
        let world = Self::new().await;
        world.grant().await;
        world
    }

    pub(crate) async fn grant(&self) {
        self.bind("registry-sts-bundle").await;
    }

    /// Binds a `ClusterRole` of deploy/ to the operator in the namespace.
    pub(crate) async fn bind(&self, role: &str) {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": self.namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": self.account, "namespace": self.home}],
        });
        apply(&self.admin, &binding).await;
    }

    pub(crate) async fn revoke(&self) {
        let bindings: Api<k8s_openapi::api::rbac::v1::RoleBinding> = self.api();
        bindings.delete("registry-sts-bundle", &kube::api::DeleteParams::default()).await.unwrap();
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    pub(crate) async fn put_secret(&self, name: &str, data: &[(&str, &str)]) -> Secret {
        self.put_secret_object(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": self.namespace},
            "stringData": data.iter().copied().collect::<BTreeMap<_, _>>(),
        }))
        .await
    }

    pub(crate) async fn put_secret_object(&self, secret: Value) -> Secret {
        let name = secret["metadata"]["name"].as_str().unwrap().to_owned();
        let secrets = self.api::<Secret>();
        let _ = secrets.delete(&name, &kube::api::DeleteParams::default()).await;
        secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap()
    }

    pub(crate) async fn put_key(&self, name: &str, key: &Key) {
        let data = json!({"stringData": {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}});
        let secrets = self.api::<Secret>();
        if secrets.get_opt(name).await.unwrap().is_some() {
            secrets.patch(name, &PatchParams::default(), &Patch::Merge(&data)).await.unwrap();
        } else {
            let pairs = [("AWS_ACCESS_KEY_ID", key.id.as_str()), ("AWS_SECRET_ACCESS_KEY", key.secret.as_str())];
            self.put_secret(name, &pairs).await;
        }
    }

    /// A config.yaml in a bundle. Its database password is a secret like the keys.
    pub(crate) async fn put_bundle(&self, name: &str, config: &str) -> Secret {
        self.secrets.lock().unwrap().insert("hunter2-of-the-database".into());
        self.put_secret(name, &[("config.yaml", config), ("ssl.cert", "not ours")]).await
    }

    pub(crate) async fn bundle(&self, name: &str) -> Secret {
        self.api::<Secret>().get(name).await.unwrap()
    }

    pub(crate) async fn config(&self, name: &str) -> String {
        let data = self.bundle(name).await.data.unwrap();
        String::from_utf8(data["config.yaml"].0.clone()).unwrap()
    }

    pub(crate) fn location(name: &str, iam: &Iam, key_secret: &str) -> Value {
        json!({
            "name": name, "roleArn": iam.role_arn, "bucket": iam.bucket, "region": "us-east-1",
            "auth": {"accessKey": {"secretRef": {"name": key_secret}}},
        })
    }

    pub(crate) async fn put_resource(&self, name: &str, bundle: &str, locations: &[Value]) -> QuayStorage {
        self.put_resource_spec(name, json!({"configBundleSecret": bundle, "locations": locations})).await
    }

    pub(crate) async fn put_resource_spec(&self, name: &str, spec: Value) -> QuayStorage {
        let resource = json!({
            "apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec,
        });
        apply(&self.admin, &resource).await;
        self.api().get(name).await.unwrap()
    }

    /// Makes the proof in a resource's status too old to do without another after a restart, and young enough for silence
    /// to say nothing against it.
    pub(crate) async fn make_proof_old(&self, name: &str) {
        let resources = self.api::<QuayStorage>();
        let resource = resources.get(name).await.unwrap();
        let proven = k8s_openapi::jiff::Timestamp::now() - k8s_openapi::jiff::SignedDuration::from_mins(70);
        let mut locations = serde_json::to_value(resource.status.unwrap().locations).unwrap();
        locations[0]["proof"]["time"] = json!(proven.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let patch = json!({"status": {"locations": locations}});
        resources.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Waits until a resource is as wanted, by a watch.
    pub(crate) async fn until(&self, name: &str, what: &str, wanted: impl Fn(&QuayStorage) -> bool) -> QuayStorage {
        let api = self.api::<QuayStorage>();
        let condition = |object: Option<&QuayStorage>| object.is_some_and(&wanted);
        let waiting = kube::runtime::wait::await_condition(api.clone(), name, condition);
        if let Ok(met) = tokio::time::timeout(BOUND, waiting).await {
            return met.unwrap().unwrap();
        }
        let now = api.get(name).await.unwrap();
        let (status, changes) = (serde_json::to_string_pretty(&now.status).unwrap(), changes(self).join("\n"));
        panic!("{name} did not become {what}: {status}\n{changes}");
    }

    pub(crate) async fn until_ready(&self, name: &str) -> QuayStorage {
        self.until(name, "Ready", |r| is(r, "Ready", "True") && observed(r)).await
    }

    pub(crate) async fn until_reason(&self, name: &str, reason: &str) -> QuayStorage {
        self.until(name, reason, |r| condition(r, "Ready").is_some_and(|c| c["reason"] == reason) && observed(r)).await
    }

    /// A kubeconfig with a fresh token of the operator's ServiceAccount, and the token's name in the audit log.
    pub(crate) async fn operator_kubeconfig(&self, server: &str) -> (std::path::PathBuf, String) {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), self.home);
        let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let issued = accounts.create_token_request(self.account, &PostParams::default(), &request).await.unwrap();
        let token = issued.status.unwrap().token.unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let credential = format!("JTI={}", claims["jti"].as_str().unwrap());
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {
                "server": server, "certificate-authority": self.plane.info("ca_file")}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": self.home}}],
        });
        let path = self.dir.path().join(format!("kubeconfig-{}", credential.replace(['=', '/'], "-")));
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        self.secrets.lock().unwrap().insert(token);
        (path, credential)
    }

    /// A client with the operator's own rights.
    pub(crate) async fn operator_client(&self) -> Client {
        let (kubeconfig, _) = self.operator_kubeconfig(self.plane.info("server")).await;
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    /// From now on this is a secret, too.
    pub(crate) fn must_not_be_told(&self, secret: &str) {
        self.secrets.lock().unwrap().insert(secret.to_owned());
    }

    /// No secret of this test stands in an operator's log, in an Event or in a resource.
    pub(crate) async fn assert_nothing_secret_was_told(&self, logs: &str) {
        let all = ListParams::default();
        let mut told = logs.to_owned();
        told += &serde_json::to_string(&self.api::<Event>().list(&all).await.unwrap()).unwrap();
        told += &serde_json::to_string(&self.api::<QuayStorage>().list(&all).await.unwrap()).unwrap();
        assert!(told.len() > 200, "there is nothing to look through");
        for secret in self.secrets.lock().unwrap().iter() {
            assert!(!told.contains(secret), "a secret was told");
            let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
            assert!(!told.contains(encoded.trim_end_matches('=')), "a secret was told in base64");
        }
    }
}

pub(crate) fn condition(resource: &QuayStorage, kind: &str) -> Option<Value> {
    let conditions = &resource.status.as_ref()?.conditions;
    conditions.iter().find(|c| c.type_ == kind).map(|c| serde_json::to_value(c).unwrap())
}

pub(crate) fn is(resource: &QuayStorage, kind: &str, status: &str) -> bool {
    condition(resource, kind).is_some_and(|c| c["status"] == status)
}

pub(crate) fn message(resource: &QuayStorage, kind: &str) -> String {
    condition(resource, kind).unwrap()["message"].as_str().unwrap().to_owned()
}

fn observed(resource: &QuayStorage) -> bool {
    resource.status.as_ref().and_then(|status| status.observed_generation) == resource.metadata.generation
}

/// Waits for what no watch tells of.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let waiting = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(BOUND, waiting).await.unwrap_or_else(|_| panic!("it did not come to be that {what}"))
}
