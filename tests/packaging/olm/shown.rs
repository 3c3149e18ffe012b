//! What consoles show of the operator and its resources.

use serde_json::Value;

use super::{CSV, document};
use crate::files::{documents, text};

/// What the `ClusterServiceVersion` says of each of its custom resources, with the schema of that one.
fn owned() -> Vec<(Value, Value)> {
    let csv = document(CSV);
    let owned = csv["spec"]["customresourcedefinitions"]["owned"].as_array().unwrap();
    let schema = |name: &str| {
        let (plural, group) = name.split_once('.').unwrap();
        let mut crd = document(&format!("deploy/olm/manifests/{group}_{plural}.yaml"));
        assert_eq!(crd["metadata"]["name"], name);
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take()
    };
    owned.iter().map(|one| (one.clone(), schema(one["name"].as_str().unwrap()))).collect()
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
    let owned = owned();
    let examples: Vec<Value> =
        serde_json::from_str(csv["metadata"]["annotations"]["alm-examples"].as_str().unwrap()).unwrap();
    assert_eq!(examples, documents(&text("deploy/olm/examples.yaml")));
    for (one, schema) in &owned {
        let mut of_kind = examples.iter().filter(|example| example["kind"] == one["kind"]).peekable();
        assert!(of_kind.peek().is_some(), "there is no example of a {}", one["kind"]);
        for example in of_kind {
            assert_eq!(example["apiVersion"], "registry-sts.dev/v1alpha1");
            assert_eq!(faults(&example["spec"], &schema["properties"]["spec"], "spec"), [""; 0]);
        }
    }
    assert!(examples.iter().all(|example| owned.iter().any(|(one, _)| one["kind"] == example["kind"])));

    let (first, schema) = &owned[0];
    assert_eq!((&examples[0]["kind"], &first["kind"]), (&"QuayStorage".into(), &"QuayStorage".into()));
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
fn every_definition_of_the_bundle_is_owned() {
    let owned: Vec<Value> = owned().into_iter().map(|(one, _)| one["name"].clone()).collect();
    let all = super::manifests();
    let definitions = all.iter().filter(|(_, object)| object["kind"] == "CustomResourceDefinition");
    let names: Vec<&Value> = definitions.map(|(_, object)| &object["metadata"]["name"]).collect();
    assert!(names.len() == owned.len() && names.iter().all(|name| owned.contains(name)), "{names:?} and {owned:?}");
}

#[test]
fn every_descriptor_is_of_a_field_that_there_is() {
    for (owned, schema) in owned() {
        for (descriptors, of) in [("specDescriptors", "spec"), ("statusDescriptors", "status")] {
            let descriptors = owned[descriptors].as_array();
            assert_eq!(descriptors.is_some(), schema["properties"].get(of).is_some(), "{}: {of}", owned["kind"]);
            for descriptor in descriptors.into_iter().flatten() {
                let path = descriptor["path"].as_str().unwrap();
                let field = field(&schema["properties"][of], path);
                assert!(field["type"].is_string(), "{}: {of}.{path}", owned["kind"]);
                let options = descriptor["x-descriptors"].as_array().into_iter().flatten();
                let options = options.filter_map(|option| {
                    option.as_str().unwrap().strip_prefix("urn:alm:descriptor:com.tectonic.ui:select:").map(Value::from)
                });
                let options: Vec<Value> = options.collect();
                assert!(options.is_empty() || field["enum"] == Value::from(options), "{of}.{path} has other values");
            }
        }
    }
}

/// The schema of a field, by a descriptor's path.
fn field<'a>(mut schema: &'a Value, path: &str) -> &'a Value {
    for step in path.split('.') {
        let name = step.strip_suffix("[0]");
        schema = &schema["properties"][name.unwrap_or(step)];
        if name.is_some() {
            schema = &schema["items"];
        }
    }
    schema
}

#[test]
fn the_icon_is_the_one_of_the_file() {
    use base64::Engine as _;
    let icon = document(CSV)["spec"]["icon"][0].clone();
    let data = base64::engine::general_purpose::STANDARD.decode(icon["base64data"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(data).unwrap(), text("deploy/olm/icon.svg"));
    assert_eq!(icon["mediatype"], "image/svg+xml");
}
