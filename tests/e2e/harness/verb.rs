//! A verb of the command line as somebody runs it who has files, or a kubeconfig.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::iam::Iam;
use super::world::World;

/// How a verb ended, and what it said.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn told(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.told()))
    }
}

/// Runs a verb with the world's AWS, and the administrator's kubeconfig.
pub(crate) fn run(world: &World, arguments: &[&str]) -> Ended {
    run_at(world, world.plane.info("aws"), arguments)
}

/// Runs a verb with another AWS.
pub(crate) fn run_at(world: &World, aws: &str, arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_registry-sts"))
        .args(arguments)
        .env_clear()
        .env("KUBECONFIG", world.plane.info("kubeconfig"))
        .env("AWS_ENDPOINT_URL", aws)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A file with a `QuayStorage` of one location and its key's Secret.
pub(crate) fn manifests(world: &World, iam: &Iam) -> String {
    let storage = json!({
        "apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage",
        "metadata": {"name": "example", "namespace": world.namespace},
        "spec": {"configBundleSecret": "bundle", "locations": [World::location("default", iam, "quay-user")]},
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "quay-user", "namespace": world.namespace},
        "stringData": {"AWS_ACCESS_KEY_ID": iam.key.id, "AWS_SECRET_ACCESS_KEY": iam.key.secret},
    });
    let path = world.dir.path().join(format!("{}.yaml", iam.bucket));
    std::fs::write(&path, format!("{storage}\n---\n{secret}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The keys of what is in a bucket, uploads that are under way among them.
pub(crate) async fn left_in(world: &World, iam: &Iam) -> Vec<String> {
    let objects = world.plane.aws("s3", "list_objects_v2", json!({"Bucket": iam.bucket})).await;
    let uploads = world.plane.aws("s3", "list_multipart_uploads", json!({"Bucket": iam.bucket})).await;
    let keys = |list: &Value| -> Vec<String> {
        let each = list.as_array().into_iter().flatten();
        each.map(|one| one["Key"].as_str().unwrap().to_owned()).collect()
    };
    [keys(&objects["Contents"]), keys(&uploads["Uploads"])].concat()
}
