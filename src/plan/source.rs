//! Where a resource says which bundle is meant, and what it says of the Quay that reads it.

use crate::api::quay_storage::{ConsumerEnv, QuayStorageSpec, StsRegionalEndpoints};
use crate::consumer::{Consumer, Environment};
use crate::reason::{Failure, Reason};

use super::desired::parsed;

/// What names the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The resource itself; all that is known of the Quay, it says.
    Secret(Consumer),
    /// The `QuayRegistry` of this name; it says all that is known of the Quay.
    Registry(String),
}

impl Source {
    /// Reads what a spec says of its bundle.
    ///
    /// # Errors
    /// `InvalidSpec`. The schema refuses it too.
    pub fn parse(spec: &QuayStorageSpec) -> Result<Self, Failure> {
        let invalid = |message: &str| Err(Failure::new(Reason::InvalidSpec, message));
        match (&spec.registry_ref, &spec.config_bundle_secret) {
            (None, Some(bundle)) => {
                let environment = environment(&spec.consumer_env)?;
                Ok(Self::Secret(Consumer { bundle: bundle.clone(), environment, ..Consumer::default() }))
            }
            // Two answers to one question: nobody could tell later which one was meant.
            (Some(_), None) if spec.consumer_env != ConsumerEnv::default() => invalid(
                "consumerEnv is given beside registryRef: remove it. With registryRef the environment of Quay's pods is read from the QuayRegistry (overrides.env of components quay and mirror).",
            ),
            (Some(registry), None) => Ok(Self::Registry(registry.name.clone())),
            (Some(_), Some(_)) => invalid(
                "registryRef and configBundleSecret are both given: keep one. With registryRef the bundle is the one that the QuayRegistry names.",
            ),
            (None, None) => invalid(
                "registryRef and configBundleSecret are both missing: give registryRef with the Quay operator, configBundleSecret without it.",
            ),
        }
    }
}

fn environment(spec: &ConsumerEnv) -> Result<Environment, Failure> {
    let region = |name: &str, value: &Option<String>| {
        value.as_deref().map(|value| parsed(&format!("consumerEnv.{name}"), value)).transpose()
    };
    Ok(Environment {
        default_region: region("AWS_DEFAULT_REGION", &spec.default_region)?,
        region: region("AWS_REGION", &spec.region)?,
        regional: spec.sts_regional_endpoints == Some(StsRegionalEndpoints::Regional),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Desired;
    use crate::plan::desired::Allowed;

    const LOCATION: &str = "name: default, bucket: my-quay-bucket, region: us-east-1";

    fn spec(yaml: &str) -> QuayStorageSpec {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn web_identity(more: &str) -> QuayStorageSpec {
        spec(&format!(
            "registryRef: {{name: registry}}\nlocations: [{{{LOCATION}, auth: {{webIdentity: {{{more}}}}}}}]"
        ))
    }

    /// Why the only location of a resource cannot be acted on, for a Quay that is known so.
    fn refused(spec: &QuayStorageSpec, consumer: Consumer) -> Option<Failure> {
        let desired = Desired::parse(spec, consumer, &Allowed::any()).unwrap();
        desired.locations[0].wanted.as_ref().err().cloned()
    }

    fn quay(version: &str) -> Consumer {
        Consumer { registry: Some("registry".into()), version: version.parse().ok(), ..Consumer::default() }
    }

    #[test]
    fn a_bundle_is_named_once_and_with_a_registry_nothing_else_tells_of_its_environment() {
        let source = |yaml: &str| Source::parse(&spec(&format!("{yaml}\nlocations: []")));
        assert_eq!(source("registryRef: {name: a}"), Ok(Source::Registry("a".into())));
        assert!(
            matches!(source("configBundleSecret: a"), Ok(Source::Secret(Consumer { bundle, .. })) if bundle == "a")
        );
        for (yaml, says) in [
            ("", "are both missing"),
            ("registryRef: {name: a}\nconfigBundleSecret: b", "are both given"),
            ("registryRef: {name: a}\nconsumerEnv: {AWS_REGION: us-east-1}", "remove it"),
            ("configBundleSecret: a\nconsumerEnv: {AWS_REGION: somewhere}", "consumerEnv.AWS_REGION"),
        ] {
            let failure = source(yaml).unwrap_err();
            assert_eq!(failure.reason, Reason::InvalidSpec);
            assert!(failure.message.contains(says), "{}", failure.message);
        }
    }

    #[test]
    fn a_quay_that_cannot_do_it_is_not_written_for_and_one_that_is_not_known_is() {
        let account = "serviceAccountName: registry-quay-app";
        let identity = web_identity(account);
        let too_old = |spec: &QuayStorageSpec, version: &str| refused(spec, quay(version)).map(|f| f.reason);
        assert_eq!(too_old(&identity, "3.14.0"), Some(Reason::QuayTooOld));
        assert_eq!(too_old(&identity, "3.14.1"), None);
        assert_eq!(too_old(&identity, "nightly"), None);
        let mut skip = identity.clone();
        skip.verification.mode = crate::api::quay_storage::Mode::Skip;
        assert_eq!(too_old(&skip, "3.14.0"), None, "written ahead of an upgrade, as asked");
        let mut signed = skip;
        signed.locations[0].signature_version = Some(crate::api::quay_storage::SignatureVersion::S3v4);
        assert_eq!(too_old(&signed, "3.12.0"), Some(Reason::QuayTooOld), "it would not start");
        assert_eq!(too_old(&signed, "3.12.1"), None);
    }

    #[test]
    fn pods_that_are_somebody_else_to_aws_than_their_account_says_are_told_of() {
        let identity = web_identity("serviceAccountName: registry-quay-app");
        let consumer = Consumer { identities: vec!["AWS_ROLE_ARN"], ..quay("3.15.0") };
        let failure = refused(&identity, consumer).unwrap();
        assert_eq!(failure.reason, Reason::EnvironmentOverrides);
        assert!(failure.message.contains("sets AWS_ROLE_ARN in overrides.env"), "{}", failure.message);
    }

    #[test]
    fn only_the_account_of_the_registrys_pods_is_annotated_and_only_with_a_role_that_is_given() {
        let role = "roleArn: 'arn:aws:iam::123492922789:role/quay'";
        let annotate = "annotateServiceAccount: true";
        let refusal = |identity: &str, consumer: Consumer| refused(&web_identity(identity), consumer).map(|f| f.reason);
        let good = format!("serviceAccountName: registry-quay-app, {role}, {annotate}");
        assert_eq!(refusal(&good, quay("3.15.0")), None);
        let invalid = Some(Reason::InvalidSpec);
        assert_eq!(refusal(&good, Consumer { registry: None, ..quay("3.15.0") }), invalid);
        assert_eq!(refusal(&format!("serviceAccountName: other, {role}, {annotate}"), quay("3.15.0")), invalid);
        assert_eq!(refusal(&format!("serviceAccountName: registry-quay-app, {annotate}"), quay("3.15.0")), invalid);
    }
}
