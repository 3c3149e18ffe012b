//! `registry-sts check`: the proof without the operator, from files and from the cluster.

use serde_json::json;

use crate::harness::verb::{left_in, manifests, run};
use crate::harness::world::World;

/// What a role of Quay's needs.
const ALL: [&str; 7] = [
    "s3:ListBucket",
    "s3:GetBucketLocation",
    "s3:ListBucketMultipartUploads",
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
];

#[tokio::test]
async fn a_location_that_works_is_proven_from_its_manifests_and_nothing_is_left_in_the_bucket() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    world.permit(&iam, &ALL).await;
    let file = manifests(&world, &iam);

    let ended = run(&world, &["check", "-f", &file]);
    assert_eq!(ended.code, 0, "{}", ended.told());
    let head = format!("{}/example, location default: proven", world.namespace);
    assert!(ended.out.starts_with(&head), "{}", ended.out);
    assert_eq!(ended.out.matches("  ✓ ").count(), 14, "{}", ended.out);
    for word in [&iam.role_arn, &iam.bucket, "from this machine", "nothing of Quay's yet"] {
        assert!(ended.out.contains(word), "{word:?} is not in: {}", ended.out);
    }
    assert!(!ended.out.contains('\x1b'), "no colours but on a terminal");
    assert_eq!(left_in(&world, &iam).await, [""; 0]);

    // The last step of the procedure by hand: an image was pushed, and there it is.
    for key in ["datastorage/sha256/ab/abc", "datastorage/uploads/1"] {
        world.plane.aws("s3", "put_object", json!({"Bucket": iam.bucket, "Key": key, "Body": "x"})).await;
    }
    let json = run(&world, &["check", "-f", &file, "-o", "json"]);
    assert_eq!(json.code, 0, "{}", json.told());
    let report = &json.json()[0];
    assert_eq!(report["stored"], json!({"sha256": true, "uploads": true}));
    assert!(report["proven"] == true && report["location"] == "default");
    assert!(report["principal"].as_str().unwrap().contains(&iam.key.id[iam.key.id.len() - 4..]));
    world.assert_nothing_secret_was_told(&(ended.told() + &json.told())).await;
}

#[tokio::test]
async fn a_role_that_may_not_put_is_refused_at_that_step_with_the_statement_to_add() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    let all_but_put: Vec<&str> = ALL.into_iter().filter(|action| *action != "s3:PutObject").collect();
    world.permit(&iam, &all_but_put).await;
    let file = manifests(&world, &iam);

    let ended = run(&world, &["check", "-f", &file]);
    assert_eq!(ended.code, 1, "{}", ended.told());
    let line = ended.out.lines().find(|line| line.starts_with("  ✗ put")).unwrap();
    assert!(line.ends_with("PutDenied"), "{line}");
    let statement = format!(
        r#"{{"Action":"s3:PutObject","Effect":"Allow","Resource":"arn:aws:s3:::{}/datastorage/*"}}"#,
        iam.bucket
    );
    assert!(ended.out.contains(&statement), "{}", ended.out);
    assert!(ended.out.contains("  – get ") && !ended.out.contains("tried again"), "{}", ended.out);
    assert_eq!(left_in(&world, &iam).await, [""; 0]);

    let json = run(&world, &["check", "-f", &file, "-o", "json"]);
    assert_eq!(json.code, 1);
    let steps = json.json()[0]["steps"].as_array().unwrap().clone();
    let put = steps.iter().find(|step| step["step"] == "put").unwrap();
    assert!(put["verdict"] == "failed" && put["reason"] == "PutDenied", "{put}");

    // Who only looks does not see it, and says so.
    let looked = run(&world, &["check", "-f", &file, "--read-only"]);
    assert_eq!(looked.code, 0, "{}", looked.told());
    assert!(looked.out.contains("nothing is proven") && looked.out.contains("  – put "), "{}", looked.out);
    world.assert_nothing_secret_was_told(&(ended.told() + &json.told() + &looked.told())).await;
}

#[tokio::test]
async fn a_resource_in_the_cluster_is_looked_at_with_the_rights_of_the_kubeconfig() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    let location = World::location("default", &iam, "quay-user");
    world.put_resource("example", "bundle", std::slice::from_ref(&location)).await;
    let arguments = ["check", "-n", &world.namespace, "example"];

    let missing = run(&world, &arguments);
    assert_eq!(missing.code, 1, "{}", missing.told());
    assert!(missing.out.contains("KeySecretMissing"), "{}", missing.out);

    world.put_key("quay-user", &iam.key).await;
    let ended = run(&world, &arguments);
    assert_eq!(ended.code, 0, "{}", ended.told());
    assert!(ended.out.contains("✓ delete"), "{}", ended.out);
    assert_eq!(left_in(&world, &iam).await, [""; 0]);

    let nobody = run(&world, &["check", "-n", &world.namespace, "other"]);
    assert_eq!(nobody.code, 2, "{}", nobody.told());
    assert!(nobody.err.contains("there is none") && nobody.out.is_empty(), "{}", nobody.told());
    world.assert_nothing_secret_was_told(&(missing.told() + &ended.told() + &nobody.told())).await;
}

#[tokio::test]
async fn a_service_account_of_manifests_cannot_be_looked_at_and_it_is_said_how_it_can() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    let location = json!({
        "name": "default", "bucket": iam.bucket, "region": "us-east-1",
        "auth": {"webIdentity": {"serviceAccountName": "example-registry-quay-app"}},
    });
    let resource = world.put_resource("example", "bundle", &[location]).await;
    let file = world.dir.path().join("storage.json");
    std::fs::write(&file, serde_json::to_string(&resource).unwrap()).unwrap();
    let from_file = run(&world, &["check", "-f", file.to_str().unwrap()]);
    assert_eq!(from_file.code, 2, "{}", from_file.told());
    let told = from_file.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let how = format!("registry-sts check -n {} example", world.namespace);
    assert!(from_file.out.contains("  ? principal") && told.contains(&how), "{told}");
    world.assert_nothing_secret_was_told(&from_file.told()).await;
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_told_apart_from_what_is_refused() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    let file = manifests(&world, &iam);
    let text = std::fs::read_to_string(&file).unwrap();
    let (storage, _) = text.split_once("---\n").unwrap();
    let without_key = world.dir.path().join("without-key.yaml");
    std::fs::write(&without_key, storage).unwrap();

    let ended = run(&world, &["check", "-f", without_key.to_str().unwrap()]);
    assert_eq!(ended.code, 2, "{}", ended.told());
    assert!(ended.out.contains("  ? principal") && ended.out.contains("is not among the manifests"), "{}", ended.out);

    let nothing = world.dir.path().join("nothing.yaml");
    std::fs::write(&nothing, "kind: ConfigMap\n").unwrap();
    for (arguments, code, says) in [
        (vec!["check", "-f", nothing.to_str().unwrap()], 2, "there is no QuayStorage"),
        (vec!["check"], 64, "NAME"),
        (vec!["check", "-f", &file, "example"], 64, "cannot be used with"),
    ] {
        let ended = run(&world, &arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.told());
        assert!(ended.err.contains(says), "{arguments:?}: {}", ended.err);
    }
    world.assert_nothing_secret_was_told(&ended.told()).await;
}
