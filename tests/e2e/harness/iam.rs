//! Users, keys, roles and buckets of the AWS peer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{World, eventually};

/// An IAM user's access key, the role that it may assume, and a bucket.
#[derive(Clone)]
pub(crate) struct Iam {
    pub(crate) user: String,
    pub(crate) role_arn: String,
    pub(crate) bucket: String,
    pub(crate) key: Key,
}

#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl World {
    /// A user, its key, a role that trusts it, and a bucket, of names that no other test has.
    pub(crate) async fn iam(&self, name: &str) -> Iam {
        let user = format!("{}-{name}", self.namespace);
        let created = self.plane.aws("iam", "create_user", json!({"UserName": user})).await;
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": created["User"]["Arn"]}}]});
        let role = format!("{user}-role");
        let role_arn = self
            .plane
            .aws("iam", "create_role", json!({"RoleName": role, "AssumeRolePolicyDocument": trust.to_string()}))
            .await["Role"]["Arn"]
            .as_str()
            .unwrap()
            .to_owned();
        let bucket = format!("{user}-bucket");
        self.plane.aws("s3", "create_bucket", json!({"Bucket": bucket})).await;
        let key = self.new_key(&user).await;
        let iam = Iam { user, role_arn, bucket, key };
        self.allow_assume_role(&iam).await;
        self.permit(&iam, &["*"]).await;
        iam
    }

    /// Gives the role these actions on its bucket, and no others.
    pub(crate) async fn permit(&self, iam: &Iam, actions: &[&str]) {
        let bucket = format!("arn:aws:s3:::{}", iam.bucket);
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": actions, "Resource": [bucket, format!("{bucket}/*")]}]});
        self.permit_document(iam, &policy).await;
    }

    /// Gives the role this permission policy, and no other.
    pub(crate) async fn permit_document(&self, iam: &Iam, policy: &Value) {
        let role = iam.role_arn.rsplit('/').next().unwrap();
        let args = json!({"RoleName": role, "PolicyName": "storage", "PolicyDocument": policy.to_string()});
        self.plane.aws("iam", "put_role_policy", args).await;
    }

    /// Lets the user assume the role, beside any other that it may assume.
    pub(crate) async fn allow_assume_role(&self, iam: &Iam) {
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": iam.role_arn}]});
        let args = json!({"UserName": iam.user, "PolicyName": iam.bucket, "PolicyDocument": policy.to_string()});
        self.plane.aws("iam", "put_user_policy", args).await;
    }

    /// Makes the role trust another user.
    pub(crate) async fn trust(&self, iam: &Iam, user: &str) {
        let (account, role) = iam.role_arn.split_once(":role/").unwrap();
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": format!("{account}:user/{user}")}}]});
        let args = json!({"RoleName": role, "PolicyDocument": trust.to_string()});
        self.plane.aws("iam", "update_assume_role_policy", args).await;
    }

    pub(crate) async fn deny_assume_role(&self, iam: &Iam) {
        self.plane.aws("iam", "delete_user_policy", json!({"UserName": iam.user, "PolicyName": iam.bucket})).await;
    }

    pub(crate) async fn new_key(&self, user: &str) -> Key {
        let created = self.plane.aws("iam", "create_access_key", json!({"UserName": user})).await;
        let text = |field: &str| created["AccessKey"][field].as_str().unwrap().to_owned();
        let key = Key { id: text("AccessKeyId"), secret: text("SecretAccessKey") };
        self.must_not_be_told(&key.secret);
        key
    }

    /// AWS lets a user have two keys.
    pub(crate) async fn delete_key(&self, user: &str, key: &Key) {
        self.plane.aws("iam", "delete_access_key", json!({"UserName": user, "AccessKeyId": key.id})).await;
    }

    /// Another user, and its key, which opens the bucket by itself, as keys did before there were roles.
    pub(crate) async fn user_without_role(&self, iam: &Iam) -> (String, Key) {
        let user = format!("{}-old", iam.user);
        self.plane.aws("iam", "create_user", json!({"UserName": user})).await;
        let bucket = format!("arn:aws:s3:::{}", iam.bucket);
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "s3:*", "Resource": [bucket, format!("{bucket}/*")]}]});
        let args = json!({"UserName": user, "PolicyName": "s3", "PolicyDocument": policy.to_string()});
        self.plane.aws("iam", "put_user_policy", args).await;
        let key = self.new_key(&user).await;
        (user, key)
    }

    /// Resource `example`, for location `default` of `bundle` with the key in `quay-user`: all that it needs but an operator.
    pub(crate) async fn put_example(&self, config: &str) -> Iam {
        let iam = self.iam("a").await;
        self.put_key("quay-user", &iam.key).await;
        self.put_bundle("bundle", config).await;
        self.put_resource("example", "bundle", &[Self::location("default", &iam, "quay-user")]).await;
        iam
    }

    /// A new key for that, and how long it takes until the bundle has it. The old ones go.
    pub(crate) async fn rotate_example(&self, iam: &Iam) -> Duration {
        let key = self.new_key(&iam.user).await;
        self.put_key("quay-user", &key).await;
        let started = Instant::now();
        eventually("the key is written", || async { self.config("bundle").await.contains(&key.id).then_some(()) })
            .await;
        // AWS lets a user have two keys.
        let old = self.plane.aws("iam", "list_access_keys", json!({"UserName": iam.user})).await;
        for other in old["AccessKeyMetadata"].as_array().unwrap() {
            let id = other["AccessKeyId"].as_str().unwrap();
            if id != key.id {
                let args = json!({"UserName": iam.user, "AccessKeyId": id});
                self.plane.aws("iam", "delete_access_key", args).await;
            }
        }
        started.elapsed()
    }
}
