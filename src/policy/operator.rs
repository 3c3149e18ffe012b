//! What the operator itself may do in an account: make and keep the users and roles of one cluster, within a path and a
//! permissions boundary, and nothing else. And that boundary.

use serde_json::{Value, json};

use super::{BUCKET_ACTIONS, KEY_ACTIONS, OBJECT_ACTIONS, document};
use crate::api::identity_policy::{AllowedStorage, IdentityPolicySpec};
use crate::identity::desired::Account;
use crate::identity::marker::{INTENT, tag_of};
use crate::identity::owner::{CLUSTER, ClusterId};
use crate::place::key_prefix;
use crate::reason::Failure;

/// Whether there is a user or role. What is not there has no path, and so no ARN that a policy could name.
const QUESTIONS: [&str; 2] = ["iam:GetUser", "iam:GetRole"];
/// What is looked at of users and roles that are there.
const READS: [&str; 8] = [
    "iam:ListUserPolicies",
    "iam:GetUserPolicy",
    "iam:ListAttachedUserPolicies",
    "iam:ListAccessKeys",
    "iam:GetAccessKeyLastUsed",
    "iam:ListRolePolicies",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
];
/// What is done to users that carry the cluster's tag.
const USER_WRITES: [&str; 4] = ["iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:DeleteUser"];
/// What is done to roles that carry the cluster's tag.
const ROLE_WRITES: [&str; 2] = ["iam:UpdateAssumeRolePolicy", "iam:DeleteRole"];
/// What changes what users and roles may do: only within the boundary.
const USER_POLICIES: [&str; 4] =
    ["iam:PutUserPolicy", "iam:DeleteUserPolicy", "iam:DetachUserPolicy", "iam:PutUserPermissionsBoundary"];
/// The same for roles.
const ROLE_POLICIES: [&str; 4] =
    ["iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary"];
/// What would undo the boundary.
const UNBOUNDING: [&str; 6] = [
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteRolePermissionsBoundary",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:SetDefaultPolicyVersion",
];

/// What the operator of a cluster needs for what these policies allow.
///
/// # Errors
/// A boundary that is no ARN of a policy.
pub fn operator<'a>(
    cluster: &ClusterId,
    policies: impl IntoIterator<Item = &'a IdentityPolicySpec>,
) -> Result<Value, Failure> {
    let mut statements = Vec::new();
    for (index, policy) in policies.into_iter().enumerate() {
        let which = if index == 0 { String::new() } else { (index + 1).to_string() };
        statements.extend(of_one(cluster, policy, &which)?);
    }
    Ok(document(&statements))
}

fn of_one(cluster: &ClusterId, policy: &IdentityPolicySpec, which: &str) -> Result<Vec<Value>, Failure> {
    let account = Account::of(policy)?;
    let of = |kind: &str| {
        let path = format!("{}:{kind}{}", account.iam(), policy.iam_path);
        let taken = policy.take_over.iter().filter(|name| !name.starts_with(&policy.name_prefix));
        let mut names = vec![format!("{path}{}*", policy.name_prefix)];
        names.extend(taken.map(|name| format!("{path}{name}")));
        names
    };
    let (users, roles) = (of("user"), of("role"));
    let both: Vec<&String> = users.iter().chain(&roles).collect();
    let (request_tag, resource_tag) = (format!("aws:RequestTag/{CLUSTER}"), format!("aws:ResourceTag/{CLUSTER}"));
    let (cluster, boundary) = (cluster.as_str(), policy.permissions_boundary_arn.as_str());
    let bounded = "iam:PermissionsBoundary";
    let ours = json!({"StringEquals": {&resource_tag: cluster}});
    let ours_within = json!({"StringEquals": {bounded: boundary, &resource_tag: cluster}});
    let sid = |what: &str| format!("{what}{which}");
    Ok(vec![
        json!({"Sid": sid("LookWhetherItIsThere"), "Effect": "Allow", "Action": QUESTIONS, "Resource": "*"}),
        json!({"Sid": sid("Look"), "Effect": "Allow", "Action": READS, "Resource": both}),
        json!({"Sid": sid("LookForTheProvider"), "Effect": "Allow", "Action": "iam:GetOpenIDConnectProvider",
               "Resource": format!("{}:oidc-provider/*", account.iam())}),
        json!({"Sid": sid("CreateWithinTheBoundary"), "Effect": "Allow", "Action": ["iam:CreateUser", "iam:CreateRole"],
               "Resource": both, "Condition": {"StringEquals": {bounded: boundary, &request_tag: cluster}}}),
        json!({"Sid": sid("TagOurs"), "Effect": "Allow", "Action": ["iam:TagUser", "iam:TagRole"], "Resource": both,
               "Condition": {"StringEquals": {&request_tag: cluster, &resource_tag: cluster}}}),
        // At its creation, or where it is taken over, it carries no tag yet; another cluster's carries that one's.
        json!({"Sid": sid("TagNobodys"), "Effect": "Allow", "Action": ["iam:TagUser", "iam:TagRole"], "Resource": both,
               "Condition": {"StringEquals": {&request_tag: cluster}, "Null": {&resource_tag: "true"}}}),
        json!({"Sid": sid("PoliciesWithinTheBoundary"), "Effect": "Allow",
               "Action": USER_POLICIES.iter().chain(&ROLE_POLICIES).collect::<Vec<_>>(), "Resource": both,
               "Condition": ours_within}),
        // The notes of keys, and never what says whose the user is.
        json!({"Sid": sid("UntagNotes"), "Effect": "Allow", "Action": "iam:UntagUser", "Resource": users, "Condition": {
               "StringEquals": {&resource_tag: cluster}, "Null": {"aws:TagKeys": "false"},
               "ForAllValues:StringLike": {"aws:TagKeys": [tag_of("*"), INTENT.to_owned()]}}}),
        json!({"Sid": sid("Users"), "Effect": "Allow", "Action": USER_WRITES, "Resource": users, "Condition": ours}),
        json!({"Sid": sid("Roles"), "Effect": "Allow", "Action": ROLE_WRITES, "Resource": roles, "Condition": ours}),
        json!({"Sid": sid("NeverUnbound"), "Effect": "Deny", "Action": UNBOUNDING,
               "Resource": both.iter().map(|arn| arn.as_str()).chain([boundary]).collect::<Vec<_>>()}),
    ])
}

/// The permissions boundary of what a policy allows: users may assume roles of the path, and roles may do what Quay does
/// in the buckets and paths that are allowed. It gives nothing; it is the most that anything may have.
///
/// # Errors
/// A boundary that is no ARN of a policy.
pub fn boundary(policy: &IdentityPolicySpec) -> Result<Value, Failure> {
    let account = Account::of(policy)?;
    let bucket = |allowed: &AllowedStorage| format!("arn:{}:s3:::{}", account.partition.as_str(), allowed.bucket);
    let objects = |allowed: &AllowedStorage| {
        let whole = allowed.paths.is_empty().then(|| format!("{}/*", bucket(allowed)));
        let below = allowed.paths.iter().map(|path| format!("{}/{}*", bucket(allowed), key_prefix(path)));
        whole.into_iter().chain(below).collect::<Vec<_>>()
    };
    let mut accounts: Vec<&str> =
        policy.storage.iter().map(|allowed| allowed.account.as_deref().unwrap_or(account.id)).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let here = json!({"StringEquals": {"aws:ResourceAccount": accounts}});
    let mut roles = vec![format!("{}:role{}{}*", account.iam(), policy.iam_path, policy.name_prefix)];
    let taken = policy.take_over.iter().filter(|name| !name.starts_with(&policy.name_prefix));
    roles.extend(taken.map(|name| format!("{}:role{}{name}", account.iam(), policy.iam_path)));
    let mut statements = vec![
        json!({"Sid": "AssumeRoles", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": roles}),
        json!({"Sid": "Buckets", "Effect": "Allow", "Action": BUCKET_ACTIONS,
               "Resource": policy.storage.iter().map(bucket).collect::<Vec<_>>(), "Condition": here}),
        json!({"Sid": "Blobs", "Effect": "Allow", "Action": OBJECT_ACTIONS,
               "Resource": policy.storage.iter().flat_map(objects).collect::<Vec<_>>(), "Condition": here}),
    ];
    if !policy.kms_key_arns.is_empty() {
        let via = json!({"StringLike": {"kms:ViaService": ["s3.*.amazonaws.com", "s3.*.amazonaws.com.cn"]}});
        statements.push(json!({"Sid": "Keys", "Effect": "Allow", "Action": KEY_ACTIONS,
                               "Resource": policy.kms_key_arns, "Condition": via}));
    }
    Ok(document(&statements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> IdentityPolicySpec {
        serde_json::from_value(json!({"namespaces": ["quay"], "takeOver": ["quay-user"],
            "storage": [{"bucket": "blobs", "paths": ["/datastorage"]}, {"bucket": "all", "account": "210987654321"}],
            "permissionsBoundaryArn": "arn:aws:iam::123492922789:policy/boundary"}))
        .unwrap()
    }

    fn statements(document: &Value) -> &Vec<Value> {
        document["Statement"].as_array().unwrap()
    }

    fn actions(statement: &Value) -> Vec<&str> {
        match &statement["Action"] {
            Value::String(action) => vec![action],
            actions => actions.as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect(),
        }
    }

    #[test]
    fn no_action_is_a_wildcard_and_whatever_changes_something_needs_tag_or_boundary() {
        let document = operator(&"one".parse().unwrap(), [&policy(), &policy()]).unwrap();
        let mut sids = std::collections::BTreeSet::new();
        for statement in statements(&document) {
            assert!(sids.insert(statement["Sid"].as_str().unwrap()), "{statement}");
            for action in actions(statement) {
                assert!(!action.contains(['*', '?']), "{action}");
                let asks = ["iam:Get", "iam:List"].iter().any(|asks| action.starts_with(asks));
                let conditions = statement["Condition"].to_string();
                let is_fenced = conditions.contains("/registry-sts.dev/cluster-id\":\"one\"");
                assert!(asks || is_fenced || statement["Effect"] == "Deny", "{action}: {statement}");
                let gives = ["CreateUser", "CreateRole", "Policy", "PermissionsBoundary"];
                let gives = !asks && gives.iter().any(|gives| action.contains(gives)) && !action.contains("Assume");
                let is_bounded =
                    conditions.contains("\"iam:PermissionsBoundary\":\"arn:aws:iam::123492922789:policy/boundary\"");
                assert!(!gives || is_bounded || statement["Effect"] == "Deny", "{action}: {statement}");
            }
        }
        // An inline policy of a role has room for 10,240 characters, and a managed one for 6,144.
        let one = operator(&"one".parse().unwrap(), [&policy()]).unwrap();
        assert!(one.to_string().len() < 6144, "{}", one.to_string().len());
    }

    #[test]
    fn what_it_may_touch_is_the_path_the_prefix_and_what_may_be_taken_over() {
        let document = operator(&"one".parse().unwrap(), [&policy()]).unwrap();
        let users = statements(&document).iter().find(|statement| statement["Sid"] == "Users").unwrap();
        assert_eq!(
            users["Resource"],
            json!([
                "arn:aws:iam::123492922789:user/registry-sts/registry-sts-*",
                "arn:aws:iam::123492922789:user/registry-sts/quay-user"
            ])
        );
    }

    #[test]
    fn the_boundary_lets_roles_into_the_allowed_paths_and_users_into_roles() {
        let document = boundary(&policy()).unwrap();
        let [assume, buckets, blobs] = statements(&document).as_slice() else { panic!("{document}") };
        assert_eq!(assume["Resource"][0], "arn:aws:iam::123492922789:role/registry-sts/registry-sts-*");
        assert_eq!(buckets["Resource"], json!(["arn:aws:s3:::blobs", "arn:aws:s3:::all"]));
        assert_eq!(blobs["Resource"], json!(["arn:aws:s3:::blobs/datastorage/*", "arn:aws:s3:::all/*"]));
        assert_eq!(blobs["Condition"]["StringEquals"]["aws:ResourceAccount"], json!(["123492922789", "210987654321"]));
    }
}
