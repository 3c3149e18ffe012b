//! `registry-sts adopt`: a registry whose entry was written by hand gets a QuayStorage, and its bundle is not touched.

use serde_json::Value;

use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::verb::{Ended, run};
use crate::harness::world::{World, apply};
use crate::registry::{kind_is_there, put_registry};

/// A bundle as the procedure by hand leaves it.
fn by_hand(iam: &Iam) -> String {
    format!(
        "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay
DISTRIBUTED_STORAGE_CONFIG:
  default:
    - STSS3Storage
    - sts_role_arn: {}
      s3_bucket: {}
      storage_path: /datastorage
      s3_region: us-east-1
      sts_user_access_key: {}
      sts_user_secret_key: '{}'   # of {}
DISTRIBUTED_STORAGE_PREFERENCE: [default]
",
        iam.role_arn, iam.bucket, iam.key.id, iam.key.secret, iam.user
    )
}

/// The manifests that were printed.
fn manifests(printed: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(printed);
    documents.map(|document| serde::Deserialize::deserialize(document).unwrap()).collect()
}

/// Adopts; of the key not even the id is shown.
fn adopt(world: &World, iam: &Iam, arguments: &[&str]) -> Ended {
    let ended = run(world, &[&["adopt", "-n", &world.namespace], arguments].concat());
    assert_eq!(ended.code, 0, "{}", ended.told());
    assert!(!ended.told().contains(&iam.key.id), "the id of the key is shown");
    ended
}

#[tokio::test]
async fn a_registry_that_was_set_up_by_hand_is_adopted_and_its_bundle_is_not_touched() {
    kind_is_there().await;
    let world = World::granted().await;
    let iam = world.iam("a").await;
    let before = world.put_bundle("bundle", &by_hand(&iam)).await;
    put_registry(&world, "registry", "bundle").await;
    let operator = Operator::start(&world).await;

    let ended = adopt(&world, &iam, &["registry"]);
    assert!(ended.out.contains("Applying it would change nothing of config.yaml."), "{}", ended.told());
    assert!(ended.out.contains("get secret bundle -o go-template"), "{}", ended.out);
    let mut printed = manifests(&ended.out);
    let [key, storage] = printed.as_mut_slice() else { panic!("{}", ended.out) };
    assert!(key["stringData"]["AWS_ACCESS_KEY_ID"].as_str().unwrap().ends_with(&format!("…{}>", &iam.key.id[16..])));
    key["stringData"]["AWS_ACCESS_KEY_ID"] = iam.key.id.as_str().into();
    key["stringData"]["AWS_SECRET_ACCESS_KEY"] = iam.key.secret.as_str().into();
    apply(&world.admin, key).await;
    apply(&world.admin, storage).await;

    world.until_ready("registry").await;
    let after = world.bundle("bundle").await;
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version, "the bundle was written");

    // Who asks once more is told that it is there already.
    let again = adopt(&world, &iam, &["registry"]);
    assert!(again.err.contains("/registry exists already"), "{}", again.err);
    world.assert_nothing_secret_was_told(&(ended.told() + &again.told() + &operator.log())).await;
}

#[tokio::test]
async fn a_bundle_without_a_registry_is_adopted_by_its_name_and_what_is_not_there_is_said_so() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    let before = world.put_bundle("bundle", &by_hand(&iam)).await;
    let ended = adopt(&world, &iam, &["--secret", "bundle", "--name", "mine"]);
    let printed = manifests(&ended.out);
    assert_eq!(printed[1]["metadata"]["name"], "mine");
    assert_eq!(printed[1]["spec"]["configBundleSecret"], "bundle");

    // What is not filled in proves nothing and writes nothing.
    let operator = Operator::start(&world).await;
    for manifest in &printed {
        apply(&world.admin, manifest).await;
    }
    world.until_reason("mine", "MalformedKey").await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before.metadata.resource_version);
    world.put_key(printed[0]["metadata"]["name"].as_str().unwrap(), &iam.key).await;
    world.until_ready("mine").await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before.metadata.resource_version);

    world.put_secret("empty", &[("a", "b")]).await;
    let namespace = world.namespace.as_str();
    for (arguments, code, says) in [
        (&["adopt", "-n", namespace, "--secret", "other"][..], 2, "other (spec.configBundleSecret): there is none"),
        (&["adopt", "-n", namespace, "nobody"], 2, "/nobody: there is none. See `kubectl get quayregistries -A`"),
        (&["adopt", "-n", namespace, "--secret", "empty"], 1, "there is no key config.yaml in it"),
        (&["adopt"], 64, "registry-sts adopt [OPTIONS]"),
    ] {
        let ended = run(&world, arguments);
        assert_eq!(ended.code, code, "{}", ended.told());
        assert!(ended.out.is_empty() && ended.err.contains(says), "{}", ended.told());
    }
    world.assert_nothing_secret_was_told(&(ended.told() + &operator.log())).await;
}
