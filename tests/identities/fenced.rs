//! What nobody gets: by what the administrator's policy says, by the boundary, and by what the operator's own role may do.

use serde_json::{Value, json};

use crate::account::{Account, says};
use crate::harness::iam::Key;
use crate::prober::assume;
use crate::rotations::running;

async fn until_refused(account: &Account, reason: &str) -> String {
    let refused = account.until("quay-user", reason, |i| says(i, "Ready").1 == reason).await;
    assert_eq!(says(&refused, "Stalled").0, "True");
    says(&refused, "Ready").2
}

async fn users(account: &Account) -> Vec<String> {
    let listed = account.aws("list_users", json!({"PathPrefix": "/registry-sts/"})).await;
    let names = listed["Users"].as_array().unwrap().iter().map(|user| user["UserName"].as_str().unwrap().to_owned());
    names.filter(|name| name.contains(&format!("{}-", account.world.namespace))).collect()
}

#[tokio::test]
async fn what_no_policy_allows_is_refused_before_anything_is_made() {
    let account = Account::new().await;
    let _operator = account.operator().await;
    account.put_identity("quay-user", json!({"storage": [{"bucket": "a-foreign-bucket"}]})).await;
    let told = until_refused(&account, "IdentityNotAllowed").await;
    assert!(told.contains("a-foreign-bucket") && told.contains("spec.storage"), "{told}");
    let other = json!([{"bucket": account.bucket, "storagePath": "/elsewhere"}]);
    account.put_identity("quay-user", json!({"storage": other})).await;
    let elsewhere = |i: &registry_sts::api::StorageIdentity| says(i, "Ready").2.contains("/elsewhere");
    account.until("quay-user", "refused for its path", elsewhere).await;
    account.put_identity("quay-user", json!({"roleName": "administrator"})).await;
    let named = |i: &registry_sts::api::StorageIdentity| says(i, "Ready").2.contains("roleName administrator");
    account.until("quay-user", "refused for its name", named).await;
    account.put_policy(json!({"namespaces": ["another"]})).await;
    account.put_identity("quay-user", json!({})).await;
    let nobody =
        |i: &registry_sts::api::StorageIdentity| says(i, "Ready").2.contains("No IdentityPolicy names namespace");
    account.until("quay-user", "refused for its namespace", nobody).await;
    assert_eq!(users(&account).await, [""; 0]);

    // The oldest have it.
    account.put_policy(json!({"maximum": 1})).await;
    account.until_ready("quay-user").await;
    account.put_identity("another", json!({})).await;
    account.until("another", "one too many", |i| says(i, "Ready").1 == "TooManyIdentities").await;
    assert_eq!(users(&account).await.len(), 1);
}

#[tokio::test]
async fn iam_itself_keeps_a_role_out_of_a_foreign_bucket_whatever_its_policies_say() {
    let (account, operator, name) = running(json!({})).await;
    let foreign = format!("{}-foreign", account.bucket);
    account.world.plane.aws("s3", "create_bucket", json!({"Bucket": foreign})).await;
    // Nobody is there who would put it right.
    drop(operator);
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let args = json!({"RoleName": name, "PolicyName": "more", "PolicyDocument": everything.to_string()});
    account.aws("put_role_policy", args).await;
    let key = account.key_in("quay-user").await;
    let role = account.aws("get_role", json!({"RoleName": name})).await["Role"]["Arn"].as_str().unwrap().to_owned();
    assert_eq!(assume(&account.world, &key, &role).await, None);
    let request = json!({"service": "sts", "call": "assume_role",
        "args": {"RoleArn": role, "RoleSessionName": "quay"}, "as": as_key(&key)});
    let session = account.world.plane.request(request).await["ok"]["Credentials"].clone();
    let session = json!({"access_key": session["AccessKeyId"], "secret_key": session["SecretAccessKey"],
        "session_token": session["SessionToken"]});
    let list =
        |bucket: &str| json!({"service": "s3", "call": "list_objects_v2", "args": {"Bucket": bucket}, "as": session});
    assert!(account.world.plane.request(list(&account.bucket)).await.get("error").is_none());
    assert_eq!(account.world.plane.request(list(&foreign)).await["error"]["code"], "AccessDenied");
}

fn as_key(key: &Key) -> Value {
    json!({"access_key": key.id, "secret_key": key.secret})
}

/// What the operator's role is refused, by nothing but the printed policy: (call, arguments).
fn refused(account: &Account, ours: &str, other: &str) -> Vec<(&'static str, Value)> {
    let path = "/registry-sts/";
    let prefixed = format!("registry-sts-{}-new", account.world.namespace);
    let tags = json!([{"Key": "registry-sts.dev/cluster-id", "Value": account.cluster}]);
    let others_tags = json!([{"Key": "registry-sts.dev/cluster-id", "Value": "another"}]);
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}]})
    .to_string();
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
            .to_string();
    let administrator = "arn:aws:iam::aws:policy/AdministratorAccess";
    vec![
        ("create_user", json!({"UserName": prefixed, "Path": path, "Tags": tags})),
        (
            "create_user",
            json!({"UserName": prefixed, "Path": path, "Tags": tags, "PermissionsBoundary": administrator}),
        ),
        ("create_user", json!({"UserName": prefixed, "Path": path, "PermissionsBoundary": account.boundary})),
        (
            "create_user",
            json!({"UserName": prefixed, "Path": path, "Tags": others_tags, "PermissionsBoundary": account.boundary}),
        ),
        (
            "create_user",
            json!({"UserName": prefixed, "Path": "/", "Tags": tags, "PermissionsBoundary": account.boundary}),
        ),
        (
            "create_user",
            json!({"UserName": "admin", "Path": path, "Tags": tags, "PermissionsBoundary": account.boundary}),
        ),
        ("create_role", json!({"RoleName": prefixed, "Path": path, "Tags": tags, "AssumeRolePolicyDocument": trust})),
        ("delete_user_permissions_boundary", json!({"UserName": ours})),
        ("delete_role_permissions_boundary", json!({"RoleName": ours})),
        ("put_user_permissions_boundary", json!({"UserName": ours, "PermissionsBoundary": administrator})),
        ("put_role_permissions_boundary", json!({"RoleName": ours, "PermissionsBoundary": administrator})),
        (
            "create_policy_version",
            json!({"PolicyArn": account.boundary, "PolicyDocument": everything, "SetAsDefault": true}),
        ),
        ("delete_policy", json!({"PolicyArn": account.boundary})),
        ("create_policy", json!({"PolicyName": "more", "PolicyDocument": everything})),
        ("attach_user_policy", json!({"UserName": ours, "PolicyArn": administrator})),
        ("attach_role_policy", json!({"RoleName": ours, "PolicyArn": administrator})),
        ("tag_user", json!({"UserName": other, "Tags": tags})),
        ("tag_role", json!({"RoleName": other, "Tags": tags})),
        ("tag_user", json!({"UserName": ours, "Tags": others_tags})),
        ("create_access_key", json!({"UserName": other})),
        ("delete_user", json!({"UserName": other})),
        ("put_role_policy", json!({"RoleName": other, "PolicyName": "registry-sts", "PolicyDocument": everything})),
        ("update_assume_role_policy", json!({"RoleName": other, "PolicyDocument": trust})),
        ("create_access_key", json!({"UserName": "setup-admin"})),
        ("add_user_to_group", json!({"UserName": ours, "GroupName": "admins"})),
        ("create_login_profile", json!({"UserName": ours, "Password": "hunter2-Hunter2"})),
        ("list_users", json!({})),
    ]
}

#[tokio::test]
async fn the_operators_role_can_leave_neither_boundary_nor_path_nor_cluster() {
    let account = Account::new().await;
    let operator = account.operator().await;
    account.put_identity("quay-user", json!({})).await;
    account.until_ready("quay-user").await;
    let ours = account.named("quay-user").await;
    drop(operator);
    // Of the same path, and the same prefix, and another cluster.
    let other = format!("registry-sts-{}-other", account.world.namespace);
    let tags = json!([{"Key": "registry-sts.dev/cluster-id", "Value": "another"}]);
    let path = "/registry-sts/";
    account
        .aws(
            "create_user",
            json!({"UserName": other, "Path": path, "Tags": tags, "PermissionsBoundary": account.boundary}),
        )
        .await;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::123456789012:user/registry-sts/{other}")}}]})
    .to_string();
    account
        .aws(
            "create_role",
            json!({"RoleName": other, "Path": path, "Tags": tags, "AssumeRolePolicyDocument": trust,
        "PermissionsBoundary": account.boundary}),
        )
        .await;
    let session = account.own_session().await;
    let mut allowed = Vec::new();
    for (call, args) in refused(&account, &ours, &other) {
        let request = json!({"service": "iam", "call": call, "args": args, "as": session});
        let reply = account.world.plane.request(request).await;
        if reply["error"]["code"] != "AccessDenied" {
            allowed.push(format!("{call} {args}: {reply}"));
        }
    }
    assert!(allowed.is_empty(), "{}", allowed.join("\n"));
    // And what it is for it may do, asked the same way.
    let request = json!({"service": "iam", "call": "list_access_keys", "args": {"UserName": ours}, "as": session});
    assert!(account.world.plane.request(request).await.get("error").is_none());
}

#[tokio::test]
async fn a_user_made_by_hand_is_taken_over_only_where_the_administrator_says_so() {
    let account = Account::new().await;
    let _operator = account.operator().await;
    let name = format!("quay-user-of-{}", account.world.namespace);
    account.aws("create_user", json!({"UserName": name, "Path": "/registry-sts/"})).await;
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    let args = json!({"UserName": name, "PolicyName": "full-access", "PolicyDocument": everything.to_string()});
    account.aws("put_user_policy", args).await;
    account.put_identity("quay-user", json!({"userName": name})).await;
    until_refused(&account, "IdentityNotAllowed").await;

    account.put_policy(json!({"takeOver": [name]})).await;
    account.give_rights().await;
    account.until_ready("quay-user").await;
    let policies = account.aws("list_user_policies", json!({"UserName": name})).await;
    assert_eq!(policies["PolicyNames"], json!(["registry-sts"]));
    assert_eq!(account.tags(&name).await["registry-sts.dev/cluster-id"], account.cluster);
}
