//! What an edit costs: per byte over three sizes, and against re-reading the same document with a YAML library, side by
//! side in one run. The best of several rounds is taken, because a machine is only ever slowed down by others.

// A benchmark prints, and one that cannot go on has failed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use registry_sts::bundle::{Change, ConfigYaml, Edit, Preference, RoleKey, StorageEntry};
use registry_sts::place::Endpoint;
use secrecy::SecretString;

const SIZES_KIB: [usize; 3] = [2, 64, 512];

fn main() {
    let entry = StorageEntry {
        name: "default".parse().unwrap(),
        role_key: Some(RoleKey {
            role_arn: "arn:aws:iam::123492922789:role/example-role".parse().unwrap(),
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: SecretString::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        }),
        bucket: "my-quay-bucket".parse().unwrap(),
        storage_path: "/datastorage".parse().unwrap(),
        endpoint: Endpoint::Region("us-east-1".parse().unwrap()),
        maximum_chunk_size_gb: None,
        signature_version: None,
    };
    let (entries, ours) = ([&entry], [entry.name.clone()]);
    let change = Change { entries: &entries, ours: &ours, preference: Preference::Keep, replicate: false };
    println!("{:>8} {:>14} {:>14} {:>12} {:>8}", "document", "serde_yaml", "edit", "edit ns/byte", "ratio");
    for kib in SIZES_KIB {
        let text = document(kib * 1024);
        let rounds = (4096 / kib).clamp(5, 500);
        let read = best(rounds, || {
            let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            std::hint::black_box(value);
        });
        let edit = best(rounds, || {
            let Ok(document) = ConfigYaml::parse(text.as_bytes()) else { panic!("the document is refused") };
            assert!(matches!(document.edit(&change), Ok(Edit::Changed(_))));
        });
        let per_byte = edit.as_secs_f64() * 1e9 / f64::from(u32::try_from(text.len()).unwrap());
        let ratio = edit.as_secs_f64() / read.as_secs_f64();
        println!("{:>8} {read:>14.1?} {edit:>14.1?} {per_byte:>12.0} {ratio:>7.1}x", format!("{kib} KiB"));
    }
}

fn best(rounds: usize, mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    (0..rounds).map(round).min().unwrap()
}

/// A config.yaml of about so many bytes, with another location in it and comments.
fn document(bytes: usize) -> String {
    let mut text = "# quay\nDISTRIBUTED_STORAGE_CONFIG:\n  archive:\n    - LocalStorage\n    - {storage_path: /a}\nDISTRIBUTED_STORAGE_PREFERENCE: [archive]\n".to_owned();
    for i in 0.. {
        if text.len() >= bytes {
            break;
        }
        write!(text, "SETTING_{i}: value number {i} # comment\nGROUP_{i}:\n  - name: \"quoted {i}\"\n    flag: true\n    nested: {{a: 1, b: [x, y]}}\n").unwrap();
    }
    text
}
