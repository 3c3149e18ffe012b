//! PURE: the locations that are to be looked at, and what of each can be.

use std::sync::Arc;

use crate::manifests::{Manifests, Refused};
use crate::plan::Desired;
use crate::plan::desired::{Allowed, Auth, DesiredLocation, Wanted};
use crate::plan::key::AccessKey;
use crate::plan::web_identity::{AccountSeen, PodIdentity};
use crate::reason::{Failure, Reason};
use crate::target::Target;
use crate::verdict::{Step, Verdict};

/// A location that is to be looked at.
pub struct Case {
    /// The resource: its name, with its namespace if that is known.
    pub resource: String,
    /// The location's name.
    pub location: String,
    /// The resource's namespace, or nothing.
    pub namespace: String,
    /// The role, if it is known.
    pub role: Option<String>,
    /// Where the blobs are, if it is known.
    pub place: Option<String>,
    /// What is to be proven, or the step at which that ends.
    pub target: Result<Target, (Step, Verdict)>,
}

/// What was seen of who assumes a location's role.
pub enum Seen {
    /// An access key, or why there is none.
    Key(Result<AccessKey, Failure>),
    /// A service account, or why it was not seen.
    Account(Result<AccountSeen, Failure>),
    /// It cannot be seen from here, for this reason.
    Nothing(String),
}

impl Case {
    /// A location of a resource, given who assumes its role.
    pub fn new(
        resource: &str,
        namespace: Option<&str>,
        desired: &Desired,
        location: &DesiredLocation,
        seen: Option<Seen>,
    ) -> Self {
        let target = match (&location.wanted, seen) {
            (Err(failure), _) => Err((Step::Principal, Verdict::Failed(failure.clone()))),
            (Ok(wanted), Some(seen)) => target(namespace.unwrap_or_default(), desired, wanted, seen),
            (Ok(_), None) => Err((Step::Principal, Verdict::Unknown("Nobody looked who assumes the role.".into()))),
        };
        let wanted = location.wanted.as_ref().ok();
        let named = wanted.and_then(|wanted| match &wanted.auth {
            Auth::AccessKey { role, .. } => Some(role.to_string()),
            Auth::WebIdentity(identity) => identity.role.as_ref().map(ToString::to_string),
        });
        Self {
            resource: resource.to_owned(),
            location: location.name.clone(),
            namespace: namespace.unwrap_or_default().to_owned(),
            role: target.as_ref().ok().and_then(|target| Some(target.role.as_ref()?.to_string())).or(named),
            place: wanted.map(|wanted| wanted.place().to_string()),
            target,
        }
    }
}

impl Case {
    /// With the certificates that the registry's bundle has.
    #[must_use]
    pub fn trusting(mut self, certificates: Option<Arc<str>>) -> Self {
        if let Ok(target) = &mut self.target {
            target.certificates = certificates;
        }
        self
    }
}

fn target(namespace: &str, desired: &Desired, wanted: &Wanted, seen: Seen) -> Result<Target, (Step, Verdict)> {
    let ended = match (&wanted.auth, seen) {
        (_, Seen::Nothing(why)) => return Err((Step::Principal, Verdict::Unknown(why))),
        (Auth::AccessKey { role, sts, .. }, Seen::Key(key)) => wanted.assumed_with(&key, role, sts, &desired.consumer),
        (Auth::WebIdentity(identity), Seen::Account(seen)) => seen
            .and_then(|seen| PodIdentity::of(identity, namespace, &seen))
            .map_err(|failure| (Step::Principal, failure))
            .and_then(|pod| wanted.assumed_by(&pod, &desired.consumer)),
        (Auth::AccessKey { .. }, Seen::Account(_)) | (Auth::WebIdentity(_), Seen::Key(_)) => {
            return Err((Step::Principal, Verdict::Unknown("Nobody looked who assumes the role.".into())));
        }
    };
    ended.map_err(|(step, failure)| match failure.reason {
        Reason::StsEndpointUnknown => (step, Verdict::Unknown(failure.message)),
        _ => (step, Verdict::Failed(failure)),
    })
}

/// The locations of manifests.
///
/// # Errors
/// Everything that the API server or the operator would refuse of whole resources.
pub fn of_manifests(manifests: &Manifests, allowed: &Allowed) -> Result<Vec<Case>, Vec<Refused>> {
    let parsed = manifests.parsed(allowed)?;
    let cases = parsed.iter().flat_map(|one| {
        let (name, namespace) = (one.name(), one.namespace());
        one.desired.locations.iter().map(move |location| {
            let wanted = location.wanted.as_ref().ok();
            let seen = wanted.map(|wanted| seen_in(manifests, &name, namespace, wanted));
            Case::new(&name, namespace, &one.desired, location, seen)
        })
    });
    Ok(cases.collect())
}

fn seen_in(manifests: &Manifests, resource: &str, namespace: Option<&str>, wanted: &Wanted) -> Seen {
    match &wanted.auth {
        Auth::AccessKey { secret, .. } => match manifests.key(namespace, secret) {
            Err(failure) if failure.reason == Reason::KeySecretMissing => Seen::Nothing(format!(
                "{} Or look at what is in the cluster: registry-sts check -n {}.",
                failure.message,
                in_cluster(resource, namespace)
            )),
            key => Seen::Key(key),
        },
        Auth::WebIdentity(identity) => Seen::Nothing(format!(
            "Only the cluster gives a token of service account {}, so that manifests alone prove nothing of its role. Look from there: registry-sts check -n {}.",
            identity.account,
            in_cluster(resource, namespace)
        )),
    }
}

/// The arguments that name a resource in the cluster.
fn in_cluster(resource: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(_) => resource.replacen('/', " ", 1),
        None => format!("NAMESPACE {resource}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORAGE: &str = "apiVersion: registry-sts.dev/v1alpha1
kind: QuayStorage
metadata: {name: example, namespace: quay}
spec:
  configBundleSecret: bundle
  locations:
  - {name: key, bucket: my-quay-bucket, region: us-east-1, roleArn: 'arn:aws:iam::123492922789:role/quay', auth: {accessKey: {secretRef: {name: quay-user}}}}
  - {name: china, bucket: my-quay-bucket, region: cn-north-1, roleArn: 'arn:aws-cn:iam::123492922789:role/quay', auth: {accessKey: {secretRef: {name: quay-user}}}}
  - {name: pods, bucket: my-quay-bucket, region: us-east-1, auth: {webIdentity: {serviceAccountName: example-registry-quay-app}}}
";
    const KEY: &str = "apiVersion: v1
kind: Secret
metadata: {name: quay-user, namespace: quay}
stringData: {AWS_ACCESS_KEY_ID: AKIAEXAMPLEEXAMPLE, AWS_SECRET_ACCESS_KEY: s3cr3t}
";

    fn cases(files: &[&str]) -> Vec<Case> {
        let mut manifests = Manifests::default();
        for (index, text) in files.iter().enumerate() {
            manifests.add(&format!("{index}.yaml"), text).unwrap();
        }
        of_manifests(&manifests, &Allowed::any()).map_err(|refused| refused[0].to_string()).unwrap()
    }

    fn unknown(case: &Case) -> (Step, &str) {
        match &case.target {
            Err((step, Verdict::Unknown(why))) => (*step, why),
            Err((step, verdict)) => panic!("{step:?}: {verdict:?}"),
            Ok(_) => panic!("it can be proven"),
        }
    }

    #[test]
    fn what_has_a_key_among_the_manifests_can_be_proven() {
        let cases = cases(&[STORAGE, KEY]);
        let target = cases[0].target.as_ref().map_err(|(_, verdict)| format!("{verdict:?}")).unwrap();
        assert_eq!(target.principal.told(), "access key …MPLE");
        assert_eq!(cases[0].place.as_deref(), Some("my-quay-bucket/datastorage/ on AWS"));
    }

    #[test]
    fn what_cannot_be_known_from_manifests_is_unknown_and_not_refused() {
        let without_key = cases(&[STORAGE]);
        let (step, why) = unknown(&without_key[0]);
        assert!(step == Step::Principal && why.contains("is not among the manifests"), "{why}");
        assert!(why.contains("registry-sts check -n quay example"), "{why}");

        let cases = cases(&[STORAGE, KEY]);
        let (step, why) = unknown(&cases[1]);
        assert!(step == Step::AssumeRole && why.contains("AWS_DEFAULT_REGION"), "{why}");
        let (step, why) = unknown(&cases[2]);
        assert!(step == Step::Principal && why.contains("check -n quay example"), "{why}");
    }
}
