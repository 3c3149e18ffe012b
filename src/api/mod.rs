//! The custom resources as the API server stores them: serde types, CEL rules, printer columns. No logic.

pub mod auth;
pub mod identity_policy;
pub mod quay;
pub mod quay_storage;
pub mod status;
pub mod storage_identity;

pub use identity_policy::IdentityPolicy;
pub use quay_storage::{QuayStorage, QuayStorageSpec};
pub use status::QuayStorageStatus;
pub use storage_identity::StorageIdentity;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt as _;
use serde_json::json;

/// The CRD of `QuayStorage`.
pub fn crd() -> CustomResourceDefinition {
    unreported(QuayStorage::crd())
}

/// The CRDs of this operator.
pub fn crds() -> [CustomResourceDefinition; 3] {
    [crd(), unreported(StorageIdentity::crd()), IdentityPolicy::crd()]
}

/// A kind of which an object that nobody has reported on yet says so by a status of no generation: without any status Flux
/// and kpt would take it for ready.
fn unreported(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let schemas =
        crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    let statuses = schemas.filter_map(|schema| schema.properties.as_mut()?.get_mut("status"));
    for status in statuses {
        status.default = Some(JSON(json!({"observedGeneration": -1})));
    }
    crd
}

/// Every CRD of this operator as one YAML stream, as `crds/` holds it and `registry-sts crd` prints it.
///
/// # Errors
/// When a CRD cannot be serialised; the types decide that, so it does not depend on input.
pub fn crds_as_yaml() -> Result<String, serde_yaml::Error> {
    crds().iter().map(crd_as_yaml).collect()
}

/// One of them, as a file of `crds/` holds it.
///
/// # Errors
/// As of [`crds_as_yaml`].
pub fn crd_as_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(crd).map(|yaml| format!("---\n{yaml}"))
}

/// What is wrong with an object that cannot be decoded, without the values that the decoder quotes: somebody may have
/// put a key where its reference belongs.
pub fn without_values(decoding_error: &str) -> String {
    match (decoding_error.find('"'), decoding_error.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            let (before, after) = (&decoding_error[..=first], &decoding_error[last..]);
            format!("{before}…{after}")
        }
        _ => decoding_error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crds_in_the_repository_are_what_the_types_say() {
        for crd in crds() {
            let path = format!("{}/crds/{}.yaml", env!("CARGO_MANIFEST_DIR"), crd.spec.names.plural);
            let file = std::fs::read_to_string(path).unwrap();
            assert!(file == crd_as_yaml(&crd).unwrap(), "crds/ is stale: run `make generate` and commit what it wrote");
        }
    }

    #[test]
    fn a_value_in_the_wrong_place_is_not_quoted() {
        let error = serde_json::from_str::<auth::Auth>(r#"{"accessKey": "hush"}"#).unwrap_err().to_string();
        assert!(error.contains("hush"), "{error}");
        assert!(!without_values(&error).contains("hush"), "{}", without_values(&error));
        assert!(without_values(&error).starts_with("invalid type: string \"…\", expected "));
    }

    #[test]
    fn every_field_of_the_schema_is_described() {
        fn undescribed(path: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
            let properties = schema.get("properties").and_then(serde_json::Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let path = format!("{path}.{name}");
                if property.get("description").is_none() {
                    found.push(path.clone());
                }
                undescribed(&path, property, found);
            }
            if let Some(items) = schema.get("items") {
                undescribed(&format!("{path}[]"), items, found);
            }
        }
        for crd in crds() {
            let crd = serde_json::to_value(crd).unwrap();
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            let mut found = Vec::new();
            undescribed("", schema, &mut found);
            assert_eq!(found, Vec::<String>::new());
        }
    }
}
