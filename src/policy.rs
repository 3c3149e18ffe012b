//! IAM policy documents with the least privilege that Quay gets by with: what a role may do, and who may assume it.

pub mod location;
pub mod operator;
pub mod principal;

use serde_json::{Value, json};

use crate::arn::Partition;

/// What Quay and config-tool do with the bucket itself. `HeadBucket` carries no prefix, so none may be demanded; and
/// without `s3:ListBucket` a missing key is 403 instead of 404, on which Quay raises.
pub const BUCKET_ACTIONS: [&str; 3] = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"];
/// What Quay does with blobs.
pub const OBJECT_ACTIONS: [&str; 4] = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
/// What a customer managed key has to let Quay do.
pub const KEY_ACTIONS: [&str; 2] = ["kms:GenerateDataKey", "kms:Decrypt"];

/// The storage that a role opens.
#[derive(Clone, Debug)]
pub struct Storage<'a> {
    /// The partition.
    pub partition: Partition,
    /// The account that owns the bucket.
    pub account: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// What Quay puts before every key.
    pub prefix: &'a str,
    /// The bucket's region.
    pub region: &'a str,
    /// The customer managed key that the bucket encrypts with by default, if it does.
    pub kms_key_arn: Option<&'a str>,
}

impl Storage<'_> {
    /// The ARN of the bucket.
    pub fn bucket_arn(&self) -> String {
        format!("arn:{}:s3:::{}", self.partition.as_str(), self.bucket)
    }

    /// The ARN of every key that Quay uses.
    pub fn objects_arn(&self) -> String {
        format!("{}/{}*", self.bucket_arn(), self.prefix)
    }

    fn s3_service(&self) -> String {
        let suffix = if self.partition == Partition::China { ".cn" } else { "" };
        format!("s3.{}.amazonaws.com{suffix}", self.region)
    }

    /// What the role may do: nothing but what Quay does, in this bucket of this account, below this path.
    pub fn permissions(&self) -> Value {
        document(&self.statements(""))
    }

    /// The statements of it; within one document each `Sid` is to occur once.
    fn statements(&self, which: &str) -> Vec<Value> {
        let here = json!({"StringEquals": {"aws:ResourceAccount": self.account}});
        let sid = |what: &str| format!("{what}{which}");
        let mut statements = vec![
            json!({"Sid": sid("QuayBucket"), "Effect": "Allow", "Action": BUCKET_ACTIONS,
                   "Resource": self.bucket_arn(), "Condition": here}),
            json!({"Sid": sid("QuayBlobs"), "Effect": "Allow", "Action": OBJECT_ACTIONS,
                   "Resource": self.objects_arn(), "Condition": here}),
        ];
        statements.extend(self.kms_key_arn.map(|key| {
            json!({"Sid": sid("QuayKey"), "Effect": "Allow", "Action": KEY_ACTIONS, "Resource": key,
                   "Condition": {"StringEquals": {"kms:ViaService": self.s3_service()}}})
        }));
        statements
    }

    /// What the bucket's own policy has to add where the role is of another account.
    pub fn bucket_policy(&self, role_arn: &str) -> Value {
        let role = json!({"AWS": role_arn});
        document(&[
            json!({"Sid": "QuayBucket", "Effect": "Allow", "Principal": role, "Action": BUCKET_ACTIONS,
                   "Resource": self.bucket_arn()}),
            json!({"Sid": "QuayBlobs", "Effect": "Allow", "Principal": role, "Action": OBJECT_ACTIONS,
                   "Resource": self.objects_arn()}),
        ])
    }

    /// The statement that the key's own policy has to add where the role is of another account.
    pub fn key_policy(&self, role_arn: &str) -> Option<Value> {
        self.kms_key_arn.map(|_| {
            document(&[json!({"Sid": "QuayKey", "Effect": "Allow", "Principal": {"AWS": role_arn},
                "Action": KEY_ACTIONS, "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": self.s3_service()}}})])
        })
    }

    /// The statement that allows one action, on one line.
    pub fn statement(&self, action: &str) -> String {
        let resource = if BUCKET_ACTIONS.contains(&action) {
            self.bucket_arn()
        } else if KEY_ACTIONS.contains(&action) {
            self.kms_key_arn.unwrap_or("*").to_owned()
        } else {
            self.objects_arn()
        };
        json!({"Effect": "Allow", "Action": action, "Resource": resource}).to_string()
    }
}

/// What a role that opens several storages may do: in each what it may do in one.
pub fn permissions_of(storages: &[Storage<'_>]) -> Value {
    match storages {
        [one] => one.permissions(),
        several => {
            let each = several.iter().enumerate();
            document(
                &each.flat_map(|(index, storage)| storage.statements(&(index + 1).to_string())).collect::<Vec<_>>(),
            )
        }
    }
}

/// Who may assume the role: exactly this user, or role.
pub fn trust_of_principal(principal_arn: &str) -> Value {
    document(&[trust_statement(principal_arn)])
}

/// The statement of it, on one line.
pub fn trust_statement_of(principal_arn: &str) -> String {
    trust_statement(principal_arn).to_string()
}

fn trust_statement(principal_arn: &str) -> Value {
    json!({"Effect": "Allow", "Principal": {"AWS": principal_arn}, "Action": "sts:AssumeRole"})
}

/// What the user itself needs where it is of another account than the role.
pub fn permission_to_assume(role_arn: &str) -> Value {
    document(&[json!({"Sid": "QuayRole", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role_arn})])
}

/// A service account of a cluster, as a role's trust policy names it.
#[derive(Clone, Debug)]
pub struct Federated<'a> {
    /// The partition of the role.
    pub partition: Partition,
    /// The account of the role, which holds the provider.
    pub account: &'a str,
    /// The cluster's issuer without its scheme, which is the provider's name.
    pub issuer: &'a str,
    /// The tokens' subject.
    pub subject: &'a str,
    /// The tokens' audience.
    pub audience: &'a str,
}

impl Federated<'_> {
    /// The ARN of the identity provider.
    pub fn provider_arn(&self) -> String {
        format!("arn:{}:iam::{}:oidc-provider/{}", self.partition.as_str(), self.account, self.issuer)
    }

    /// Who may assume the role: exactly this service account, with tokens for exactly this audience.
    pub fn trust(&self) -> Value {
        document(&[self.trust_statement()])
    }

    /// The statement of it.
    pub fn trust_statement(&self) -> Value {
        json!({
            "Effect": "Allow",
            "Principal": {"Federated": self.provider_arn()},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {
                format!("{}:sub", self.issuer): self.subject,
                format!("{}:aud", self.issuer): self.audience,
            }},
        })
    }
}

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(kms_key_arn: Option<&'static str>) -> Storage<'static> {
        Storage {
            partition: Partition::China,
            account: "123492922789",
            bucket: "my-quay-bucket",
            prefix: "datastorage/",
            region: "cn-north-1",
            kms_key_arn,
        }
    }

    #[test]
    fn a_role_may_do_what_quay_does_below_its_path_in_its_account_and_nothing_else() {
        let here = json!({"StringEquals": {"aws:ResourceAccount": "123492922789"}});
        assert_eq!(
            storage(None).permissions(),
            json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "QuayBucket", "Effect": "Allow",
                 "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
                 "Resource": "arn:aws-cn:s3:::my-quay-bucket", "Condition": here},
                {"Sid": "QuayBlobs", "Effect": "Allow",
                 "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                 "Resource": "arn:aws-cn:s3:::my-quay-bucket/datastorage/*", "Condition": here},
            ]})
        );
    }

    #[test]
    fn a_customer_managed_key_is_used_through_s3_only() {
        let key = "arn:aws-cn:kms:cn-north-1:123492922789:key/1234";
        let permissions = storage(Some(key)).permissions();
        assert_eq!(
            permissions["Statement"][2],
            json!({"Sid": "QuayKey", "Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                   "Resource": key,
                   "Condition": {"StringEquals": {"kms:ViaService": "s3.cn-north-1.amazonaws.com.cn"}}})
        );
        assert!(storage(None).key_policy("arn:aws-cn:iam::1:role/a").is_none());
    }

    #[test]
    fn a_web_identity_is_trusted_by_its_subject_and_its_audience() {
        let federated = Federated {
            partition: Partition::Aws,
            account: "123492922789",
            issuer: "oidc.example.com/id",
            subject: "system:serviceaccount:quay:example-registry-quay-app",
            audience: "sts.amazonaws.com",
        };
        let statement = &federated.trust()["Statement"][0];
        assert_eq!(statement["Principal"]["Federated"], "arn:aws:iam::123492922789:oidc-provider/oidc.example.com/id");
        assert_eq!(
            statement["Condition"],
            json!({"StringEquals": {
                "oidc.example.com/id:sub": "system:serviceaccount:quay:example-registry-quay-app",
                "oidc.example.com/id:aud": "sts.amazonaws.com",
            }})
        );
    }
}
