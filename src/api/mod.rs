//! The custom resources as the API server stores them: serde types, CEL rules, printer columns. No logic.

pub mod quay_storage;
pub mod status;

pub use quay_storage::{QuayStorage, QuayStorageSpec};
pub use status::QuayStorageStatus;

use kube::CustomResourceExt as _;

/// Every CRD of this operator as one YAML stream, as `crds/` holds it and `registry-sts crd` prints it.
///
/// # Errors
/// When a CRD cannot be serialised; the types decide that, so it does not depend on input.
pub fn crds_as_yaml() -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(&QuayStorage::crd()).map(|yaml| format!("---\n{yaml}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crds_in_the_repository_are_what_the_types_say() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/crds/quaystorages.yaml")).unwrap();
        assert!(file == crds_as_yaml().unwrap(), "crds/ is stale: run `make generate` and commit what it wrote");
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
        let crd = serde_json::to_value(QuayStorage::crd()).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut found = Vec::new();
        undescribed("", schema, &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
