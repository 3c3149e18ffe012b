//! `registry-sts policy`: what it prints is enough, and nothing of it is too much.

use serde_json::{Value, json};

use crate::harness::verb::{Ended, left_in, manifests, run};
use crate::harness::world::World;

/// The steps that fail without an action; no other does. On AWS another would: without `s3:ListBucket` also "head
/// missing" (the peer answers 404 to whoever may not list). Without `s3:GetObject` "copy" fails here because the copy cannot be read; AWS does not copy.
const NEEDED: [(&str, &[&str]); 7] = [
    ("s3:ListBucket", &["find bucket", "pod start", "list"]),
    ("s3:GetBucketLocation", &["pod start"]),
    ("s3:ListBucketMultipartUploads", &["list uploads"]),
    ("s3:GetObject", &["head", "head missing", "get", "copy"]),
    ("s3:PutObject", &["put", "multipart"]),
    ("s3:DeleteObject", &["delete"]),
    ("s3:AbortMultipartUpload", &["abort upload"]),
];

fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|one| one != action);
    }
    policy
}

fn failed(ended: &Ended) -> Vec<String> {
    let json = ended.json();
    let steps = json[0]["steps"].as_array().unwrap().iter().filter(|step| step["verdict"] == "failed");
    steps.map(|step| step["step"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_permissions_that_are_printed_let_the_whole_proof_pass_and_each_of_them_is_needed() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    let file = manifests(&world, &iam);
    let printed = run(&world, &["policy", "-f", &file, "--document", "permissions"]);
    assert_eq!(printed.code, 0, "{}", printed.told());
    let policy = printed.json();

    world.permit_document(&iam, &policy).await;
    let ended = run(&world, &["check", "-f", &file]);
    assert_eq!(ended.code, 0, "{}", ended.told());

    let actions = policy["Statement"].as_array().unwrap().iter().flat_map(|s| s["Action"].as_array().unwrap());
    let actions: Vec<&str> = actions.map(|action| action.as_str().unwrap()).collect();
    assert_eq!(actions, NEEDED.map(|(action, _)| action));
    let mut found = Vec::new();
    for (action, steps) in NEEDED {
        world.permit_document(&iam, &without(&policy, action)).await;
        let ended = run(&world, &["check", "-f", &file, "-o", "json"]);
        let one = failed(&ended);
        found.push((action, ended.code, one, steps));
        // What is left over without the right to remove it was put by nobody.
        assert_eq!(left_in(&world, &iam).await, [""; 0], "without {action}");
    }
    for (action, code, one, steps) in found {
        assert_eq!(
            (code, one.as_slice()),
            (1, steps.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
            "without {action}"
        );
    }
    world.assert_nothing_secret_was_told(&printed.told()).await;
}

#[tokio::test]
async fn the_trust_that_is_printed_is_that_of_exactly_the_user() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    let file = manifests(&world, &iam);
    let account = iam.role_arn.split(':').nth(4).unwrap();
    let user = format!("arn:aws:iam::{account}:user/{}", iam.user);

    let unknown = run(&world, &["policy", "-f", &file]);
    assert_eq!(unknown.code, 0, "{}", unknown.told());
    assert!(unknown.out.contains("<ARN of the IAM user>") && unknown.err.contains("--principal"), "{}", unknown.told());
    assert_eq!(unknown.json()["role"], iam.role_arn);

    let trust = run(&world, &["policy", "-f", &file, "--document", "trust", "--principal", &user]);
    assert_eq!((trust.code, trust.err.as_str()), (0, ""));
    let expected = json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": user}}]);
    assert_eq!(trust.json()["Statement"], expected);

    let none = run(&world, &["policy", "-f", &file, "--document", "bucket"]);
    assert_eq!((none.code, none.out.as_str()), (64, ""));
    assert!(none.err.contains("--account"), "{}", none.err);
    let everybody = run(&world, &["policy", "-f", &file, "--principal", "*"]);
    assert_eq!(everybody.code, 64, "{}", everybody.told());
    world.assert_nothing_secret_was_told(&(unknown.told() + &trust.told() + &none.told())).await;
}
