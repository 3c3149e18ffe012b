//! The commands that grant what is missing.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use tokio::sync::OnceCell;

use super::secret_watches::Scope;
use crate::consumer::Consumer;

/// Who the operator is where nobody tells: what deploy/ makes it.
const UNKNOWN_SUBJECT: &str = "--serviceaccount=registry-sts:registry-sts";

/// Who asks the API server, as `kubectl create rolebinding` wants it. It is asked when it is first needed.
pub struct Grants {
    who: &'static str,
    /// It works in the namespaces that were named, and has no right beyond them.
    is_namespaced: bool,
    client: kube::Client,
    subject: OnceCell<String>,
}

impl Grants {
    /// The operator asks. The API server is asked nothing yet.
    pub fn new(client: kube::Client) -> Self {
        Self { who: "The operator", is_namespaced: false, client, subject: OnceCell::new() }
    }

    /// The operator asks, which works in some namespaces only.
    #[must_use]
    pub fn in_namespaces(self) -> Self {
        Self { is_namespaced: true, ..self }
    }

    /// Somebody with a kubeconfig asks.
    pub fn of_caller(client: kube::Client) -> Self {
        Self { who: "Your kubeconfig's user", ..Self::new(client) }
    }

    /// Who asks, as the beginning of a sentence.
    pub fn who(&self) -> &'static str {
        self.who
    }

    /// The command that lets them read and change Secrets of a namespace.
    pub async fn bundle(&self, namespace: &str) -> String {
        self.bind(namespace, "registry-sts-bundle").await
    }

    /// The command that lets them make outputs of a namespace's Secrets.
    pub async fn output(&self, namespace: &str) -> String {
        self.bind(namespace, "registry-sts-output").await
    }

    /// The one of the two that a bundle needs.
    pub async fn secrets(&self, namespace: &str, consumer: &Consumer) -> String {
        if consumer.source.is_some() { self.output(namespace).await } else { self.bundle(namespace).await }
    }

    /// The command that lets them mint tokens for service accounts of a namespace.
    pub async fn mint(&self, namespace: &str) -> String {
        self.bind(namespace, "registry-sts-mint").await
    }

    /// The command that lets the operator annotate service accounts of a namespace.
    pub async fn annotate(&self, namespace: &str) -> String {
        self.bind(namespace, "registry-sts-annotate").await
    }

    /// The command that lets the operator put access keys into Secrets of a namespace.
    pub async fn key(&self, namespace: &str) -> String {
        self.bind(namespace, "registry-sts-key").await
    }

    /// The command that lets the operator see what runs Quay in a namespace.
    pub async fn rollout(&self, namespace: &str) -> String {
        self.bind(namespace, "registry-sts-rollout").await
    }

    /// The command that lets the operator keep what stands in bundles of a namespace, to be put back.
    pub async fn restore(&self, namespace: &str) -> String {
        self.bind(namespace, "registry-sts-restore").await
    }

    /// The command that lets it roll that, too.
    pub async fn restart(&self, namespace: &str) -> String {
        self.bind(namespace, "registry-sts-restart").await
    }

    /// The commands that let the operator see `QuayRegistries` of a namespace.
    pub async fn registries(&self, namespace: &str) -> String {
        if self.is_namespaced {
            return format!(
                "add get, list and watch of quayregistries.quay.redhat.com to its Role in namespace {namespace}"
            );
        }
        let (role, subject) = ("registry-sts-registries", self.subject().await);
        format!(
            "kubectl create clusterrole {role} --verb=get,list,watch --resource=quayregistries.quay.redhat.com && kubectl create clusterrolebinding {role} --clusterrole={role} {subject}"
        )
    }

    async fn bind(&self, namespace: &str, role: &str) -> String {
        let subject = self.subject().await;
        let command = format!("kubectl -n {namespace} create rolebinding {role} --clusterrole={role} {subject}");
        // An operator of namespaces may have been installed without the roles of the cluster.
        if self.is_namespaced {
            format!("{command}  # if there is no such ClusterRole: registry-sts rbac --namespaced")
        } else {
            command
        }
    }

    async fn subject(&self) -> &str {
        let subject = self.subject.get_or_try_init(|| self.ask()).await;
        subject.map_or(UNKNOWN_SUBJECT, String::as_str)
    }

    async fn ask(&self) -> Result<String, super::ApiProblem> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = super::answered(reviews.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
        let user = review.status.and_then(|status| status.user_info?.username);
        Ok(user.map_or_else(|| UNKNOWN_SUBJECT.to_owned(), |user| subject_of(&user)))
    }
}

/// What the API server says of a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Granted {
    Yes,
    No,
    Unanswered,
}

/// Whether the operator may list and watch these Secrets now.
pub(super) async fn may_watch(client: &kube::Client, scope: &Scope) -> Granted {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    for verb in ["list", "watch"] {
        let attributes = ResourceAttributes {
            namespace: scope.namespace().map(str::to_owned),
            resource: Some("secrets".into()),
            verb: Some(verb.into()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let answer = super::answered(reviews.create(&PostParams::default(), &review)).await;
        match answer.ok().and_then(|review| review.status) {
            Some(status) if status.allowed => {}
            Some(_) => return Granted::No,
            None => return Granted::Unanswered,
        }
    }
    Granted::Yes
}

fn subject_of(user: &str) -> String {
    match user.strip_prefix("system:serviceaccount:") {
        Some(account) => format!("--serviceaccount={account}"),
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
