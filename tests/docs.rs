//! What the documentation says of the product is what the product has.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used)]

use registry_sts::reason::Reason;

const TROUBLESHOOTING: &str = include_str!("../docs/troubleshooting.md");

/// The sections of the page, by heading.
fn sections() -> Vec<(&'static str, &'static str)> {
    let after_contents = TROUBLESHOOTING.split("\n### ").skip(1);
    after_contents
        .map(|section| {
            let (heading, rest) = section.split_once('\n').unwrap();
            (heading, rest.split("\n## ").next().unwrap())
        })
        .collect()
}

#[test]
fn every_reason_that_status_can_show_has_a_section_and_every_section_is_one_of_a_reason() {
    let headings: Vec<&str> = sections().iter().map(|(heading, _)| *heading).collect();
    for reason in Reason::ALL {
        let times = headings.iter().filter(|heading| **heading == reason.as_str()).count();
        assert_eq!(times, 1, "docs/troubleshooting.md has {times} sections `### {}`", reason.as_str());
    }
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    for heading in headings {
        assert!(reasons.contains(&heading), "no reason is called {heading}");
    }
}

#[test]
fn every_section_says_what_it_means_how_to_see_more_and_how_to_fix_it() {
    for (heading, text) in sections() {
        let meaning = text.split("- **See:**").next().unwrap().trim();
        assert!(meaning.len() > 20, "{heading} does not say what it means");
        for part in ["\n- **See:** ", "\n- **Fix:** "] {
            assert_eq!(text.matches(part).count(), 1, "{heading} has not exactly one{part}");
        }
    }
}

#[test]
fn the_contents_link_to_every_section_and_every_link_of_the_page_leads_to_one() {
    let contents = TROUBLESHOOTING.split("## Contents").nth(1).unwrap().split("\n## ").next().unwrap();
    for (heading, _) in sections() {
        let link = format!("[{heading}](#{})", heading.to_lowercase());
        assert!(contents.contains(&link), "the contents lack {link}");
    }
    let headings: Vec<String> = TROUBLESHOOTING
        .lines()
        .filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")))
        .map(|heading| heading.to_lowercase().replace(' ', "-").replace(',', ""))
        .collect();
    for link in TROUBLESHOOTING.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(headings.iter().any(|heading| heading == link), "no section for the link #{link}");
    }
}
