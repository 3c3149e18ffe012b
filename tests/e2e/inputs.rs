//! Inputs that are missing or wrong: each has its reason, a message, and a bundle that is left alone.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use registry_sts::api::QuayStorage;
use serde_json::json;

use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::world::{World, apply, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// A way in which an access key's Secret or a bundle is wrong, and what is said of it.
struct Wrong {
    name: &'static str,
    reason: &'static str,
    stalled: bool,
    says: &'static [&'static str],
}

/// A Secret's data as it is written; none where there is no Secret.
type Data<'a> = Vec<(&'a str, &'a str)>;

async fn is_said(world: &World, wrong: &Wrong) {
    let failed = world.until_reason(wrong.name, wrong.reason).await;
    let message = message(&failed, "Ready");
    assert!(is(&failed, "Ready", "False"), "{}", wrong.name);
    assert_eq!(is(&failed, "Stalled", "True"), wrong.stalled, "{}: {message}", wrong.name);
    assert_eq!(is(&failed, "Reconciling", "True"), !wrong.stalled, "{}: {message}", wrong.name);
    for word in wrong.says {
        assert!(message.contains(word), "{}: {word:?} is not in: {message}", wrong.name);
    }
}

#[tokio::test]
async fn each_thing_wrong_with_a_key_has_its_reason_and_heals_when_the_secret_is_right() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    let (id, secret) = (iam.key.id.as_str(), iam.key.secret.as_str());
    let cases: [(Wrong, Option<Data<'_>>); 7] = [
        (wrong("missing-secret", "KeySecretMissing", false, &["Secret missing-secret-key", "does not exist"]), None),
        (
            wrong("missing-key", "MissingKey", false, &["AWS_SECRET_ACCESS_KEY", "is missing", "AWS_ACCESS_KEY_ID"]),
            Some(vec![("AWS_ACCESS_KEY_ID", id)]),
        ),
        (
            wrong("empty-key", "MissingKey", false, &["AWS_ACCESS_KEY_ID", "is empty"]),
            Some(vec![("AWS_ACCESS_KEY_ID", "\n"), ("AWS_SECRET_ACCESS_KEY", secret)]),
        ),
        (
            wrong("inner-space", "MalformedKey", true, &["AWS_SECRET_ACCESS_KEY", "white space"]),
            Some(vec![("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", "two words")]),
        ),
        (
            wrong("temporary", "TemporaryKey", true, &["ASIA", "session token"]),
            Some(vec![("AWS_ACCESS_KEY_ID", "ASIAEXAMPLEEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", secret)]),
        ),
        (
            wrong("ambiguous", "AmbiguousKey", true, &["AWS_ACCESS_KEY_ID and aws_access_key_id differ"]),
            Some(vec![("AWS_ACCESS_KEY_ID", id), ("aws_access_key_id", "OTHER"), ("AWS_SECRET_ACCESS_KEY", secret)]),
        ),
        (
            wrong("two-spellings-missing", "MissingKey", false, &["(or aws_secret_access_key) is missing"]),
            Some(vec![("aws_access_key_id", id)]),
        ),
    ];
    for (wrong, data) in &cases {
        world.put_bundle(wrong.name, CONFIG).await;
        if let Some(data) = data {
            world.put_secret(&format!("{}-key", wrong.name), data).await;
        }
    }
    let operator = Operator::start(&world).await;
    for (wrong, _) in &cases {
        put(&world, wrong.name, &iam, &format!("{}-key", wrong.name)).await;
    }
    for (wrong, _) in &cases {
        is_said(&world, wrong).await;
        assert_eq!(world.config(wrong.name).await, CONFIG, "{}", wrong.name);
    }
    // White space around the key is no reason to fail: it is dropped, for Quay would not.
    let padded = [("AWS_ACCESS_KEY_ID", format!(" {id}\n")), ("AWS_SECRET_ACCESS_KEY", format!("{secret}\r\n"))];
    let padded: Vec<(&str, &str)> = padded.iter().map(|(key, value)| (*key, value.as_str())).collect();
    for (wrong, _) in &cases {
        world.put_secret(&format!("{}-key", wrong.name), &padded).await;
        world.until_ready(wrong.name).await;
        let config = world.config(wrong.name).await;
        assert!(config.contains(&format!("sts_user_secret_key: \"{secret}\"\n")), "{}", wrong.name);
    }
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn each_thing_wrong_with_a_bundle_has_its_reason_and_heals_when_the_bundle_is_right() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    let object = |name: &str, data: serde_json::Value, immutable: bool| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": world.namespace},
            "stringData": data, "immutable": immutable})
    };
    let duplicated = format!("{CONFIG}DISTRIBUTED_STORAGE_CONFIG: {{}}\nDISTRIBUTED_STORAGE_CONFIG: {{}}\n");
    let cases = [
        (wrong("no-bundle", "BundleMissing", false, &["Secret no-bundle", "configBundleSecret"]), None),
        (
            wrong("no-config", "ConfigMissing", false, &["no key config.yaml"]),
            Some(object("no-config", json!({"ssl.cert": "x"}), false)),
        ),
        (
            wrong("immutable", "BundleImmutable", true, &["Secret immutable is immutable"]),
            Some(object("immutable", json!({"config.yaml": CONFIG}), true)),
        ),
        (
            wrong(
                "uneditable",
                "BundleUneditable",
                true,
                &["line 3", "DISTRIBUTED_STORAGE_CONFIG", "Nothing was changed"],
            ),
            Some(object("uneditable", json!({"config.yaml": duplicated}), false)),
        ),
        (
            wrong("no-yaml", "BundleUneditable", true, &["config.yaml", "line"]),
            Some(object("no-yaml", json!({"config.yaml": "A: [hunter2-of-the-database\nB: 1\n"}), false)),
        ),
    ];
    for (_, bundle) in &cases {
        if let Some(bundle) = bundle {
            world.put_secret_object(bundle.clone()).await;
        }
    }
    let operator = Operator::start(&world).await;
    for (wrong, _) in &cases {
        put(&world, wrong.name, &iam, "quay-user").await;
    }
    for (wrong, bundle) in &cases {
        is_said(&world, wrong).await;
        if let Some(bundle) = bundle {
            let data = world.bundle(wrong.name).await.data.unwrap_or_default();
            let config = data.get("config.yaml").map(|value| String::from_utf8(value.0.clone()).unwrap());
            assert_eq!(config.as_deref(), bundle["stringData"]["config.yaml"].as_str(), "{}", wrong.name);
        }
    }
    for (wrong, _) in &cases {
        world.put_bundle(wrong.name, CONFIG).await;
        world.until_ready(wrong.name).await;
        assert!(world.config(wrong.name).await.starts_with(CONFIG), "{}", wrong.name);
    }
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn the_api_server_refuses_what_cannot_be_meant_and_says_what_to_write_instead() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    let good = World::location("default", &iam, "quay-user");
    let with = |field: &str, value: serde_json::Value| {
        let mut location = good.clone();
        location[field] = value;
        json!({"configBundleSecret": "bundle", "locations": [location]})
    };
    let registry = json!({"name": "registry"});
    let annotated = |account: &str, with_role: bool| {
        let mut identity = json!({"serviceAccountName": account, "annotateServiceAccount": true});
        if with_role {
            identity["roleArn"] = json!("arn:aws:iam::123456789012:role/quay");
        }
        json!({"name": "default", "bucket": "my-bucket", "region": "us-east-1", "auth": {"webIdentity": identity}})
    };
    let mut both = with("endpointUrl", json!("https://minio.example.com"));
    let mut neither = with("region", serde_json::Value::Null);
    neither["locations"][0].as_object_mut().unwrap().remove("region");
    both["verification"] = json!({"interval": "1h"});
    for (spec, says) in [
        (
            with("roleArn", json!("arn:aws:iam::123456789012:user/quay-user")),
            "arn:aws:iam::<12-digit account>:role/<name>",
        ),
        (with("bucket", json!("s3://my-bucket")), "bucket must be the name of an S3 bucket"),
        (with("region", json!("US East")), "region must be an AWS region"),
        (with("name", json!("a b")), "name must begin with a letter or a digit"),
        (both, "exactly one of region (AWS S3) and endpointUrl"),
        (neither, "exactly one of region (AWS S3) and endpointUrl"),
        (json!({"configBundleSecret": "bundle", "locations": []}), "locations"),
        (json!({"configBundleSecret": "bundle", "locations": [good, good]}), "Duplicate value"),
        (json!({"configBundleSecret": "Bundle!", "locations": [good]}), "must be the name of a Secret"),
        (json!({"locations": [good]}), "exactly one of registryRef"),
        (
            json!({"registryRef": registry, "configBundleSecret": "bundle", "locations": [good]}),
            "exactly one of registryRef",
        ),
        (json!({"registryRef": {"name": "Registry!"}, "locations": [good]}), "must be the name of a QuayRegistry"),
        (
            json!({"registryRef": registry, "consumerEnv": {"AWS_REGION": "us-east-1"}, "locations": [good]}),
            "remove consumerEnv",
        ),
        (
            json!({"configBundleSecret": "bundle", "locations": [annotated("registry-quay-app", true)]}),
            "annotateServiceAccount needs registryRef",
        ),
        (
            json!({"registryRef": registry, "locations": [annotated("default", true)]}),
            "annotateServiceAccount needs registryRef",
        ),
        (
            json!({"registryRef": registry, "locations": [annotated("registry-quay-app", false)]}),
            "annotateServiceAccount needs registryRef",
        ),
        (
            json!({"configBundleSecret": "bundle", "locations": [good], "verification": {"interval": "1m"}}),
            "interval must be from 5m to 24h",
        ),
    ] {
        let resource = json!({"apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage",
            "metadata": {"name": "refused", "namespace": world.namespace}, "spec": spec});
        let resource: DynamicObject = serde_json::from_value(resource).unwrap();
        let api = Api::<DynamicObject>::namespaced_with(
            world.admin.clone(),
            &world.namespace,
            &ApiResource::erase::<QuayStorage>(&()),
        );
        let refused = api.create(&PostParams::default(), &resource).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{says:?} is not in: {refused}");
    }
}

fn wrong(name: &'static str, reason: &'static str, stalled: bool, says: &'static [&'static str]) -> Wrong {
    Wrong { name, reason, stalled, says }
}

/// A resource that is named as its bundle is.
async fn put(world: &World, name: &str, iam: &Iam, key_secret: &str) {
    world.put_resource(name, name, &[World::location("default", iam, key_secret)]).await;
}

#[tokio::test]
async fn a_key_that_arrives_in_two_steps_is_used_when_it_is_whole() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_bundle("bundle", CONFIG).await;
    let _operator = Operator::start(&world).await;
    put(&world, "bundle", &iam, "quay-user").await;
    world.until_reason("bundle", "KeySecretMissing").await;
    world.put_secret("quay-user", &[("AWS_ACCESS_KEY_ID", &iam.key.id)]).await;
    world.until_reason("bundle", "MissingKey").await;
    let second = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "quay-user", "namespace": world.namespace},
        "stringData": {"AWS_SECRET_ACCESS_KEY": iam.key.secret}});
    apply(&world.admin, &second).await;
    world.until_ready("bundle").await;
    assert_eq!(
        world.api::<Secret>().get("quay-user").await.unwrap().data.unwrap().len(),
        2,
        "the key Secret is read only"
    );
}
