//! The stories of tests/adopt: a bundle in, and out the `QuayStorage` that leaves it as it is. Each is tried out: filled
//! in, it changes the bundle as it said that it would, and no secret is told.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod golden;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use golden::differing;
use registry_sts::adopt::{Adoption, offline, resource_name};
use registry_sts::manifests::Manifests;
use registry_sts::plan::desired::Allowed;
use registry_sts::policy::location::Told;
use secrecy::ExposeSecret as _;

/// What every secret of the inputs has in it.
const SECRETS: [&str; 3] = ["s3cr3t", "hunter2", "AKIAEXAMPLE"];
const UNCHANGED: &str = "Applying it would change nothing";

fn stories() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adopt");
    let mut stories: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.retain(|path| path.is_dir());
    stories.sort();
    assert!(stories.len() >= 8, "there are {} stories", stories.len());
    stories
}

fn adopted(story: &Path) -> Result<Adoption, Vec<String>> {
    let mut manifests = Manifests::default();
    manifests.add("input.yaml", &fs::read_to_string(story.join("input.yaml")).unwrap()).unwrap();
    let bundle = offline::bundle(&manifests, None, None).unwrap();
    bundle.adopt(&resource_name(None, &bundle.consumer).unwrap(), &Told::default())
}

#[test]
fn every_story_goes_as_it_is_told() {
    let mut wrong = Vec::new();
    for story in stories() {
        let (printed, told) = match adopted(&story) {
            Ok(adoption) => (Some(adoption.manifests), adoption.notes),
            Err(why) => (None, why),
        };
        wrong.extend(differing(&story, [("printed.yaml", printed), ("told.txt", Some(told.join("\n") + "\n"))]));
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes what comes out.", wrong.join("\n"));
}

#[test]
fn no_secret_of_a_bundle_is_told() {
    for story in stories() {
        let input = fs::read_to_string(story.join("input.yaml")).unwrap();
        let told = match adopted(&story) {
            Ok(adoption) => format!("{}\n{}\n{adoption:?}", adoption.manifests, adoption.notes.join("\n")),
            Err(why) => why.join("\n"),
        };
        let words = input.split(|c: char| c.is_whitespace() || ",'\"{}[]".contains(c));
        let secrets: Vec<&str> = words.filter(|word| SECRETS.iter().any(|secret| word.contains(secret))).collect();
        assert!(!secrets.is_empty(), "there is no secret in {}", story.display());
        for secret in secrets.into_iter().chain(SECRETS) {
            assert!(!told.contains(secret), "{}: a secret is told", story.display());
            let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
            assert!(!told.contains(encoded.trim_end_matches('=')), "{}: a secret is told", story.display());
        }
    }
}

/// The printed manifests, filled in by a person who has the keys.
fn filled_in(printed: &str) -> String {
    let mut secrets = ["s3cr3t/of+the-bundle", "s3cr3t/of+another"].into_iter();
    let mut out = String::new();
    for line in printed.lines() {
        let line = match line.trim_start().split_once(": ") {
            Some(("AWS_ACCESS_KEY_ID", value)) => {
                let last = if value.contains("…MPLF") { "AKIAEXAMPLEEXAMPLF" } else { "AKIAEXAMPLEEXAMPLE" };
                format!("  AWS_ACCESS_KEY_ID: {last}")
            }
            Some(("AWS_SECRET_ACCESS_KEY", _)) => format!("  AWS_SECRET_ACCESS_KEY: {}", secrets.next().unwrap()),
            _ => line.to_owned(),
        };
        out += &line;
        out.push('\n');
    }
    out.replace("<ARN of the role>", "arn:aws:iam::123492922789:role/filled-in")
        .replace("<region of the bucket>", "eu-west-1")
        .replace("<service account of Quay's pods>", "quay-app")
}

#[test]
fn what_is_printed_changes_the_bundle_as_it_says_once_it_is_filled_in() {
    for story in stories() {
        let Ok(adoption) = adopted(&story) else { continue };
        let mut manifests = Manifests::default();
        manifests.add("input.yaml", &fs::read_to_string(story.join("input.yaml")).unwrap()).unwrap();
        manifests.add("printed.yaml", &filled_in(&adoption.manifests)).unwrap();
        let rendered = manifests.render(None, &Allowed::any());
        let hindered = adoption.manifests.contains("this would not be written");
        match rendered {
            Err(refused) => assert!(hindered, "{}: {}", story.display(), refused[0]),
            Ok(bundles) => {
                assert!(!hindered, "{}", story.display());
                let same = bundles[0].before.expose_secret() == bundles[0].after.expose_secret();
                assert_eq!(same, adoption.manifests.contains(UNCHANGED), "{}", story.display());
            }
        }
    }
}

#[test]
fn a_role_and_a_region_that_are_not_filled_in_are_refused() {
    let story =
        stories().into_iter().find(|story| story.ends_with("static-keys-get-a-location-that-would-migrate-them"));
    let printed = adopted(&story.unwrap()).unwrap().manifests;
    let mut manifests = Manifests::default();
    manifests.add("printed.yaml", &printed).unwrap();
    let refused = manifests.parsed(&Allowed::any()).err().expect("the API server takes no such role");
    assert!(refused[0].to_string().contains("locations[0].roleArn"), "{}", refused[0]);

    let mut manifests = Manifests::default();
    let role = "arn:aws:iam::123492922789:role/filled-in";
    manifests.add("printed.yaml", &printed.replace("<ARN of the role>", role)).unwrap();
    let parsed = manifests.parsed(&Allowed::any());
    let parsed = parsed.map_err(|refused| refused[0].to_string()).unwrap();
    let [whole, without_region] = parsed[0].desired.locations.as_slice() else { panic!("there are two locations") };
    assert!(whole.wanted.is_ok());
    let refused = &without_region.wanted.as_ref().unwrap_err().message;
    assert!(refused.contains("<region of the bucket>"), "{refused}");
}
