//! What consoles show of the operator and its resources.

use serde_json::Value;

use super::{CSV, document};
use crate::files::{documents, text};

/// The schema of the custom resource that a `ClusterServiceVersion` owns.
fn schema() -> Value {
    document("deploy/olm/manifests/registry-sts.dev_quaystorages.yaml")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        .take()
}

/// What a value has that its schema does not know, or lacks that it requires, or has as another type.
fn faults(value: &Value, schema: &Value, at: &str) -> Vec<String> {
    let is_of_type = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        other => panic!("{at}: no example has a {other} yet"),
    };
    if !is_of_type {
        return vec![format!("{at} is no {}", schema["type"])];
    }
    let mut faults = Vec::new();
    for key in schema["required"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()) {
        if value.get(key).is_none() {
            faults.push(format!("{at} has no {key}"));
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key) {
            Some(schema) => faults.extend(self::faults(inner, schema, &format!("{at}.{key}"))),
            None => faults.push(format!("{at}.{key} is not known")),
        }
    }
    for inner in value.as_array().into_iter().flatten() {
        faults.extend(self::faults(inner, &schema["items"], &format!("{at}[]")));
    }
    faults
}

#[test]
fn the_examples_are_as_the_definition_wants_them() {
    let csv = document(CSV);
    let owned = &csv["spec"]["customresourcedefinitions"]["owned"][0];
    let examples: Vec<Value> =
        serde_json::from_str(csv["metadata"]["annotations"]["alm-examples"].as_str().unwrap()).unwrap();
    assert!(!examples.is_empty());
    assert_eq!(examples, documents(&text("deploy/olm/examples.yaml")));
    let schema = schema();
    for example in &examples {
        assert_eq!(example["apiVersion"], "registry-sts.dev/v1alpha1");
        assert_eq!(example["kind"], owned["kind"]);
        assert_eq!(faults(&example["spec"], &schema["properties"]["spec"], "spec"), [""; 0]);
    }

    let mut broken = examples[0]["spec"].clone();
    broken["locations"][0]["pail"] = broken["locations"][0]["bucket"].take();
    broken["suspend"] = "no".into();
    broken["locations"][0].as_object_mut().unwrap().remove("bucket");
    let mut found = faults(&broken, &schema["properties"]["spec"], "spec");
    found.sort();
    assert_eq!(
        found,
        ["spec.locations[] has no bucket", "spec.locations[].pail is not known", "spec.suspend is no \"boolean\""]
    );
}

#[test]
fn every_descriptor_is_of_a_field_that_there_is() {
    let csv = document(CSV);
    let owned = &csv["spec"]["customresourcedefinitions"]["owned"][0];
    let schema = schema();
    for (descriptors, of) in [("specDescriptors", "spec"), ("statusDescriptors", "status")] {
        for descriptor in owned[descriptors].as_array().unwrap() {
            let path = descriptor["path"].as_str().unwrap();
            let mut field = &schema["properties"][of];
            for step in path.split('.') {
                let name = step.strip_suffix("[0]");
                field = &field["properties"][name.unwrap_or(step)];
                if name.is_some() {
                    field = &field["items"];
                }
            }
            assert!(field["type"].is_string(), "{of}.{path}");
            let options = descriptor["x-descriptors"].as_array().into_iter().flatten();
            let options = options.filter_map(|option| {
                option.as_str().unwrap().strip_prefix("urn:alm:descriptor:com.tectonic.ui:select:").map(Value::from)
            });
            let options: Vec<Value> = options.collect();
            assert!(options.is_empty() || field["enum"] == Value::from(options), "{of}.{path} has other values");
        }
    }
}

#[test]
fn the_icon_is_the_one_of_the_file() {
    use base64::Engine as _;
    let icon = document(CSV)["spec"]["icon"][0].clone();
    let data = base64::engine::general_purpose::STANDARD.decode(icon["base64data"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(data).unwrap(), text("deploy/olm/icon.svg"));
    assert_eq!(icon["mediatype"], "image/svg+xml");
}
