//! What the API server would refuse or drop of a resource of ours, told from the very schema that it is given. CEL rules
//! are not evaluated: what they say is parsed again by `plan::desired`.

use std::collections::BTreeSet;

use serde_json::Value as Schema;
use serde_yaml::Value;

use super::position::FieldPath;

/// How alike an unknown field's name and a known one have to be for the one to be meant.
const NEAR: f32 = 0.7;
/// A longer name is none that somebody misspelled: it may be a key in the wrong place.
const LONGEST_NAME: usize = 32;

/// What is wrong with a field. No value is in it.
pub(super) struct Fault {
    pub(super) path: FieldPath,
    pub(super) says: String,
}

/// Everything wrong with the fields of a resource of a kind of ours. A null that the API server would drop is dropped here
/// too.
pub(super) fn faults(resource: &mut Value, kind: &'static str) -> Vec<Fault> {
    let crd = crate::api::crds().into_iter().find(|crd| crd.spec.names.kind == kind);
    let crd = crd.and_then(|crd| serde_json::to_value(crd).ok()).unwrap_or_default();
    let mut check = Check { kind, faults: Vec::new() };
    let path = FieldPath::default();
    for field in ["apiVersion", "kind", "metadata", "status"] {
        // What the schema does not say is checked by whoever reads the manifest; status is the operator's own.
        if let Some(mapping) = resource.as_mapping_mut() {
            mapping.remove(field);
        }
    }
    check.value(resource, &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &path);
    check.faults
}

struct Check {
    kind: &'static str,
    faults: Vec<Fault>,
}

impl Check {
    fn tell(&mut self, path: &FieldPath, says: &str) {
        self.faults.push(Fault { path: path.clone(), says: format!("{path} {says}") });
    }

    fn value(&mut self, value: &mut Value, schema: &Schema, path: &FieldPath) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        match (schema["type"].as_str().unwrap_or_default(), &mut *value) {
            ("object", Value::Mapping(fields)) => self.object(fields, schema, path),
            ("array", Value::Sequence(items)) => self.list(items, schema, path),
            ("string", Value::String(text)) => self.text(text, schema, path),
            ("integer", Value::Number(number)) if !number.is_f64() => {
                let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
                let fits = |number: f64| least.is_none_or(|m| number >= m) && most.is_none_or(|m| number <= m);
                if !number.as_f64().is_some_and(fits) {
                    let bound = |bound: Option<f64>| bound.map_or_else(|| "any".to_owned(), |b| b.to_string());
                    self.tell(path, &format!("is out of range: expected {} to {}", bound(least), bound(most)));
                }
            }
            ("boolean", Value::Bool(_)) => {}
            (kind, found) => {
                let quotes = match (kind, &*found) {
                    ("string", Value::Number(_) | Value::Bool(_)) => ". Put it in quotes",
                    _ => "",
                };
                self.tell(path, &format!("is {}: expected {}{quotes}", named(found), expected(kind)));
            }
        }
    }

    fn object(&mut self, fields: &mut serde_yaml::Mapping, schema: &Schema, path: &FieldPath) {
        let Some(known) = schema["properties"].as_object() else { return };
        let mut meant = BTreeSet::new();
        for name in fields.keys() {
            let Some(name) = name.as_str().filter(|name| is_a_name(name)) else {
                self.tell(path, "has a field whose name is none: correct or remove it");
                continue;
            };
            if known.contains_key(name) {
                continue;
            }
            let near = near(name, known.keys().filter(|known| !fields.contains_key(known.as_str())));
            let advice = match near {
                Some(near) => format!("did you mean {near}?"),
                None if path.is_root() => format!("a {} has apiVersion, kind, metadata and spec", self.kind),
                None => format!("there it has {}", listed(known.keys())),
            };
            meant.extend(near);
            self.tell(&path.key(name), &format!("is no field of a {}: {advice}", self.kind));
        }
        fields.retain(|name, value| {
            let property = name.as_str().and_then(|name| known.get(name));
            !(value.is_null() && property.is_some_and(|property| property["nullable"] != true))
        });
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Schema::as_str) {
            if !fields.contains_key(name) && !meant.contains(name) {
                let about = known.get(name).and_then(|property| property["description"].as_str()).map(first_sentence);
                self.tell(&path.key(name), &format!("is missing: add it. {}", about.unwrap_or_default()));
            }
        }
        for (name, value) in fields.iter_mut() {
            if let Some((name, property)) = name.as_str().and_then(|name| known.get_key_value(name)) {
                self.value(value, property, &path.key(name));
            }
        }
    }

    fn list(&mut self, items: &mut [Value], schema: &Schema, path: &FieldPath) {
        self.length(items.len(), "items", (&schema["minItems"], &schema["maxItems"]), path);
        for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Schema::as_str) {
            let mut seen = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let value = item.get(key).and_then(Value::as_str);
                if value.is_some_and(|value| !seen.insert(value)) {
                    self.tell(&path.item(index).key(key), "stands twice in this list: keep one");
                }
            }
        }
        for (index, item) in items.iter_mut().enumerate() {
            self.value(item, &schema["items"], &path.item(index));
        }
    }

    fn text(&mut self, text: &str, schema: &Schema, path: &FieldPath) {
        self.length(text.chars().count(), "characters", (&schema["minLength"], &schema["maxLength"]), path);
        if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.iter().any(|one| one == text)) {
            let allowed = listed(allowed.iter().filter_map(Schema::as_str));
            self.tell(path, &format!("is a text that is not allowed: expected one of {allowed}"));
        }
    }

    fn length(&mut self, length: usize, of: &str, (least, most): (&Schema, &Schema), path: &FieldPath) {
        let bound = |bound: &Schema| bound.as_u64().and_then(|bound| usize::try_from(bound).ok());
        let (least, most) = (bound(least).unwrap_or(0), bound(most));
        if length < least || most.is_some_and(|most| length > most) {
            let most = most.map_or_else(|| "any number".to_owned(), |most| most.to_string());
            self.tell(path, &format!("has {length} {of}: expected {least} to {most}"));
        }
    }
}

fn is_a_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(fits)
}

/// The known name that was probably meant, as Quay spells it or in another case.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '-', '.'], "");
    let plain_name = plain(name);
    let likeness = |known: &str| similar::TextDiff::from_chars(plain_name.as_str(), plain(known).as_str()).ratio();
    let likest = known.map(|known| (likeness(known), known)).max_by(|(one, _), (other, _)| one.total_cmp(other));
    likest.filter(|(likeness, _)| *likeness >= NEAR).map(|(_, known)| known.as_str())
}

fn listed<T: AsRef<str>>(names: impl Iterator<Item = T>) -> String {
    names.map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}

fn first_sentence(description: &str) -> String {
    let text = description.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
}

fn named(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a value with a tag",
    }
}

fn expected(kind: &str) -> &str {
    match kind {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "boolean" => "true or false",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
apiVersion: registry-sts.dev/v1alpha1
kind: QuayStorage
metadata: {name: example, anything: [1]}
status: {whatever: 1}
spec:
  configBundleSecret: bundle
  verification: null
  locations:
  - name: default
    roleArn: arn:aws:iam::123492922789:role/example-role
    bucket: my-quay-bucket
    region: us-east-1
    signatureVersion: null
    auth: {accessKey: {secretRef: {name: quay-user}}}
";

    fn says(manifest: &str) -> Vec<String> {
        faults(&mut serde_yaml::from_str(manifest).unwrap(), "QuayStorage")
            .into_iter()
            .map(|fault| fault.says)
            .collect()
    }

    #[test]
    fn what_the_api_server_takes_is_taken_and_metadata_and_status_are_not_looked_at() {
        assert_eq!(says(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_told_once_with_its_path_and_what_to_do() {
        for (from, to, expected) in [
            ("roleArn", "roleARN", "spec.locations[0].roleARN is no field of a QuayStorage: did you mean roleArn?"),
            (
                "roleArn",
                "sts_role_arn",
                "spec.locations[0].sts_role_arn is no field of a QuayStorage: did you mean roleArn?",
            ),
            ("bucket:", "s3_bucket:", "spec.locations[0].s3_bucket is no field of a QuayStorage: did you mean bucket?"),
            (
                "region",
                "storagepath",
                "spec.locations[0].storagepath is no field of a QuayStorage: did you mean storagePath?",
            ),
            ("  locations:", "  location:", "spec.location is no field of a QuayStorage: did you mean locations?"),
            (
                "spec:",
                "colour: red\nspec:",
                "colour is no field of a QuayStorage: a QuayStorage has apiVersion, kind, metadata and spec",
            ),
            ("spec:", "specs:", "specs is no field of a QuayStorage: did you mean spec?"),
            (
                "secretRef: {name",
                "secretRef: {key: x, name",
                "spec.locations[0].auth.accessKey.secretRef.key is no field of a QuayStorage: there it has name",
            ),
            (
                "    bucket: my-quay-bucket\n",
                "",
                "spec.locations[0].bucket is missing: add it. The S3 bucket (`s3_bucket`).",
            ),
            (
                "bucket: my-quay-bucket",
                "bucket: 123",
                "spec.locations[0].bucket is a number: expected a text. Put it in quotes",
            ),
            (
                "bucket: my-quay-bucket",
                "bucket: null",
                "spec.locations[0].bucket is missing: add it. The S3 bucket (`s3_bucket`).",
            ),
            ("bucket: my-quay-bucket", "bucket: ab", "spec.locations[0].bucket has 2 characters: expected 3 to 63"),
            (
                "Version: null",
                "Version: hush",
                "spec.locations[0].signatureVersion is a text that is not allowed: expected one of s3v4, v4",
            ),
            (
                "signatureVersion: null",
                "maximumChunkSizeGb: 7",
                "spec.locations[0].maximumChunkSizeGb is out of range: expected 1 to 5",
            ),
            (
                "{secretRef: {name: quay-user}}",
                "hush",
                "spec.locations[0].auth.accessKey is a text: expected a mapping",
            ),
            (
                "{accessKey:",
                "{wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYa:",
                "spec.locations[0].auth has a field whose name is none: correct or remove it",
            ),
            ("verification: null", "replicate: 'yes'", "spec.replicate is a text: expected true or false"),
            (
                "  locations:",
                "  locations:\n  - {name: default, bucket: abc, roleArn: arn:aws:iam::123492922789:role/r, auth: {accessKey: {secretRef: {name: a}}}}",
                "spec.locations[1].name stands twice in this list: keep one",
            ),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let told = says(&GOOD.replacen(from, to, 1));
            assert!(told.first().is_some_and(|told| told == expected), "{told:#?}\n{expected}");
            assert!(told.len() == 1 || to.contains("EXAMPLEKEY"), "{told:#?}");
        }
    }
}
