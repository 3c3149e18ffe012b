//! `QuayRegistries` among manifests. What they say is read as the controller reads it.

use serde_yaml::Value;

use super::refused::Named;
use super::{Manifests, Origin, Resource};
use crate::consumer::Consumer;
use crate::plan::Source;
use crate::plan::source::Output;
use crate::reason::{Failure, Reason};
use crate::registry::{API_VERSION, Registry, RegistrySeen};

/// A `QuayRegistry` and where it stands.
pub(super) struct RegistryManifest {
    origin: Origin,
    namespace: Option<String>,
    name: Option<String>,
    registry: Option<Registry>,
}

impl RegistryManifest {
    /// None for a kind of that name of another API.
    pub(super) fn new(value: &Value, origin: Origin) -> Option<Self> {
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let metadata = value.get("metadata").cloned().unwrap_or_default();
        let (namespace, name) = (text(&metadata, "namespace"), text(&metadata, "name"));
        let registry = || Registry::read(&serde_json::to_value(value).ok()?);
        (text(value, "apiVersion").as_deref() == Some(API_VERSION)).then(|| Self {
            origin,
            namespace,
            name,
            registry: registry(),
        })
    }

    fn named(&self) -> Named<'_> {
        Named { origin: &self.origin, namespace: self.namespace.as_deref(), name: self.name.as_deref() }
    }
}

impl Manifests {
    /// The Quay that reads a resource's bundle.
    pub(super) fn consumer(&self, resource: &Resource) -> Result<Consumer, Failure> {
        let (name, output) = match Source::parse(&resource.object.spec)? {
            Source::Secret(consumer) => return Ok(*consumer),
            Source::Registry(name) => (name, None),
            Source::Checked(name, output) => (name, Some(output)),
        };
        let seen = self.registry_seen(resource.namespace(), &name)?;
        match output {
            None => seen.consumer(&name),
            Some(Output { output, source }) => seen.output_consumer(&name, &output, &source),
        }
    }

    /// The registry of a name in a namespace.
    ///
    /// # Errors
    /// `RegistryMissing` where it is not among the manifests, `RegistryUnreadable` where it stands twice.
    pub fn registry_seen(&self, namespace: Option<&str>, name: &str) -> Result<RegistrySeen, Failure> {
        let all = self.registries.iter().map(RegistryManifest::named);
        let reasons = (Reason::RegistryMissing, Reason::RegistryUnreadable);
        let index = super::refused::find(all, ("QuayRegistry", name), namespace, "spec.registryRef", reasons)?;
        let registry = self.registries.get(index).and_then(|manifest| manifest.registry.clone());
        let unreadable = || RegistrySeen::Unreadable { why: RegistrySeen::NO_REGISTRY.into() };
        Ok(registry.map_or_else(unreadable, |registry| RegistrySeen::Found(Box::new(registry))))
    }

    /// The registries: the namespace, if the manifest says one, and the name.
    pub fn registry_names(&self) -> Vec<(Option<&str>, &str)> {
        self.registries.iter().filter_map(|one| Some((one.namespace.as_deref(), one.name.as_deref()?))).collect()
    }

    /// The same for who writes nothing: without the registry only its name is known.
    pub(super) fn consumer_if_known(&self, resource: &Resource) -> Result<Consumer, Failure> {
        let registry = resource.object.spec.registry_ref.as_ref().map(|registry| registry.name.clone());
        self.consumer(resource).or_else(|failure| match failure.reason {
            Reason::RegistryMissing | Reason::BundleNotNamed => Ok(Consumer { registry, ..Consumer::default() }),
            _ => Err(failure),
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::plan::desired::Allowed;

    const STORAGE: &str = "apiVersion: registry-sts.dev/v1alpha1
kind: QuayStorage
metadata: {name: example, namespace: quay}
spec:
  registryRef: {name: registry}
  locations:
  - name: default
    bucket: my-quay-bucket
    region: us-east-1
    auth: {webIdentity: {serviceAccountName: registry-quay-app}}
";
    const REGISTRY: &str = "apiVersion: quay.redhat.com/v1
kind: QuayRegistry
metadata: {name: registry, namespace: quay}
spec:
  configBundleSecret: bundle
  components: [{kind: objectstorage, managed: false}]
";
    const BUNDLE: &str =
        "kind: Secret\nmetadata: {name: bundle, namespace: quay}\nstringData: {config.yaml: 'FEATURE: true'}\n";

    fn rendered(files: &[(&str, &str)]) -> Result<String, Vec<String>> {
        let mut manifests = Manifests::default();
        for (file, text) in files {
            manifests.add(file, text).unwrap();
        }
        let bundles = manifests.render(None, &Allowed::any());
        let bundles = bundles.map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok(manifests.secrets(&bundles).unwrap().stream.expose_secret().to_owned())
    }

    #[test]
    fn the_bundle_of_the_registry_among_the_manifests_is_rendered() {
        let stream = format!("{REGISTRY}---\n{BUNDLE}");
        assert!(rendered(&[("s", STORAGE), ("all", &stream)]).unwrap().contains("STSS3Storage"));
    }

    #[test]
    fn what_the_controller_would_refuse_of_a_registry_is_refused_here() {
        let twice = [("s", STORAGE), ("r", REGISTRY), ("r2", REGISTRY), ("b", BUNDLE)];
        let told = rendered(&twice).unwrap_err();
        assert!(told[0].contains("RegistryUnreadable: QuayRegistry quay/registry (spec.registryRef) stands twice"));
        for (from, to, says) in [
            (
                "name: registry,",
                "name: other,",
                "RegistryMissing: QuayRegistry quay/registry (spec.registryRef) is not among the manifests: add its file with -f.",
            ),
            ("quay.redhat.com/v1", "example.com/v1", "RegistryMissing: QuayRegistry quay/registry"),
            (
                "namespace: quay",
                "namespace: prod",
                "(QuayRegistry prod/registry in r, document 1 (line 1) is of another namespace.)",
            ),
            ("configBundleSecret: bundle", "configBundleSecret: ''", "BundleNotNamed: QuayRegistry registry names no"),
            (
                "Secret: bundle",
                "Secret: other",
                "BundleMissing: Secret quay/other (spec.configBundleSecret of QuayRegistry registry) is not among",
            ),
            ("managed: false", "managed: true", "ObjectStorageManaged: QuayRegistry registry has component"),
            (
                "[{kind: objectstorage, managed: false}]",
                "none",
                "RegistryUnreadable: QuayRegistry registry (spec.registryRef) could not be read",
            ),
            ("spec:", "status: {currentVersion: 3.14.0}\nspec:", "QuayTooOld: QuayRegistry registry runs Quay 3.14.0"),
        ] {
            assert!(REGISTRY.contains(from), "{from}");
            let registry = REGISTRY.replacen(from, to, 1);
            let told = rendered(&[("s", STORAGE), ("r", &registry), ("b", BUNDLE)]).unwrap_err();
            assert!(told.len() == 1 && told[0].contains(says), "{told:#?}");
        }
    }

    #[test]
    fn a_bundle_that_is_named_and_one_that_a_registry_names_may_be_the_same() {
        let named = STORAGE.replace("registryRef: {name: registry}", "configBundleSecret: bundle");
        let named = named.replace("name: example", "name: another");
        let told = rendered(&[("s", STORAGE), ("n", &named), ("r", REGISTRY), ("b", BUNDLE)]).unwrap_err();
        assert!(told[0].contains("LocationClaimed: QuayStorage quay/another"), "{told:#?}");
    }
}
