//! The pages for people: that what they tell to type can be typed, and that what they say is what is there.

mod commands;
mod links;
mod manifests;
mod there;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::files::{kustomized, printed, root, text};

/// The pages that are read by people who use it.
fn pages() -> Vec<String> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().into_string().unwrap()));
    let mut pages: Vec<String> = docs
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"))
        .chain(["README.md".to_owned()])
        .collect();
    pages.sort();
    pages
}

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_registry-sts"))
}

/// The words that begin with a prefix, up to what no name has in it.
fn names(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || "-./".contains(c);
    let found = text.match_indices(prefix).map(|(at, _)| {
        let name: String = text[at..].chars().take_while(|c| is_in_name(*c)).collect();
        name.trim_end_matches(['.', '/']).to_owned()
    });
    found.collect()
}

#[test]
fn what_is_made_from_something_else_is_made_from_what_is_there_now() {
    printed(Command::new("python3").args(["docs/generate.py", "--check"]));
}

#[test]
fn the_rights_in_the_security_model_are_those_that_the_program_prints() {
    let (page, table) = (text("docs/security.md"), printed(binary().arg("rbac")));
    let (before, rest) = page.split_once("<!-- registry-sts rbac -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let expected = format!("{before}<!-- registry-sts rbac -->\n{table}<!-- end -->{after}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root().join("docs/security.md"), &expected).unwrap();
    }
    assert!(text("docs/security.md") == expected, "docs/security.md has another table: run this test with UPDATE=1");
}

#[test]
fn the_security_model_says_what_each_admission_policy_holds() {
    let page = text("docs/security.md");
    let (_, rest) = page.split_once("## What the admission policies hold").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let told: BTreeSet<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let objects = kustomized("deploy/default");
    let is_policy = |object: &&Value| object["kind"] == "ValidatingAdmissionPolicy";
    let there: BTreeSet<&str> =
        objects.iter().filter(is_policy).map(|policy| policy["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(told, there);
}

#[test]
fn every_annotation_label_finalizer_and_tag_of_the_program_is_in_the_reference() {
    let mut of_program = BTreeSet::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                of_program.extend(names(&std::fs::read_to_string(path).unwrap(), "registry-sts.dev/"));
            }
        }
    }
    let page = text("docs/api.md");
    let (_, marks) = page.split_once("## Annotations, labels, finalizers and tags").unwrap();
    let told = names(marks, "registry-sts.dev/");
    // The group itself, its versions and a subresource are no marks.
    let others = ["", "/v1", "/v1alpha1", "/status"].map(|name| format!("registry-sts.dev{name}"));
    assert_eq!(told, &of_program - &BTreeSet::from(others));
}

#[test]
fn the_map_of_the_house_names_every_room() {
    let (map, page) = (text("src/lib.rs"), text("docs/architecture.md"));
    let (_, rest) = page.split_once("## The rooms").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    for room in map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        assert!(section.contains(&format!("`{room}`")), "docs/architecture.md does not say what src/{room} does");
    }
}

#[test]
fn every_page_is_in_the_index() {
    let index = text("docs/README.md");
    for page in pages() {
        let name = page.strip_prefix("docs/").unwrap_or("README.md");
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "docs/README.md has no link to {name}");
    }
}
