//! How the health of a `QuayStorage` is told: by Argo CD's interpreter with our script, by kstatus, by Flux with our
//! expressions. docs/gitops.md has the table, and what it says is what comes out.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{FLUX, named};
use crate::files::{documents, kustomized, root, text, tool};

#[derive(Debug, Deserialize)]
struct Judged {
    status: String,
    message: String,
}

fn judged(command: &mut Command, objects: &[Value]) -> Vec<Judged> {
    let mut child = command.current_dir(root()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It prints only once it has read everything.
    child.stdin.take().unwrap().write_all(Value::from(objects.to_vec()).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    let judged: Vec<Judged> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(judged.len(), objects.len());
    judged
}

fn by_argo_cd(objects: &[Value]) -> Vec<Judged> {
    judged(Command::new(tool("argocd-health")).arg("deploy/argocd/health/health.lua"), objects)
}

/// What the three say of each object, as the columns of the page have it.
fn by_all(objects: &[Value]) -> Vec<[String; 3]> {
    let kustomization = tempfile::NamedTempFile::new().unwrap();
    let flux = kustomized(FLUX);
    std::fs::write(&kustomization, named(&flux, "Kustomization", "example-registry").to_string()).unwrap();
    let argo_cd = by_argo_cd(objects);
    let kstatus = judged(&mut Command::new(tool("kstatus")), objects);
    let with_expressions = judged(Command::new(tool("kstatus")).arg(kustomization.path()), objects);
    let rows = argo_cd.into_iter().zip(kstatus).zip(with_expressions);
    rows.map(|((a, b), c)| [a.status, b.status, c.status]).collect()
}

/// The rows of the page.
fn table() -> BTreeMap<String, [String; 3]> {
    let page = text("docs/gitops.md");
    let (_, rest) = page.split_once("## How health is told\n").unwrap();
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    cells.map(|cells| (cells[0].clone(), [cells[1].clone(), cells[2].clone(), cells[3].clone()])).collect()
}

fn object(spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage",
        "metadata": {"name": "example", "namespace": "quay", "generation": status["observedGeneration"]},
        "spec": spec, "status": status,
    })
}

/// Each story's resource with the status that comes out, by the story's name.
fn stories() -> BTreeMap<String, Value> {
    let mut stories = BTreeMap::new();
    for folder in std::fs::read_dir(root().join("tests/cases")).unwrap().map(|entry| entry.unwrap()) {
        let name = folder.file_name().into_string().unwrap();
        let Ok(status) = std::fs::read_to_string(folder.path().join("status.yaml")) else { continue };
        let input = documents(&text(&format!("tests/cases/{name}/input.yaml")));
        let resource = input.iter().find(|document| document["kind"] == "QuayStorage").unwrap();
        stories.insert(name, object(&resource["spec"], &documents(&status)[0]));
    }
    assert!(stories.len() > 100, "there are {} stories", stories.len());
    stories
}

/// A story's row: its conditions in the page's words.
fn row(story: &Value) -> String {
    let conditions = story["status"]["conditions"].as_array().unwrap();
    let words = ["Ready", "Reconciling", "Stalled", "Suspended"].iter().filter_map(|kind| {
        let condition = conditions.iter().find(|condition| condition["type"] == *kind)?;
        let (status, reason) = (condition["status"].as_str().unwrap(), condition["reason"].as_str().unwrap());
        assert!(*kind == "Ready" || status == "True", "{kind} is there only while it is true");
        Some(match *kind {
            "Ready" => format!("Ready={status}"),
            "Reconciling" => format!("Reconciling={reason}"),
            kind => kind.to_owned(),
        })
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A resource that is as a row of the page tells.
fn told(row: &str) -> Value {
    let ready = json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "R", "message": ""}]});
    let mut whole = object(&json!({}), &ready);
    match row {
        "no report yet" => whole["status"] = json!({"observedGeneration": -1}),
        "a status of an older spec" => whole["metadata"]["generation"] = 2.into(),
        "a deletion under way" => whole["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z".into(),
        words => {
            let conditions = words.split(' ').map(|word| {
                let (kind, value) = word.split_once('=').unwrap_or((word, "True"));
                let (status, reason) = if kind == "Ready" { (value, "R") } else { ("True", value) };
                json!({"type": kind, "status": status, "reason": reason, "message": ""})
            });
            whole["status"]["conditions"] = conditions.collect();
            whole["spec"]["suspend"] = words.ends_with("Suspended").into();
        }
    }
    if whole["status"].is_null() {
        whole.as_object_mut().unwrap().remove("status");
        whole["metadata"]["generation"] = 1.into();
    }
    whole
}

#[test]
fn every_story_is_judged_as_the_page_says() {
    let table = table();
    let (names, objects): (Vec<_>, Vec<_>) = stories().into_iter().unzip();
    let mut seen = BTreeMap::new();
    for ((name, object), judged) in names.iter().zip(&objects).zip(by_all(&objects)) {
        let row = row(object);
        let expected = table.get(&row).unwrap_or_else(|| panic!("{name}: the page has no row {row:?}"));
        assert_eq!(&judged, expected, "{name}: {row}");
        *seen.entry(row).or_insert(0) += 1;
    }
    assert!(seen.len() > 5, "{seen:?}");
}

#[test]
fn every_row_of_the_page_is_what_comes_out() {
    let table = table();
    let objects: Vec<Value> = table.keys().map(|row| told(row)).collect();
    for ((row, expected), judged) in table.iter().zip(by_all(&objects)) {
        assert_eq!(&judged, expected, "{row}");
    }
    assert_eq!(table.len(), 11);
}

#[test]
fn a_storage_identity_is_judged_as_a_quay_storage_is() {
    let table = table();
    let identity = |row: &String| {
        let mut object = told(row);
        object["kind"] = "StorageIdentity".into();
        object
    };
    let objects: Vec<Value> = table.keys().map(identity).collect();
    // Flux's expressions are of one kind: those of the example are not its.
    for ((row, [argo_cd, kstatus, _]), judged) in table.iter().zip(by_all(&objects)) {
        assert_eq!(&judged[..2], [argo_cd.clone(), kstatus.clone()], "{row}");
    }
}

#[test]
fn argo_cd_shows_what_the_condition_says() {
    let all = stories();
    let (names, objects): (Vec<_>, Vec<_>) = all.iter().unzip();
    let objects: Vec<Value> = objects.into_iter().cloned().collect();
    let judged: BTreeMap<_, _> = names.into_iter().zip(by_argo_cd(&objects)).collect();
    for (name, health) in &judged {
        let kind = if health.status == "Suspended" { "Suspended" } else { "Ready" };
        let conditions = all[*name]["status"]["conditions"].as_array().unwrap();
        let condition = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
        assert_eq!(health.message, condition["message"].as_str().unwrap(), "{name}");
    }
    let shown = [
        ("a-bundle-of-argo-cd-is-left-alone", "Degraded", "Secret example-config-bundle is kept by Argo CD"),
        ("another-bucket-would-move-data", "Degraded", "acceptPlace"),
        ("a-missing-key-secret-waits-for-it", "Degraded", "quay-user"),
        ("a-role-that-fails-later-changes-status-only", "Degraded", "RoleNotAssumable"),
        ("a-proof-under-way-looks-at-nothing", "Progressing", "waiting for AWS to answer"),
        ("an-unreachable-aws-leaves-a-proven-registry-ready", "Healthy", "proven before, but not lately"),
        ("mode-warn-writes-what-failed-and-says-so", "Healthy", "written as asked (mode Warn)"),
        ("output-is-made-from-the-source", "Healthy", "Every location is proven and stands in Secret output."),
        ("a-suspended-resource-keeps-what-was-known", "Suspended", "while spec.suspend is true"),
    ];
    for (name, status, message) in shown {
        let health = judged.iter().find(|(story, _)| **story == name).unwrap_or_else(|| panic!("no story {name}")).1;
        assert!(health.status == status && health.message.contains(message), "{name}: {health:?}");
    }
}

#[test]
fn for_argo_cd_suspended_comes_first_and_then_what_is_not_reported_yet() {
    let asked = |change: fn(&mut Value)| {
        let mut object = told("Ready=True Suspended");
        change(&mut object);
        object
    };
    let judged = by_argo_cd(&[
        asked(|object| object["metadata"]["generation"] = 2.into()),
        asked(|object| object["status"] = Value::Null),
        asked(|object| {
            object["metadata"]["generation"] = 2.into();
            object["spec"]["suspend"] = false.into();
        }),
        told("no report yet"),
        told("a status of an older spec"),
    ]);
    let judged: Vec<_> = judged.iter().map(|health| (health.status.as_str(), health.message.as_str())).collect();
    let unseen = ("Progressing", "The operator has not reported on the changed spec yet.");
    let unreported = ("Progressing", "The operator has not reported yet: see whether it runs, and in this namespace.");
    assert_eq!(judged, [("Suspended", ""), ("Suspended", "spec.suspend is true."), unseen, unreported, unseen]);
}
