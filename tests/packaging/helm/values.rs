//! The values: their schema, their table, and the flags that are made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{CHART, EVERYTHING, refused, rendered, template};
use crate::files::{printed, text};

/// Each value below, by its path. A map whose content is Kubernetes' or the user's is one value.
fn leaves(schema: &Value, at: &str, found: &mut BTreeMap<String, Value>) {
    let properties = schema["properties"].as_object().unwrap_or_else(|| panic!("{at} has no properties"));
    assert_eq!(schema["additionalProperties"], false, "{at}");
    for (name, property) in properties {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let property = resolved(property);
        match property.get("properties") {
            Some(_) => leaves(&property, &path, found),
            None => assert!(found.insert(path, property).is_none()),
        }
    }
}

fn schema() -> Value {
    serde_json::from_str(&text(&format!("{CHART}/values.schema.json"))).unwrap()
}

/// What a reference into the schema's definitions stands for.
fn resolved(property: &Value) -> Value {
    match property["$ref"].as_str() {
        None => property.clone(),
        Some(reference) => schema().pointer(reference.strip_prefix('#').unwrap()).unwrap().clone(),
    }
}

/// Each value of the schema, by its path.
fn in_schema() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    leaves(&schema(), "", &mut found);
    found
}

fn defaults() -> Value {
    serde_yaml::from_str(&text(&format!("{CHART}/values.yaml"))).unwrap()
}

/// The default at a path, if there is one.
fn default_of(path: &str) -> Option<Value> {
    defaults().pointer(&format!("/{}", path.replace('.', "/"))).cloned()
}

/// Paths in `value` down to those that are values of the schema, or to what the schema does not know.
fn paths(value: &Value, at: &str, known: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) if !known.contains(at) && !entries.is_empty() => {
            for (name, entry) in entries {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                paths(entry, &path, known, found);
            }
        }
        _ => drop(found.insert(at.to_owned())),
    }
}

/// Values for Helm, each at its path.
fn at_each(paths: impl IntoIterator<Item = (String, Value)>) -> tempfile::NamedTempFile {
    let mut values = json!({});
    for (path, value) in paths {
        let mut place = &mut values;
        for name in path.split('.') {
            place = &mut place[name];
        }
        *place = value;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &values).unwrap();
    file
}

fn refused_values(file: &Path) -> String {
    refused(&["--values", file.to_str().unwrap()])
}

#[test]
fn the_schema_has_every_value_and_no_other() {
    let known: BTreeSet<String> = in_schema().into_keys().collect();
    let mut found = BTreeSet::new();
    paths(&defaults(), "", &known, &mut found);
    assert_eq!(found, known);
}

#[test]
fn an_unknown_value_is_refused_wherever_it_stands() {
    let parents = in_schema().into_keys().filter_map(|path| path.rsplit_once('.').map(|(parent, _)| parent.to_owned()));
    let parents: BTreeSet<String> = parents.chain([String::new()]).collect();
    let unknown = parents.iter().map(|parent| match parent.as_str() {
        "" => ("unheardOf".to_owned(), json!(true)),
        parent => (format!("{parent}.unheardOf"), json!(true)),
    });
    let said = refused_values(at_each(unknown).path());
    for parent in &parents {
        let at = format!("at '/{}': additional properties 'unheardOf' not allowed", parent.replace('.', "/"));
        assert!(said.contains(&at.replace("'/'", "''")), "{at}\n{said}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_whichever_it_is() {
    let wrong = in_schema().into_iter().map(|(path, property)| {
        let is_text = property["type"] == "string";
        (path, if is_text { json!(7) } else { json!("seven") })
    });
    let wrong: Vec<(String, Value)> = wrong.collect();
    let said = refused_values(at_each(wrong.clone()).path());
    for (path, _) in wrong {
        let at = format!("at '/{}': got ", path.replace('.', "/"));
        assert!(said.contains(&at), "{at}\n{said}");
    }
}

#[test]
fn the_readme_lists_every_value_with_its_default() {
    let readme = text(&format!("{CHART}/README.md"));
    let table = readme.split("\n## Values").nth(1).unwrap().split("\n## ").next().unwrap();
    let code = |cell: &str| cell.trim().strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).map(str::to_owned);
    let mut listed = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        let (path, default) = (code(cells[1]).unwrap(), code(cells[2]).unwrap());
        let default: Value = serde_yaml::from_str(&default).unwrap();
        assert_eq!(Some(default), default_of(&path), "{path}");
        assert!(listed.insert(path.clone()), "{path} stands twice");
    }
    assert_eq!(listed, in_schema().into_keys().collect());
}

/// The arguments of the operator.
fn arguments(values: &[&str]) -> Vec<String> {
    let objects = rendered(values);
    let deployment = objects.values().find(|object| object["kind"] == "Deployment").unwrap();
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    arguments.iter().map(|argument| argument.as_str().unwrap().to_owned()).collect()
}

fn registry_sts() -> Command {
    Command::new(env!("CARGO_BIN_EXE_registry-sts"))
}

#[test]
fn every_flag_is_one_of_the_operators() {
    let help = printed(registry_sts().args(["run", "--help"]));
    let known: BTreeSet<&str> =
        help.split_whitespace().filter(|word| word.starts_with("--")).map(|word| word.trim_end_matches(',')).collect();
    let everything = arguments(&EVERYTHING);
    let scoped = arguments(&super::scope::SCOPED);
    let flags: BTreeSet<&str> =
        everything.iter().chain(&scoped).filter_map(|argument| argument.split('=').next()).collect();
    let flags: BTreeSet<&str> = flags.into_iter().filter(|flag| *flag != "run").collect();
    assert!(flags.is_subset(&known), "{:?}", flags.difference(&known));
    // Each flag of the operator is a value, but what the chart decides.
    let decided = ["--help", "--no-leader-election", "--lease-namespace"];
    let missing: Vec<_> = known.difference(&flags).filter(|flag| !decided.contains(flag)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_operator_takes_the_arguments_as_they_are_made() {
    for values in [&[][..], &EVERYTHING, &super::scope::SCOPED] {
        let arguments = arguments(values);
        let output = registry_sts().args(&arguments).env_clear().env("KUBECONFIG", "/nonexistent").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Usage errors end with 64. These are understood, and then there is no cluster.
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("there is no cluster to work in"), "{said}");
    }
}

#[test]
fn a_chart_can_have_it_within() {
    let outer = tempfile::tempdir().unwrap();
    let chart = "apiVersion: v2\nname: outer\nversion: 1.0.0\n";
    std::fs::write(outer.path().join("Chart.yaml"), chart).unwrap();
    std::fs::write(outer.path().join("values.yaml"), "global: {site: one}\nregistry-sts: {replicas: 1}\n").unwrap();
    let charts = outer.path().join("charts");
    std::fs::create_dir(&charts).unwrap();
    std::os::unix::fs::symlink(crate::files::root().join(CHART), charts.join("registry-sts")).unwrap();
    let made = printed(&mut template(outer.path().to_str().unwrap(), &[]));
    assert!(made.contains("replicas: 1"));
}
