//! The commands that grant what is missing.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, PostParams};

/// Who the operator is to the API server, as `kubectl create rolebinding` wants it.
#[derive(Clone, Debug)]
pub struct Grants {
    subject: String,
}

impl Grants {
    /// Asks the API server who we are.
    pub async fn of_this_process(client: &kube::Client) -> Self {
        let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
        let review = super::answered(reviews.create(&PostParams::default(), &SelfSubjectReview::default())).await;
        let user = review.ok().and_then(|review| review.status?.user_info?.username).unwrap_or_default();
        Self { subject: subject_of(&user) }
    }

    /// The command that lets the operator read and change Secrets of a namespace.
    pub fn bundle(&self, namespace: &str) -> String {
        format!(
            "kubectl -n {namespace} create rolebinding registry-sts-bundle --clusterrole=registry-sts-bundle {}",
            self.subject
        )
    }
}

fn subject_of(user: &str) -> String {
    match user.strip_prefix("system:serviceaccount:") {
        Some(account) => format!("--serviceaccount={account}"),
        None if user.is_empty() => "--serviceaccount=registry-sts:registry-sts".into(),
        None => format!("--user={user}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_binds_whoever_the_operator_is() {
        assert_eq!(subject_of("system:serviceaccount:ops:registry-sts"), "--serviceaccount=ops:registry-sts");
        assert_eq!(subject_of("jane"), "--user=jane");
    }
}
