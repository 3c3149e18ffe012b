//! Where a resource says which bundle is meant, and what it says of the Quay that reads it.

use crate::api::QuayStorageSpec;
use crate::api::quay::{ConsumerEnv, StsRegionalEndpoints, Workload};
use crate::consumer::{Consumer, Environment};
use crate::reason::{Failure, Reason};
use crate::registry::{RENDERED, is_rendered};
use crate::rollout::{Runner, Runners};

use super::desired::parsed;

/// What names the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The resource itself; all that is known of the Quay, it says.
    Secret(Box<Consumer>),
    /// The `QuayRegistry` of this name; it says all that is known of the Quay.
    Registry(String),
    /// The resource itself, for a bundle that is made from another Secret; the `QuayRegistry` of this name is to name that
    /// bundle, and says all that is known of the Quay.
    Checked(String, Output),
}

/// A bundle that is made from another Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The name of the Secret that is written.
    pub output: String,
    /// The name of the Secret that is read.
    pub source: String,
}

/// Two answers to one question: nobody could tell later which one was meant.
const BESIDE_REGISTRY: &str = "consumerEnv is given beside registryRef: remove it. With registryRef the environment of Quay's pods is read from the QuayRegistry (overrides.env of components quay and mirror).";

/// The Quay operator rolls its pods itself, and would undo what somebody else writes on them.
const RESTART_BESIDE_REGISTRY: &str =
    "restart is given beside registryRef: remove it. With registryRef the Quay operator rolls Quay's pods.";

impl Source {
    /// Reads what a spec says of its bundle.
    ///
    /// # Errors
    /// `InvalidSpec`. The schema refuses it too.
    pub fn parse(spec: &QuayStorageSpec) -> Result<Self, Failure> {
        let invalid = |message: &str| Err(Failure::new(Reason::InvalidSpec, message));
        if spec.registry_ref.is_some() && !spec.restart.is_empty() {
            return invalid(RESTART_BESIDE_REGISTRY);
        }
        if let Some(output) = &spec.output_secret {
            return Self::of_output(spec, output);
        }
        match (&spec.registry_ref, &spec.config_bundle_secret) {
            (None, Some(bundle)) => {
                let environment = environment(&spec.consumer_env)?;
                let runners = runners(&spec.restart);
                let consumer = Consumer { bundle: bundle.clone(), environment, runners, ..Consumer::default() };
                Ok(Self::Secret(Box::new(consumer)))
            }
            (Some(_), None) if spec.consumer_env != ConsumerEnv::default() => invalid(BESIDE_REGISTRY),
            (Some(registry), None) => Ok(Self::Registry(registry.name.clone())),
            (Some(_), Some(_)) => invalid(
                "registryRef and configBundleSecret are both given: keep one. With registryRef the bundle is the one that the QuayRegistry names. Both go together only with outputSecret.",
            ),
            (None, None) => invalid(
                "registryRef and configBundleSecret are both missing: give registryRef with the Quay operator, configBundleSecret without it.",
            ),
        }
    }
}

impl Source {
    fn of_output(spec: &QuayStorageSpec, output: &str) -> Result<Self, Failure> {
        let invalid = |message: &str| Err(Failure::new(Reason::InvalidSpec, message));
        let refused = |message: String| Err(Failure::new(Reason::OutputSecretRefused, message));
        let Some(source) = &spec.config_bundle_secret else {
            return invalid("outputSecret is given without configBundleSecret: name there the Secret that is read.");
        };
        if source == output {
            return refused(format!(
                "outputSecret and configBundleSecret are both {output}: name another Secret in outputSecret, or remove it to have the bundle changed in place."
            ));
        }
        let registry = spec.registry_ref.as_ref().map(|registry| registry.name.as_str());
        let is_taken = match registry {
            Some(registry) => is_rendered(registry, output),
            None => output.contains(RENDERED),
        };
        if is_taken {
            return refused(format!(
                "outputSecret {output} is named as the Secrets that the Quay operator renders for a registry (<registry>{RENDERED}…) and deletes when they are old. Name another, for example {source}-sts."
            ));
        }
        match registry {
            Some(_) if spec.consumer_env != ConsumerEnv::default() => invalid(BESIDE_REGISTRY),
            Some(registry) => {
                Ok(Self::Checked(registry.to_owned(), Output { output: output.to_owned(), source: source.clone() }))
            }
            None => Ok(Self::Secret(Box::new(Consumer {
                bundle: output.to_owned(),
                source: Some(source.clone()),
                environment: environment(&spec.consumer_env)?,
                runners: runners(&spec.restart),
                ..Consumer::default()
            }))),
        }
    }
}

fn runners(restart: &[Workload]) -> Runners {
    let runner = |workload: &Workload| Runner { kind: workload.kind, name: workload.name.clone(), is_optional: false };
    Runners { workloads: restart.iter().map(runner).collect(), are_rolled: true, blocked: None }
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
        assert!(matches!(source("configBundleSecret: a"), Ok(Source::Secret(consumer)) if consumer.bundle == "a"));
        for (yaml, says) in [
            ("", "are both missing"),
            ("registryRef: {name: a}\nconfigBundleSecret: b", "are both given"),
            ("registryRef: {name: a}\nconsumerEnv: {AWS_REGION: us-east-1}", "remove it"),
            ("configBundleSecret: a\nconsumerEnv: {AWS_REGION: somewhere}", "consumerEnv.AWS_REGION"),
            ("registryRef: {name: a}\noutputSecret: c", "without configBundleSecret"),
            ("registryRef: {name: a}\nrestart: [{kind: Deployment, name: quay}]", "the Quay operator rolls"),
            (
                "registryRef: {name: a}\nconfigBundleSecret: b\noutputSecret: c\nconsumerEnv: {AWS_REGION: us-east-1}",
                "remove it",
            ),
        ] {
            let failure = source(yaml).unwrap_err();
            assert_eq!(failure.reason, Reason::InvalidSpec);
            assert!(failure.message.contains(says), "{}", failure.message);
        }
    }

    #[test]
    fn an_output_has_a_source_and_a_name_that_nobody_else_gives() {
        let source = |yaml: &str| Source::parse(&spec(&format!("{yaml}\nlocations: []")));
        let Ok(Source::Secret(consumer)) = source("configBundleSecret: a\noutputSecret: b") else {
            panic!("it names its bundle itself")
        };
        assert_eq!((consumer.bundle.as_str(), consumer.read_from()), ("b", "a"));
        let output = Output { output: "b".into(), source: "a".into() };
        let checked = source("registryRef: {name: r}\nconfigBundleSecret: a\noutputSecret: b");
        assert_eq!(checked, Ok(Source::Checked("r".into(), output)));
        let registry = "registryRef: {name: r}\nconfigBundleSecret: a\noutputSecret:";
        for (yaml, is_refused) in [
            ("configBundleSecret: a\noutputSecret: a".to_owned(), true),
            ("configBundleSecret: a\noutputSecret: r-quay-config-secret-abc".to_owned(), true),
            (format!("{registry} r-quay-config-secret"), true),
            (format!("{registry} r-quay-config-secret-abc"), true),
            (format!("{registry} other-quay-config-secret-abc"), false),
        ] {
            let refused = source(&yaml).is_err_and(|failure| failure.reason == Reason::OutputSecretRefused);
            assert_eq!(refused, is_refused, "{yaml}");
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
