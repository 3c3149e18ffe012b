//! The documents for a location of a resource; what no manifest says is marked, and a note says which flag fills it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::principal::{AccountId, Issuer, PrincipalArn};
use super::{Federated, Storage, permission_to_assume, trust_of_principal};
use crate::arn::{Partition, RoleArn};
use crate::place::{Endpoint, key_prefix};
use crate::plan::desired::{Auth, Wanted, WebIdentity};

/// What was told of what no manifest says.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Who assumes the role with an access key.
    pub principal: Option<PrincipalArn>,
    /// The issuer of the cluster's tokens.
    pub issuer: Option<Issuer>,
    /// The account that owns the bucket.
    pub account: Option<AccountId>,
}

/// The documents of a location. Its field names are stable.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Documents {
    /// The resource: its name, with its namespace if the manifest says one.
    pub resource: String,
    /// The location's name.
    pub location: String,
    /// The role.
    pub role: String,
    /// Who may assume the role.
    pub trust_policy: Value,
    /// What the role may do.
    pub permission_policy: Value,
    /// What the user needs itself, where it is of another account than the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_policy: Option<Value>,
    /// What the bucket's policy has to add, where the bucket is of another account than the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_policy: Option<Value>,
    /// What the key's policy has to add, where the bucket or its key is of another account than the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_policy: Option<Value>,
}

/// Which resource a location is of.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The resource: its name, with its namespace if the manifest says one.
    pub resource: &'a str,
    /// Its namespace, if the manifest says one.
    pub namespace: Option<&'a str>,
    /// The location's name.
    pub location: &'a str,
}

/// What no manifest says and nobody told: what stands there instead, and what fills it.
type Notes = BTreeSet<&'static str>;

impl Documents {
    /// The documents of a location; adds to `notes` what is missing.
    ///
    /// # Errors
    /// What was told does not go together with the location.
    pub fn new(of: Of<'_>, wanted: &Wanted, told: &Told, notes: &mut Notes) -> Result<Self, String> {
        let role = match &wanted.auth {
            Auth::AccessKey { role, .. } => Some(role),
            Auth::WebIdentity(identity) => identity.role.as_ref(),
        };
        let partition = role.map_or_else(|| partition_of(&wanted.endpoint), RoleArn::partition);
        let named_accounts = (role.map(RoleArn::account), told.account.as_ref().map(AccountId::as_str));
        let (role_account, bucket_account) = match named_accounts {
            (Some(role), bucket) => (role, bucket.unwrap_or(role)),
            (None, Some(bucket)) => {
                notes.insert("auth.webIdentity.roleArn is not given: the role is taken to be of the bucket's account (--account). Give it where it is of another.");
                (bucket, bucket)
            }
            (None, None) => {
                notes.insert("<account>: the account of the role and the bucket; --account fills it, or auth.webIdentity.roleArn.");
                ("<account>", "<account>")
            }
        };
        let role_arn = role.map_or("<ARN of the role>", RoleArn::as_str);
        let prefix = key_prefix(wanted.storage_path.as_str());
        let storage = Storage {
            partition,
            account: bucket_account,
            bucket: wanted.bucket.as_str(),
            prefix: &prefix,
            region: region(wanted),
            kms_key_arn: wanted.kms_key_arn.as_deref(),
        };
        if matches!(wanted.endpoint, Endpoint::Url(_)) {
            notes.insert("endpointUrl: the documents are written for AWS. Whether the endpoint knows all conditions (aws:ResourceAccount) is for its documentation to say.");
        }
        let (trust_policy, principal_policy) = match &wanted.auth {
            Auth::AccessKey { role, .. } => of_principal(role, told, notes)?,
            Auth::WebIdentity(identity) => {
                (of_account(identity, of.namespace, partition, role_account, told, notes), None)
            }
        };
        let elsewhere = bucket_account != role_account;
        let key_elsewhere = elsewhere || storage.kms_key_arn.and_then(account_of).is_some_and(|a| a != role_account);
        if role.is_none() && (elsewhere || key_elsewhere) {
            notes.insert("<ARN of the role>: auth.webIdentity.roleArn fills it.");
        }
        Ok(Self {
            resource: of.resource.to_owned(),
            location: of.location.to_owned(),
            role: role_arn.to_owned(),
            trust_policy,
            permission_policy: storage.permissions(),
            principal_policy,
            bucket_policy: elsewhere.then(|| storage.bucket_policy(role_arn)),
            key_policy: key_elsewhere.then(|| storage.key_policy(role_arn)).flatten(),
        })
    }
}

fn of_principal(role: &RoleArn, told: &Told, notes: &mut Notes) -> Result<(Value, Option<Value>), String> {
    let Some(principal) = &told.principal else {
        notes.insert("<ARN of the IAM user>: --principal fills it. `aws iam get-user --user-name NAME` shows it.");
        return Ok((trust_of_principal("<ARN of the IAM user>"), None));
    };
    if principal.partition() != role.partition().as_str() {
        return Err(format!(
            "--principal {} is of partition {}, and the role {role} of {}: no role trusts a user of another partition. Give the user of the role's partition.",
            principal.as_str(),
            principal.partition(),
            role.partition().as_str()
        ));
    }
    let own = (principal.account() != role.account()).then(|| permission_to_assume(role.as_str()));
    Ok((trust_of_principal(principal.as_str()), own))
}

fn of_account(
    identity: &WebIdentity,
    namespace: Option<&str>,
    partition: Partition,
    account: &str,
    told: &Told,
    notes: &mut Notes,
) -> Value {
    if told.issuer.is_none() {
        notes.insert("<issuer>: the issuer of the cluster's tokens without https://; --oidc-issuer fills it. `kubectl get --raw /.well-known/openid-configuration` shows it.");
    }
    if namespace.is_none() {
        notes.insert("<namespace>: the namespace that the service account is in; metadata.namespace of the QuayStorage fills it.");
    }
    let subject = format!("system:serviceaccount:{}:{}", namespace.unwrap_or("<namespace>"), identity.account);
    let issuer = told.issuer.as_ref().map_or("<issuer>", Issuer::as_str);
    Federated { partition, account, issuer, subject: &subject, audience: &identity.audience }.trust()
}

/// The partition of a role that is not named: that of the bucket.
fn partition_of(endpoint: &Endpoint) -> Partition {
    match endpoint {
        Endpoint::Region(region) => Partition::of_region(region.as_str()).unwrap_or(Partition::Aws),
        Endpoint::Url(_) => Partition::Aws,
    }
}

/// The region of the bucket; of one at an endpoint its key's, for which alone it counts.
fn region(wanted: &Wanted) -> &str {
    match (&wanted.endpoint, &wanted.kms_key_arn) {
        (Endpoint::Region(region), _) => region.as_str(),
        (Endpoint::Url(_), Some(key)) => key.split(':').nth(3).unwrap_or_default(),
        (Endpoint::Url(_), None) => "us-east-1",
    }
}

fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::Manifests;
    use crate::plan::desired::Allowed;

    const HERE: &str = "123492922789";
    const KEYS: &str =
        "roleArn: 'arn:aws:iam::123492922789:role/quay', auth: {accessKey: {secretRef: {name: quay-user}}}";
    const PODS: &str = "auth: {webIdentity: {serviceAccountName: example-registry-quay-app}}";

    /// The documents of the only location, and what is noted.
    fn documents(location: &str, namespace: &str, told: &Told) -> Result<(Documents, String), String> {
        let mut manifests = Manifests::default();
        let text = format!(
            "apiVersion: registry-sts.dev/v1alpha1\nkind: QuayStorage\nmetadata: {{name: example{namespace}}}\nspec:\n  configBundleSecret: bundle\n  locations:\n  - {{name: default, bucket: my-quay-bucket, {location}}}\n"
        );
        manifests.add("a.yaml", &text).unwrap();
        let parsed = manifests.parsed(&Allowed::any()).map_err(|refused| refused[0].to_string())?;
        let wanted = parsed[0].desired.locations[0].wanted.as_ref().map_err(|failure| failure.message.clone())?;
        let mut notes = Notes::new();
        let of = Of { resource: &parsed[0].name(), namespace: parsed[0].namespace(), location: "default" };
        let documents = Documents::new(of, wanted, told, &mut notes)?;
        Ok((documents, notes.into_iter().collect::<Vec<_>>().join("\n")))
    }

    fn told(principal: &str, issuer: &str, account: &str) -> Told {
        Told { principal: principal.parse().ok(), issuer: issuer.parse().ok(), account: account.parse().ok() }
    }

    #[test]
    fn a_user_of_the_roles_account_needs_trust_and_the_role_permissions_and_nothing_more() {
        let user = format!("arn:aws:iam::{HERE}:user/quay-user");
        let location = format!("region: us-east-1, {KEYS}");
        let (documents, notes) = documents(&location, ", namespace: quay", &told(&user, "", "")).unwrap();
        assert_eq!(notes, "");
        let document = serde_json::to_value(&documents).unwrap();
        assert_eq!(document["trustPolicy"]["Statement"][0]["Principal"]["AWS"], user);
        let account = &document["permissionPolicy"]["Statement"][0]["Condition"]["StringEquals"];
        assert_eq!(account["aws:ResourceAccount"], HERE);
        assert_eq!(
            (document["resource"].as_str(), document["location"].as_str()),
            (Some("quay/example"), Some("default"))
        );
        for absent in ["principalPolicy", "bucketPolicy", "keyPolicy"] {
            assert_eq!(document.get(absent), None);
        }
    }

    #[test]
    fn each_border_between_accounts_has_its_document() {
        let key = "kmsKeyArn: 'arn:aws:kms:us-east-1:222222222222:key/1234'";
        let told = told("arn:aws:iam::111111111111:user/quay-user", "", "222222222222");
        let (documents, _) = documents(&format!("region: us-east-1, {key}, {KEYS}"), "", &told).unwrap();
        let role = format!("arn:aws:iam::{HERE}:role/quay");
        assert_eq!(documents.principal_policy.unwrap()["Statement"][0]["Resource"], role);
        assert_eq!(documents.bucket_policy.unwrap()["Statement"][1]["Principal"]["AWS"], role);
        assert_eq!(documents.key_policy.unwrap()["Statement"][0]["Principal"]["AWS"], role);
        let permissions = documents.permission_policy.to_string();
        assert!(permissions.contains("222222222222") && permissions.contains("kms:Decrypt"), "{permissions}");
    }

    #[test]
    fn a_service_account_is_trusted_by_issuer_subject_and_audience_in_its_partition() {
        let pods = "auth: {webIdentity: {serviceAccountName: app, audience: openshift, roleArn: 'arn:aws-us-gov:iam::123492922789:role/quay'}}";
        let told = told("", "https://oidc.example.com/id", "");
        let (documents, notes) =
            documents(&format!("region: us-gov-west-1, {pods}"), ", namespace: quay", &told).unwrap();
        assert_eq!(notes, "");
        let statement = &documents.trust_policy["Statement"][0];
        let provider = "arn:aws-us-gov:iam::123492922789:oidc-provider/oidc.example.com/id";
        assert_eq!(statement["Principal"]["Federated"], provider);
        let condition = &statement["Condition"]["StringEquals"];
        assert_eq!(condition["oidc.example.com/id:sub"], "system:serviceaccount:quay:app");
        assert_eq!(condition["oidc.example.com/id:aud"], "openshift");
        assert!(documents.permission_policy.to_string().contains("arn:aws-us-gov:s3:::my-quay-bucket/datastorage/*"));
    }

    #[test]
    fn what_nobody_told_is_marked_and_the_note_says_what_fills_it() {
        let (keys, notes) = documents(&format!("region: us-east-1, {KEYS}"), "", &Told::default()).unwrap();
        assert_eq!(keys.trust_policy["Statement"][0]["Principal"]["AWS"], "<ARN of the IAM user>");
        assert!(notes.contains("--principal"), "{notes}");

        let (pods, notes) = documents(&format!("region: cn-north-1, {PODS}"), "", &Told::default()).unwrap();
        let trust = pods.trust_policy.to_string();
        assert!(trust.contains("arn:aws-cn:iam::<account>:oidc-provider/<issuer>"), "{trust}");
        assert!(trust.contains("system:serviceaccount:<namespace>:example-registry-quay-app"), "{trust}");
        for flag in ["--account", "--oidc-issuer", "metadata.namespace"] {
            assert!(notes.contains(flag), "{flag}: {notes}");
        }
        assert_eq!(pods.role, "<ARN of the role>");

        let account = told("", "", HERE);
        let (pods, notes) = documents(&format!("region: us-east-1, {PODS}"), "", &account).unwrap();
        assert!(pods.trust_policy.to_string().contains("iam::123492922789:oidc-provider"));
        assert!(notes.contains("taken to be of the bucket's account"), "{notes}");
    }

    #[test]
    fn a_user_of_another_partition_is_refused() {
        let gov = told("arn:aws-us-gov:iam::123492922789:user/quay-user", "", "");
        let refused = documents(&format!("region: us-east-1, {KEYS}"), "", &gov).unwrap_err();
        assert!(refused.contains("of partition aws-us-gov"), "{refused}");
    }
}
