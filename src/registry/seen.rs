//! What was found where a registry was looked for, turned into what is known of its Quay.

use super::environment::{AWS_DEFAULT_REGION, AWS_REGION, AWS_STS_REGIONAL_ENDPOINTS};
use super::{ObjectStorage, Overrides, PodsEnvironment, Registry, Setting};
use crate::api::quay::WorkloadKind;
use crate::consumer::{Consumer, Environment};
use crate::place::Region;
use crate::reason::{Failure, Reason};
use crate::rollout::{Runner, Runners};

/// What `registryRef` leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrySeen {
    /// The registry.
    Found(Box<Registry>),
    /// There is none of that name.
    Missing,
    /// The cluster does not know the kind.
    NotInstalled,
    /// The API server does not let the operator see it.
    Forbidden {
        /// The command that grants it.
        grant: String,
    },
    /// It could not be read.
    Unreadable {
        /// Why.
        why: String,
    },
}

impl RegistrySeen {
    /// What is wrong with an object that [`Registry::read`] does not take.
    pub const NO_REGISTRY: &str =
        "it does not have the form of a QuayRegistry. Correct it, or install the CRD of the Quay operator's version";

    /// What is known of the Quay of the registry of that name.
    ///
    /// # Errors
    /// Why there is nothing to be known, or no bundle to write into, and what to change.
    pub fn consumer(&self, name: &str) -> Result<Consumer, Failure> {
        match self {
            Self::Found(registry) => registry.consumer(name),
            other => other.nothing(name),
        }
    }

    /// The same for a registry that is to name an output as its bundle: until it does, that is told, and nothing waits
    /// for it.
    ///
    /// # Errors
    /// Why there is nothing to be known, and what to change.
    pub fn output_consumer(&self, name: &str, output: &str, source: &str) -> Result<Consumer, Failure> {
        match self {
            Self::Found(registry) => registry.output_consumer(name, output, source),
            other => other.nothing(name),
        }
    }

    fn nothing(&self, name: &str) -> Result<Consumer, Failure> {
        let failure = |reason: Reason, message: String| Err(Failure::new(reason, message));
        match self {
            Self::Found(_) => failure(Reason::RegistryUnreadable, format!("QuayRegistry {name} was not read.")),
            Self::Missing => failure(
                Reason::RegistryMissing,
                format!(
                    "QuayRegistry {name} (spec.registryRef) does not exist in this namespace. Create it, correct the name, or name the bundle in spec.configBundleSecret instead."
                ),
            ),
            Self::NotInstalled => failure(
                Reason::RegistryMissing,
                format!(
                    "QuayRegistry {name} (spec.registryRef) cannot exist: this cluster has no kind QuayRegistry (quay.redhat.com/v1). Install the Quay operator, or name the bundle in spec.configBundleSecret instead."
                ),
            ),
            Self::Forbidden { grant } => failure(
                Reason::RegistryForbidden,
                format!(
                    "The operator may not see QuayRegistry {name} (spec.registryRef). Apply deploy/rbac/operator.yaml of this version, or grant it: {grant}"
                ),
            ),
            Self::Unreadable { why } => failure(
                Reason::RegistryUnreadable,
                format!("QuayRegistry {name} (spec.registryRef) could not be read: {why}."),
            ),
        }
    }
}

impl Registry {
    fn consumer(&self, name: &str) -> Result<Consumer, Failure> {
        self.gone(name)?;
        let Some(bundle) = &self.bundle else {
            return Err(Failure::new(
                Reason::BundleNotNamed,
                format!(
                    "QuayRegistry {name} names no config bundle yet (its spec.configBundleSecret is empty). The Quay operator creates one and names it there; or create a Secret with config.yaml and name that."
                ),
            ));
        };
        self.read_by(name, bundle)
    }

    fn output_consumer(&self, name: &str, output: &str, source: &str) -> Result<Consumer, Failure> {
        self.gone(name)?;
        let names = self.bundle.as_ref().map_or_else(|| "none".to_owned(), |bundle| format!("Secret {bundle}"));
        let elsewhere = (self.bundle.as_deref() != Some(output)).then(|| {
            Failure::new(
                Reason::RegistryPointsElsewhere,
                format!(
                    "QuayRegistry {name} (spec.registryRef) does not use Secret {output} (spec.outputSecret): the bundle that it names is {names}. Set its spec.configBundleSecret to {output}."
                ),
            )
        });
        Ok(Consumer { source: Some(source.to_owned()), elsewhere, ..self.read_by(name, output)? })
    }

    /// What is known of the Quay, for the bundle of that name.
    fn read_by(&self, name: &str, bundle: &str) -> Result<Consumer, Failure> {
        let pods: Vec<&PodsEnvironment> = [&self.quay].into_iter().chain(&self.mirror).collect();
        let mut identities: Vec<&'static str> = pods.iter().flat_map(|pods| &pods.identities).copied().collect();
        identities.sort_unstable();
        identities.dedup();
        Ok(Consumer {
            bundle: bundle.to_owned(),
            source: None,
            elsewhere: None,
            registry: Some(name.to_owned()),
            environment: environment(name, &self.quay)?,
            version: self.version,
            hindrance: self.hindrance(name),
            identities,
            notes: self.notes(),
            runners: self.runners(name),
        })
    }

    /// The Deployments that the Quay operator makes. That of mirror pods may be off though the component is not.
    fn runners(&self, name: &str) -> Runners {
        let deployment = |component: &str, is_optional| Runner {
            kind: WorkloadKind::Deployment,
            name: format!("{name}-quay-{component}"),
            is_optional,
        };
        let mirror = self.mirror.as_ref().map(|_| deployment("mirror", true));
        let blocked = self.rollout_blocked.as_ref().map(|reason| {
            Failure::new(
                Reason::RolloutBlocked,
                format!(
                    "The Quay operator does not roll QuayRegistry {name} out: its condition RolloutBlocked is True ({reason}). `kubectl get quayregistry {name} -o yaml` has its message."
                ),
            )
        });
        Runners {
            workloads: [deployment("app", false)].into_iter().chain(mirror).collect(),
            are_rolled: false,
            blocked,
        }
    }

    fn gone(&self, name: &str) -> Result<(), Failure> {
        if !self.deleting {
            return Ok(());
        }
        let message = format!("QuayRegistry {name} (spec.registryRef) is being deleted, so nothing is written.");
        Err(Failure::new(Reason::RegistryMissing, message))
    }

    /// Why nothing is to be written, whatever is proven.
    fn hindrance(&self, name: &str) -> Option<Failure> {
        let declare = "{kind: objectstorage, managed: false}";
        let message = match self.object_storage {
            ObjectStorage::Unmanaged => return self.replaced_storage(name),
            ObjectStorage::Managed => format!(
                "QuayRegistry {name} has component objectstorage with managed: true: the Quay operator would block the rollout of a bundle with our entry. Copy the blobs that the managed storage has, if there are any, and then set {declare} in its spec.components. Nothing was changed."
            ),
            ObjectStorage::Undeclared => format!(
                "QuayRegistry {name} does not declare component objectstorage, and the Quay operator manages it then where the cluster has ObjectBucketClaims, and blocks the rollout of a bundle with our entry. Add {declare} to its spec.components. Nothing was changed."
            ),
        };
        Some(Failure::new(Reason::ObjectStorageManaged, message))
    }

    fn replaced_storage(&self, name: &str) -> Option<Failure> {
        let (component, _) = self.components().into_iter().find(|(_, pods)| pods.overrides.replaces_storage())?;
        Some(Failure::new(
            Reason::EnvironmentOverrides,
            format!(
                "QuayRegistry {name} sets QUAY_OVERRIDE_CONFIG on component {component} (overrides.env), and DISTRIBUTED_STORAGE_CONFIG in it: Quay takes that, and nothing of what config.yaml says. Remove DISTRIBUTED_STORAGE_CONFIG from it. Nothing was changed."
            ),
        ))
    }

    fn components(&self) -> Vec<(&'static str, &PodsEnvironment)> {
        let mirror = self.mirror.as_ref().map(|pods| ("mirror", pods));
        [("quay", &self.quay)].into_iter().chain(mirror).collect()
    }

    /// What is worth knowing though nothing fails. The preference of a pod is set so in every cluster of a
    /// geo-replicated registry, and is no failure for that.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let differs = self.mirror.as_ref().map(|mirror| mirror.differs_in(&self.quay)).unwrap_or_default();
        if !differs.is_empty() {
            notes.push(format!(
                "The pods of component mirror have another {} than those of component quay, and may ask another STS host; proven is what the latter do. Set the same in overrides.env of both.",
                differs.join(", ")
            ));
        }
        for (component, pods) in self.components() {
            match pods.preference() {
                Some(Setting::To(names)) => notes.push(format!(
                    "QUAY_DISTRIBUTED_STORAGE_PREFERENCE is {names:?} on component {component}: its pods push there, whatever config.yaml prefers."
                )),
                Some(Setting::Elsewhere) => notes.push(format!(
                    "QUAY_DISTRIBUTED_STORAGE_PREFERENCE is set on component {component} by a Secret or a ConfigMap: where its pods push to cannot be seen here."
                )),
                None => {}
            }
            match &pods.overrides {
                Overrides::NoneOfOurs => {}
                // That hinders, and is told there.
                Overrides::Ours(_) if pods.overrides.replaces_storage() => {}
                Overrides::Ours(keys) => notes.push(format!(
                    "QUAY_OVERRIDE_CONFIG on component {component} sets {}: what config.yaml says there does not count.",
                    keys.join(", ")
                )),
                Overrides::Unreadable => notes.push(format!(
                    "QUAY_OVERRIDE_CONFIG is set on component {component}, and is no JSON object that can be read here: whether it sets DISTRIBUTED_STORAGE_CONFIG, which Quay would take instead of ours, cannot be seen."
                )),
            }
            if !pods.secrets.is_empty() {
                let names: Vec<&str> = pods.secrets.iter().copied().collect();
                notes.push(format!(
                    "Warning: component {component} has {} in overrides.env, and Quay's superuser page shows the environment. Remove it there, and replace the key.",
                    names.join(", ")
                ));
            }
            if pods.credentials_file {
                notes.push(format!(
                    "Warning: component {component} has AWS_SHARED_CREDENTIALS_FILE in overrides.env, as where the Quay operator itself was given a role (ROLEARN): one role for all registries, and it blocks the rollout of a bundle with keys. Use one of the two."
                ));
            }
        }
        notes
    }
}

/// What the pods' environment is, as far as it decides about STS.
fn environment(registry: &str, pods: &PodsEnvironment) -> Result<Environment, Failure> {
    let unknown = |name: &str, why: &str| {
        Failure::new(
            Reason::StsEndpointUnknown,
            format!(
                "Which STS host Quay's pods ask cannot be known: QuayRegistry {registry} sets {name} on component quay (overrides.env) {why}."
            ),
        )
    };
    let elsewhere = "by a Secret or a ConfigMap. Write its value there instead: it is no secret";
    let region = |name: &'static str| match pods.setting(name) {
        None => Ok(None),
        Some(Setting::Elsewhere) => Err(unknown(name, elsewhere)),
        Some(Setting::To(text)) => text
            .parse::<Region>()
            .map(Some)
            .map_err(|_| unknown(name, "to what is no AWS region. Correct it, for example to us-east-1")),
    };
    let regional = match pods.setting(AWS_STS_REGIONAL_ENDPOINTS) {
        None => false,
        Some(Setting::Elsewhere) => return Err(unknown(AWS_STS_REGIONAL_ENDPOINTS, elsewhere)),
        Some(Setting::To(text)) => text.eq_ignore_ascii_case("regional"),
    };
    Ok(Environment { default_region: region(AWS_DEFAULT_REGION)?, region: region(AWS_REGION)?, regional })
}
