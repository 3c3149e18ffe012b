//! What Prometheus and Grafana get: that it is right in itself, and that it asks for what the operator has.

mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::{Value, json};

use crate::files::{documents, kustomized, printed, root, text, tool};

/// What Prometheus adds to the series of a target.
const OF_TARGETS: [&str; 4] = ["namespace", "exported_namespace", "job", "pod"];
const TESTS: [&str; 3] = ["resources.yaml", "identities.yaml", "operator.yaml"];

fn only(objects: &[Value], kind: &str) -> Value {
    let found: Vec<&Value> = objects.iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found[0].clone()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn said<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// The rules as Prometheus itself reads them.
fn rule_file() -> Value {
    documents(&text("deploy/monitoring/rules.yaml"))[0]["spec"].clone()
}

fn rules() -> Vec<Value> {
    list(&rule_file()["groups"]).iter().flat_map(|group| list(&group["rules"]).to_vec()).collect()
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&text("deploy/monitoring/dashboard.json")).unwrap();
    list(&dashboard["panels"]).to_vec()
}

/// The expressions of the panels, as Prometheus gets them from Grafana.
fn panel_expressions() -> Vec<String> {
    let targets = panels().into_iter().flat_map(|panel| list(&panel["targets"]).to_vec());
    let filled = |target: Value| said(&target, "expr").replace("$__rate_interval", "2m").replace("$namespace", ".*");
    targets.map(filled).collect()
}

fn expressions() -> Vec<String> {
    rules().iter().map(|rule| said(rule, "expr").to_owned()).chain(panel_expressions()).collect()
}

/// What promtool prints of a file, which has the rules beside it.
fn promtool(arguments: &[&str], name: &str, content: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), rule_file().to_string()).unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, content).unwrap();
    printed(Command::new(tool("promtool")).args(arguments).arg(file))
}

#[test]
fn every_alert_fires_when_it_should_and_is_silent_when_it_should_be() {
    let tests = TESTS.map(|name| (name, text(&format!("tests/packaging/monitoring/{name}"))));
    for (name, content) in &tests {
        promtool(&["test", "rules"], name, content);
    }
    let files = tests.map(|(_, content)| documents(&content)[0].clone());
    for file in &files {
        let looks = list(&file["tests"][0]["promql_expr_test"]);
        assert!(
            !looks.is_empty() && looks.iter().all(|look| list(&look["exp_samples"]).is_empty()),
            "all is well at first"
        );
    }
    let cases: Vec<&Value> = files.iter().flat_map(|file| list(&file["tests"])).collect();
    for rule in rules() {
        let name = said(&rule, "alert");
        let sample = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"");
        let is_told = |look: &Value| {
            list(&look["exp_samples"]).iter().any(|expected| said(expected, "labels").starts_with(&sample))
                || look["alertname"] == name && !list(&look["exp_alerts"]).is_empty()
        };
        let looks =
            cases.iter().flat_map(|case| list(&case["promql_expr_test"]).iter().chain(list(&case["alert_rule_test"])));
        assert!(looks.into_iter().any(is_told), "{name} fires in no test");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_where_its_section_is() {
    let page = text("docs/monitoring.md");
    let sections: BTreeMap<&str, &str> =
        page.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let names: BTreeSet<String> = rules().iter().map(|rule| said(rule, "alert").to_owned()).collect();
    assert_eq!(names, sections.keys().map(ToString::to_string).collect());
    for rule in rules() {
        let (name, annotations) = (said(&rule, "alert"), &rule["annotations"]);
        let labels: Vec<&String> = rule["labels"].as_object().unwrap().keys().collect();
        assert_eq!(labels, ["severity"], "{name}");
        let (severity, after) = (said(&rule["labels"], "severity"), said(&rule, "for"));
        assert!(["info", "warning", "critical"].contains(&severity), "{name}");
        said(annotations, "summary");
        said(annotations, "description");
        assert_eq!(said(annotations, "runbook"), format!("docs/monitoring.md#{}", name.to_lowercase()));
        let section = sections[name];
        let begins = format!("\n`{severity}`, after `{after}`.");
        assert!(section.starts_with(&begins), "docs/monitoring.md says otherwise of {name}");
        for part in ["\n- **See:** ", "\n- **Fix:** "] {
            assert_eq!(section.matches(part).count(), 1, "{name} has not exactly one{part}");
        }
    }
}

#[test]
fn the_page_refers_to_panels_pages_and_sections_that_are_there() {
    let page = text("docs/monitoring.md");
    let titles: Vec<String> = panels().iter().map(|panel| said(panel, "title").to_owned()).collect();
    let told = page.lines().filter(|line| line.contains("panel")).flat_map(|line| line.split('*').skip(1).step_by(2));
    for title in told.filter(|title| !title.is_empty() && *title != "See:") {
        assert!(titles.iter().any(|has| has == title), "no panel is called {title}");
    }
    for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        assert!(root().join("docs").join(file).exists(), "{link}");
        let is_there = || {
            text(&format!("docs/{file}")).lines().any(|line| {
                line.starts_with('#') && line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-") == anchor
            })
        };
        assert!(anchor.is_empty() || is_there(), "{link}");
    }
}

#[test]
fn rules_and_panels_ask_for_metrics_labels_and_values_that_the_operator_has() {
    let exposed = series::exposed();
    let page = text("docs/operating.md");
    for expression in expressions() {
        let mut labels: BTreeSet<&str> = OF_TARGETS.into();
        for (name, matched) in series::asked(&expression) {
            let known = exposed.get(&name).unwrap_or_else(|| panic!("the operator has no {name}"));
            labels.extend(known.keys().map(String::as_str));
            for (label, value) in matched.iter().filter(|(label, _)| label != "namespace" && label != "job") {
                let is_known = known.get(label).is_some_and(|values| values.contains(value));
                assert!(is_known, "no {name} has {label}=\"{value}\"");
            }
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(&name);
            let is_told = family.starts_with("process_") || page.contains(&format!("`{family}`"));
            assert!(is_told, "docs/operating.md does not list {family}");
        }
        for label in series::grouped(&expression) {
            assert!(labels.contains(label.as_str()), "nothing in {expression} has a label {label}");
        }
    }
}

#[test]
fn what_is_scraped_is_the_service_of_the_operator_at_its_port() {
    let monitor = only(&kustomized("deploy/monitoring"), "ServiceMonitor");
    let manager = kustomized("deploy/manager");
    let (service, deployment) = (only(&manager, "Service"), only(&manager, "Deployment"));
    assert_eq!(monitor["metadata"]["namespace"], service["metadata"]["namespace"]);
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(service["metadata"]["labels"][label], *value);
    }
    let job = &service["metadata"]["labels"][said(&monitor["spec"], "jobLabel")];
    for expression in expressions() {
        for asked in expression.split("job=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert_eq!(job, asked, "{expression}");
        }
    }
    let [endpoint] = list(&monitor["spec"]["endpoints"]) else { panic!("{monitor}") };
    assert_eq!(endpoint["honorLabels"], true);
    let port = list(&service["spec"]["ports"]).iter().find(|port| port["name"] == endpoint["port"]);
    let target = &port.expect("the Service has no such port")["targetPort"];
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let port = list(&container["ports"]).iter().find(|port| port["name"] == *target);
    let served = format!("--metrics-address=[::]:{}", port.expect("the pod has no such port")["containerPort"]);
    assert!(list(&container["args"]).iter().any(|flag| flag == served.as_str()), "{served}");
}

#[test]
fn the_dashboard_is_a_config_map_that_grafana_finds() {
    let map = only(&kustomized("deploy/monitoring"), "ConfigMap");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["data"], json!({"registry-sts.json": text("deploy/monitoring/dashboard.json")}));
}

#[test]
fn every_panel_has_a_title_a_unit_a_place_of_its_own_and_expressions_that_prometheus_takes() {
    let (mut taken, mut names) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels() {
        let title = said(&panel, "title");
        said(&panel, "description");
        said(&panel["fieldConfig"]["defaults"], "unit");
        assert!(names.insert(title.to_owned()) && names.insert(panel["id"].to_string()), "{title} is there twice");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(place.0 < 24 && taken.insert(place), "{title} is on another panel, or beside the grid");
        }
        assert!(!list(&panel["targets"]).is_empty(), "{title} shows nothing");
    }
    let recorded = |(number, expr): (usize, String)| json!({"record": format!("panel:{number}"), "expr": expr});
    let recorded: Vec<Value> = panel_expressions().into_iter().enumerate().map(recorded).collect();
    let file = json!({"groups": [{"name": "panels", "rules": recorded}]}).to_string();
    let told = promtool(&["check", "rules"], "panels.yaml", &file);
    assert!(told.contains(&format!("SUCCESS: {} rules found", recorded.len())), "{told}");
}
