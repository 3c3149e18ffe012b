//! Scenarios on Ceph's radosgw, which enforces trust policies and the tokens of service accounts. `make test` leaves
//! them out where it is not installed, and says so.

use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Patch, PatchParams};
use registry_sts::arn::Partition;
use registry_sts::policy::{Federated, trust_of_principal};
use serde_json::{Value, json};

use crate::harness::iam::{Iam, Key};
use crate::harness::operator::Operator;
use crate::harness::verb::run_at;
use crate::harness::webhook::{account, installed, location};
use crate::harness::world::{World, apply, condition, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";
const ACCOUNT: &str = "123456789012";
const AUDIENCE: &str = "sts.amazonaws.com";

/// A role of radosgw that trusts as told, and a bucket in which it may do everything.
async fn role(world: &World, name: &str, trust: &Value) -> Iam {
    let name = format!("{}-{name}", world.namespace);
    let args = json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()});
    let role = world.plane.at_radosgw("iam", "create_role", args).await;
    world.plane.at_radosgw("s3", "create_bucket", json!({"Bucket": name})).await;
    let bucket = format!("arn:aws:s3:::{name}");
    let permissions = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "s3:*", "Resource": [bucket, format!("{bucket}/*")]}]});
    let args = json!({"RoleName": name, "PolicyName": "storage", "PolicyDocument": permissions.to_string()});
    world.plane.at_radosgw("iam", "put_role_policy", args).await;
    let key = Key { id: String::new(), secret: String::new() };
    Iam { user: String::new(), role_arn: role["Role"]["Arn"].as_str().unwrap().to_owned(), bucket: name, key }
}

/// A user of radosgw with its key in a Secret; its ARN.
async fn user(world: &World, name: &str) -> String {
    let user = world.plane.radosgw_user(&format!("{}-{name}", world.namespace)).await;
    let text = |field: &str| user[field].as_str().unwrap().to_owned();
    world.must_not_be_told(&text("secret_key"));
    world.put_key(name, &Key { id: text("access_key"), secret: text("secret_key") }).await;
    text("arn")
}

async fn objects(world: &World, bucket: &str) -> Value {
    world.plane.at_radosgw("s3", "list_objects_v2", json!({"Bucket": bucket})).await["Contents"].take()
}

#[tokio::test]
async fn the_printed_trust_policy_admits_exactly_the_named_user_and_the_whole_proof_passes() {
    let world = World::granted().await;
    let peer = world.plane.radosgw().await;
    let named = user(&world, "named").await;
    user(&world, "other").await;
    let iam = role(&world, "role", &trust_of_principal(&named)).await;
    world.put_bundle("good", CONFIG).await;
    let untouched = world.put_bundle("bad", CONFIG).await;
    let operator = Operator::start_with(&world, peer["url"].as_str().unwrap(), &[]).await;
    world.put_resource("good", "good", &[World::location("default", &iam, "named")]).await;
    world.put_resource("bad", "bad", &[World::location("default", &iam, "other")]).await;

    let ready = world.until_ready("good").await;
    assert!(is(&ready, "RoleProven", "True") && is(&ready, "StorageProven", "True"));
    assert!(world.config("good").await.contains("STSS3Storage"));
    let refused = world.until_reason("bad", "RoleNotAssumable").await;
    assert!(message(&refused, "Ready").contains("trust policy"), "{}", message(&refused, "Ready"));
    assert_eq!(world.bundle("bad").await.metadata.resource_version, untouched.metadata.resource_version);
    assert_eq!(objects(&world, &iam.bucket).await, Value::Null, "the proof left something behind");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_bucket_policy_about_encryption_is_told_from_a_permission_that_is_missing() {
    let world = World::granted().await;
    let peer = world.plane.radosgw().await;
    let named = user(&world, "named").await;
    let iam = role(&world, "role", &trust_of_principal(&named)).await;
    let bucket = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
        "Resource": format!("arn:aws:s3:::{}/*", iam.bucket),
        "Condition": {"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}}]});
    let args = json!({"Bucket": iam.bucket, "Policy": bucket.to_string()});
    world.plane.at_radosgw("s3", "put_bucket_policy", args).await;
    world.put_bundle("bundle", CONFIG).await;
    let operator = Operator::start_with(&world, peer["url"].as_str().unwrap(), &[]).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "named")]).await;

    let refused = world.until_reason("example", "EncryptionDenied").await;
    assert!(is(&refused, "RoleProven", "True") && is(&refused, "StorageProven", "False"));
    assert!(message(&refused, "Ready").contains("s3:x-amz-server-side-encryption"), "{}", message(&refused, "Ready"));
    assert_eq!(world.config("bundle").await, CONFIG);
    world.plane.at_radosgw("s3", "delete_bucket_policy", json!({"Bucket": iam.bucket})).await;
    world.until_ready("example").await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

async fn web_identity(world: &World, name: &str, iam: &Iam) {
    world.put_bundle(name, CONFIG).await;
    let location = location(&json!({"serviceAccountName": name, "roleArn": iam.role_arn}), &iam.bucket);
    world.put_resource(name, name, &[location]).await;
}

#[tokio::test]
async fn a_service_account_is_who_quays_pods_are_and_nothing_is_written_until_it_really_is() {
    installed().await;
    let world = World::granted().await;
    let peer = world.plane.radosgw().await;
    let issuer = peer["issuer_url"].as_str().unwrap();
    let args = json!({"Url": issuer, "ClientIDList": [AUDIENCE], "ThumbprintList": [peer["thumbprint"]]});
    world.plane.at_radosgw("iam", "create_open_id_connect_provider", args).await;
    let subject = format!("system:serviceaccount:{}:right", world.namespace);
    let trust = Federated {
        partition: Partition::Aws,
        account: ACCOUNT,
        issuer: issuer.strip_prefix("https://").unwrap(),
        subject: &subject,
        audience: AUDIENCE,
    };
    let iam = role(&world, "role", &trust.trust()).await;
    let wrong_audience = Federated { audience: "somebody.else", ..trust.clone() };
    let wrong_audience = role(&world, "audience", &wrong_audience.trust()).await;
    let other_issuer = Federated { issuer: "oidc.example.com/id", ..trust.clone() };
    let other_issuer = role(&world, "issuer", &other_issuer.trust()).await;
    let annotated = |arn: &str| json!({"eks.amazonaws.com/role-arn": arn});
    for (name, annotations) in [
        ("right", annotated(&iam.role_arn)),
        ("bare", json!({})),
        ("elsewhere", annotated("arn:aws:iam::123456789012:role/somebody-elses")),
        ("stranger", annotated(&iam.role_arn)),
        ("deaf", annotated(&wrong_audience.role_arn)),
        ("foreign", annotated(&other_issuer.role_arn)),
    ] {
        apply(&world.admin, &account(&world, name, &annotations)).await;
    }
    let operator = Operator::start_with(&world, peer["url"].as_str().unwrap(), &[]).await;
    web_identity(&world, "right", &iam).await;
    let forbidden = world.until_reason("right", "TokenForbidden").await;
    let grant = "create rolebinding registry-sts-mint --clusterrole=registry-sts-mint";
    assert!(message(&forbidden, "Ready").contains(grant), "{}", message(&forbidden, "Ready"));
    world.bind("registry-sts-mint").await;
    for name in ["absent", "bare", "elsewhere", "stranger"] {
        web_identity(&world, name, &iam).await;
    }
    web_identity(&world, "deaf", &wrong_audience).await;
    web_identity(&world, "foreign", &other_issuer).await;

    for (name, reason, says) in [
        ("absent", "AccountUnusable", "does not exist"),
        ("bare", "AnnotationMismatch", "has no annotation eks.amazonaws.com/role-arn"),
        ("elsewhere", "AnnotationMismatch", "role/somebody-elses"),
    ] {
        let failed = world.until_reason(name, reason).await;
        assert!(message(&failed, "Ready").contains(says), "{}", message(&failed, "Ready"));
        assert!(is(&failed, "Reconciling", "True"), "{name} heals by itself");
        assert_eq!(world.config(name).await, CONFIG, "{name}");
    }

    let ready = world.until_ready("right").await;
    assert!(is(&ready, "StorageProven", "True"));
    let config = world.config("right").await;
    assert!(config.contains("STSS3Storage") && !config.contains("sts_"), "{config}");
    let row = serde_json::to_value(&ready.status.unwrap().locations[0]).unwrap();
    assert_eq!(row["principal"], format!("service account {}/right", world.namespace));

    let checked = run_at(&world, peer["url"].as_str().unwrap(), &["check", "-n", &world.namespace, "right"]);
    assert_eq!(checked.code, 0, "{}", checked.told());
    assert!(checked.out.contains("✓ assume role") && checked.out.contains("✓ delete"), "{}", checked.out);
    world.assert_nothing_secret_was_told(&checked.told()).await;

    for name in ["stranger", "deaf", "foreign"] {
        let refused = world.until_reason(name, "RoleNotAssumable").await;
        let message = message(&refused, "Ready");
        let subject = format!(":sub system:serviceaccount:{}:{name} and :aud {AUDIENCE}", world.namespace);
        assert!(message.contains(&subject), "{message}");
        assert_eq!(world.config(name).await, CONFIG, "{name}");
    }
    assert!(condition(&world.until_reason("bare", "AnnotationMismatch").await, "Ready").is_some());

    // The account's owner corrects it, and it heals without a nudge.
    let accounts = world.api::<ServiceAccount>();
    let trusted = Federated { subject: &format!("system:serviceaccount:{}:bare", world.namespace), ..trust };
    let bare = role(&world, "bare", &trusted.trust()).await;
    web_identity(&world, "bare", &bare).await;
    let patch = json!({"metadata": {"annotations": annotated(&bare.role_arn)}});
    accounts.patch("bare", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    world.until_ready("bare").await;
    tokio::time::timeout(Duration::from_secs(30), world.assert_nothing_secret_was_told(&operator.log())).await.unwrap();
}
