//! Links lead somewhere.

use std::path::{Component, Path, PathBuf};

use crate::files::{root, text};

/// Every page of the repository.
fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    pages.sort();
    pages
}

/// A page without its code.
fn prose(page: &str) -> String {
    let mut is_code = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.map(without_code).collect::<Vec<_>>().join("\n")
}

/// A line without what stands between backquotes, unless it is a link's text.
fn without_code(line: &str) -> String {
    let pieces = line.split('`').enumerate();
    pieces.map(|(index, piece)| if index % 2 == 0 { piece } else { "code" }).collect()
}

fn targets(page: &str) -> Vec<String> {
    let prose = prose(page);
    prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// What the headings of a page are called in links, as GitHub makes it.
fn anchors(page: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut is_code = false;
    for line in page.lines() {
        is_code ^= line.starts_with("```");
        let Some((marks, heading)) = line.split_once(' ') else { continue };
        if is_code || marks.is_empty() || !marks.chars().all(|c| c == '#') {
            continue;
        }
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let before = anchors.iter().filter(|known| **known == anchor).count();
        anchors.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    anchors
}

/// A path of the repository as seen from a page.
fn resolved(page: &str, path: &str) -> PathBuf {
    let mut resolved = Path::new(page).parent().unwrap().to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => assert!(resolved.pop(), "{path} in {page} leads out of the repository"),
            part => resolved.push(part),
        }
    }
    resolved
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_every_anchor_to_a_heading() {
    let mut wrong = Vec::new();
    for page in pages() {
        for target in targets(&text(&page)) {
            if target.starts_with("https://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').map_or((target.as_str(), None), |(p, a)| (p, Some(a)));
            let file = if path.is_empty() { PathBuf::from(&page) } else { resolved(&page, path) };
            if !root().join(&file).exists() {
                wrong.push(format!("{page}: {target}: there is no {}", file.display()));
            } else if anchor.is_some_and(|a| !anchors(&text(file.to_str().unwrap())).iter().any(|known| known == a)) {
                wrong.push(format!("{page}: {target}: there is no such heading"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_anchor_is_what_github_makes_of_a_heading() {
    let page = "# A b\n## `C`: d, e's\n```\n# f\n```\n## A b\n### spec.locations[].auth\n";
    assert_eq!(anchors(page), ["a-b", "c-d-es", "a-b-1", "speclocationsauth"]);
}
