//! The outputs that the controller would write for manifests.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde::Serialize;

use super::offline::{Asked, Bundle};
use super::{Manifests, Refused, Resource};
use crate::plan::Desired;
use crate::plan::desired::Allowed;
use crate::plan::mark::Mark;
use crate::plan::observation::{CONFIG, ObservedBundle, Reference};
use crate::plan::output::{OutputSeen, WholeSecret};
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// An output as its manifest has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    #[serde(rename = "type")]
    kind_of_secret: &'a str,
    data: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Manifests {
    /// A resource's output. One that is among the manifests is what a registry reads now.
    pub(super) fn output(&self, one: &Asked<'_>, all: &[Asked<'_>], allowed: &Allowed) -> Result<Bundle, Vec<Refused>> {
        let resource = one.resource;
        let refused = |failure: Failure| vec![resource.refused("", failure)];
        let desired = Desired::parse(&resource.object.spec, one.consumer.clone(), allowed).map_err(refused)?;
        let of_source = one.consumer.of_source();
        let reasons = (Reason::BundleMissing, Reason::BundleUnreadable);
        let namespace = resource.namespace();
        let source = self.secret(namespace, &of_source.bundle, &of_source.field(), reasons).map_err(refused)?;
        let source = self.secrets.get(source).map(super::SecretManifest::whole);
        let name = &desired.consumer.bundle;
        let standing = match self.secret(namespace, name, "spec.outputSecret", reasons) {
            Ok(index) => self.secrets.get(index).map(super::SecretManifest::whole),
            Err(failure) if failure.reason == Reason::BundleMissing => None,
            Err(failure) => return Err(refused(failure)),
        };
        if let Some(first) = all.iter().find(|other| is_output_of_both(other, one)) {
            let message = format!(
                "spec.outputSecret {name} is the output of QuayStorage {} too, in {}. Name another Secret in one of the two.",
                first.resource.name(),
                first.resource.origin
            );
            return Err(refused(Failure::new(Reason::OutputSecretTaken, message)));
        }
        let reference = |secret: Option<&WholeSecret>| secret.cloned().map_or(Reference::Missing, Reference::Found);
        let seen = OutputSeen {
            owner: owner(resource),
            source: reference(source.as_ref()),
            output: reference(standing.as_ref()),
        };
        let plan = self.planned(one, all, &desired, ObservedBundle::Output(Box::new(seen)))?;
        let config = |secret: Option<&WholeSecret>| secret.and_then(|secret| secret.bundle.config.clone());
        let before = config(standing.as_ref()).or_else(|| config(source.as_ref())).unwrap_or_default();
        let (after, mark, mut values) = match (plan.write, standing) {
            (Some(write), _) => {
                let after = SecretSlice::from(write.config.expose_secret().as_bytes().to_vec());
                let output = write.output.map(|output| (output.mark, output.values));
                let (mark, values) = output.unwrap_or_default();
                (after, mark, values)
            }
            (None, Some(secret)) => {
                (before.clone(), secret.bundle.mark.clone().unwrap_or_default(), secret.data.clone())
            }
            (None, None) => (before.clone(), Mark::default(), BTreeMap::new()),
        };
        values.insert(CONFIG.to_owned(), after.clone());
        let text = manifest((namespace, name), &mark, &values).map_err(|why| {
            refused(Failure::new(Reason::BundleUneditable, format!("Secret {name} cannot be written down: {why}.")))
        })?;
        let called = format!("{name}/{CONFIG}");
        Ok(Bundle { of: one.target, name: called, before, after, manifest: Some(text) })
    }
}

/// Whether another resource, which comes first by name, has the same output.
fn is_output_of_both(other: &Asked<'_>, one: &Asked<'_>) -> bool {
    other.target != one.target
        && other.consumer.source.is_some()
        && other.consumer.bundle == one.consumer.bundle
        && other.resource.namespace() == one.resource.namespace()
        && other.resource.name() < one.resource.name()
}

fn owner(resource: &Resource) -> ResourceId {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    ResourceId { namespace: text(resource.namespace()), name: text(resource.object.metadata.name.as_deref()) }
}

fn manifest(
    (namespace, name): (Option<&str>, &str),
    mark: &Mark,
    values: &BTreeMap<String, SecretSlice<u8>>,
) -> Result<SecretString, serde_yaml::Error> {
    let (labels, annotations) = (mark.labels(), mark.annotations());
    let manifest = Manifest {
        api_version: "v1",
        kind: "Secret",
        metadata: Metadata { name, namespace, labels, annotations },
        kind_of_secret: "Opaque",
        data: values.iter().map(|(key, value)| (key.as_str(), BASE64.encode(value.expose_secret()))).collect(),
    };
    serde_yaml::to_string(&manifest).map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORAGE: &str = "apiVersion: registry-sts.dev/v1alpha1
kind: QuayStorage
metadata: {name: example, namespace: quay}
spec:
  configBundleSecret: source
  outputSecret: output
  locations:
  - name: default
    bucket: my-quay-bucket
    region: us-east-1
    auth: {webIdentity: {serviceAccountName: registry-quay-app}}
";
    const SOURCE: &str = "kind: Secret
metadata: {name: source, namespace: quay, labels: {a: b}}
stringData: {config.yaml: 'FEATURE: true', ssl.cert: 'not ours'}
";

    fn rendered(files: &[&str]) -> Result<String, Vec<String>> {
        let mut manifests = Manifests::default();
        for (at, text) in files.iter().enumerate() {
            manifests.add(&format!("f{at}"), text).unwrap();
        }
        let bundles = manifests.render(None, &Allowed::any());
        let bundles = bundles.map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok(manifests.secrets(&bundles).unwrap().stream.expose_secret().to_owned())
    }

    #[test]
    fn the_output_is_printed_as_it_would_be_created_and_the_same_again_where_it_is_among_the_manifests() {
        let output = rendered(&[STORAGE, SOURCE]).unwrap();
        let value: serde_yaml::Value = serde_yaml::from_str(&output).unwrap();
        assert_eq!(value["metadata"]["name"], "output");
        assert_eq!(value["metadata"]["namespace"], "quay");
        assert_eq!(value["metadata"]["annotations"]["registry-sts.dev/locations"], "default");
        assert!(value["metadata"]["labels"].get("a").is_none());
        let decoded = |key: &str| String::from_utf8(BASE64.decode(value["data"][key].as_str().unwrap()).unwrap());
        assert_eq!(decoded("ssl.cert").unwrap(), "not ours");
        assert!(decoded("config.yaml").unwrap().starts_with("FEATURE: true\nDISTRIBUTED_STORAGE_CONFIG:\n"));
        assert_eq!(rendered(&[STORAGE, SOURCE, &output]).unwrap(), output);
    }

    #[test]
    fn what_the_controller_would_refuse_of_an_output_is_refused_here() {
        let foreign = SOURCE.replace("name: source", "name: output");
        let told = rendered(&[STORAGE, SOURCE, &foreign]).unwrap_err();
        assert!(told[0].contains("OutputSecretTaken: Secret output (spec.outputSecret) exists"), "{told:#?}");
        let told = rendered(&[STORAGE]).unwrap_err();
        assert!(told[0].contains("BundleMissing: Secret quay/source (spec.configBundleSecret)"), "{told:#?}");
        let another = STORAGE.replace("name: example", "name: another");
        let told = rendered(&[STORAGE, &another, SOURCE]).unwrap_err();
        assert!(told.len() == 1 && told[0].contains("is the output of QuayStorage quay/another too"), "{told:#?}");
        let same = STORAGE.replace("outputSecret: output", "outputSecret: source");
        let told = rendered(&[&same, SOURCE]).unwrap_err();
        assert!(told[0].contains("OutputSecretRefused"), "{told:#?}");
    }
}
