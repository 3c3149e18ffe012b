//! Changes that wait for somebody to approve of them: each write restarts a registry. What is approved of is one change,
//! by its digest; another one waits anew.

use secrecy::ExposeSecret as _;

use super::{BundleWrite, Held, Left, PlannedLocation};
use crate::api::quay_storage::Apply;
use crate::api::status::PendingStatus;
use crate::bundle::ConfigYaml;
use crate::fingerprint::{fingerprint, hex};
use crate::reason::{Failure, Reason};
use crate::requests::APPROVE;
use crate::status::shortened;

/// Status shows at most so many bytes of a change; more of it is counted and not read.
const SHOWN: usize = 4096;

/// Whether somebody approves of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    /// Nobody is asked: what is planned is only shown.
    #[default]
    Waived,
    /// What the resource's annotation says.
    Given(Option<String>),
}

/// A change that is to be approved of first: what status tells of it, and that it waits. None where it may be made.
pub(super) fn judge(
    apply: Apply,
    approval: &Approval,
    write: &BundleWrite,
    (locations, left): (&[PlannedLocation], &Left),
) -> Option<(PendingStatus, Held)> {
    let (Apply::Approve, Approval::Given(given)) = (apply, approval) else { return None };
    let diff = diff(write);
    let digest = digest(write, (locations, left), &diff);
    if given.as_ref() == Some(&digest) {
        return None;
    }
    let secret = &write.secret_name;
    let what = match (&write.output, write.locations.as_slice()) {
        (Some(output), []) => format!("to follow Secret {}", output.source),
        (None, []) => "its lists of locations".to_owned(),
        (_, names) => format!("location {}", names.join(", ")),
    };
    let other = match given {
        Some(_) => " What is approved of is another change.",
        None => "",
    };
    let message = format!(
        "Secret {secret} is to change ({what}) and waits for somebody to approve of it (spec.apply: Approve), for each change restarts Quay: status.configBundle.pending shows it. Annotate this QuayStorage with {APPROVE}: {digest:?}.{other}"
    );
    let held = Held { wait: None, failure: Failure::new(Reason::ApprovalPending, message) };
    Some((PendingStatus { digest, diff: shortened(diff, SHOWN) }, held))
}

/// The lines that change, every secret masked, and the other keys that do. What cannot be read shows no line.
fn diff(write: &BundleWrite) -> String {
    let parse = |text: &[u8]| ConfigYaml::parse(text).ok();
    let both = parse(write.before.expose_secret()).zip(parse(write.config.expose_secret().as_bytes()));
    let lines = both.map(|(before, after)| before.changed_lines(&after)).unwrap_or_default();
    let keys = write.output.as_ref().map(|output| output.changed_keys.as_slice()).unwrap_or_default();
    keys.iter().fold(lines, |lines, key| format!("{lines}~ key {key}\n"))
}

/// What names the change. A rotated key changes no line that is shown, but what each location is remembered by; and the same
/// change after another write is another one, so that nobody's undoing is put right by what was approved of before.
fn digest(write: &BundleWrite, (locations, left): (&[PlannedLocation], &Left), diff: &str) -> String {
    let changed = locations.iter().filter(|location| write.locations.contains(&location.name));
    let of = changed.flat_map(|location| [location.name.as_str(), location.of.as_deref().unwrap_or_default()]);
    let source = write.output.as_ref().map(|output| output.source_version.as_str());
    let last = left.bundle.as_ref().filter(|left| left.secret_name == write.secret_name);
    let last = last.and_then(|left| left.resource_version.as_deref()).unwrap_or_default();
    let hash = fingerprint([write.secret_name.as_str(), last, diff].into_iter().chain(source).chain(of));
    hex(hash.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use secrecy::{SecretSlice, SecretString};

    use super::*;
    use crate::plan::ProofState;

    const BEFORE: &str = "DB_URI: hush\nDISTRIBUTED_STORAGE_PREFERENCE: []\n";

    fn write(after: &str) -> BundleWrite {
        BundleWrite {
            secret_name: "bundle".into(),
            uid: "uid".into(),
            resource_version: "1".into(),
            before: SecretSlice::from(BEFORE.as_bytes().to_vec()),
            config: SecretString::from(after),
            locations: vec!["default".into()],
            keep: None,
            last_writer: None,
            output: None,
        }
    }

    fn location(of: &str) -> [PlannedLocation; 1] {
        [PlannedLocation {
            name: "default".into(),
            proof: ProofState::Pending,
            principal: None,
            place: None,
            claimed: false,
            of: Some(of.into()),
        }]
    }

    fn pending(write: &BundleWrite, of: &str, given: Option<&str>) -> Option<PendingStatus> {
        let given = Approval::Given(given.map(str::to_owned));
        judge(Apply::Approve, &given, write, (&location(of), &Left::default())).map(|(pending, _)| pending)
    }

    #[test]
    fn a_change_waits_until_its_own_digest_is_given_and_shows_no_secret() {
        let change = write("DB_URI: hush\nDISTRIBUTED_STORAGE_PREFERENCE:\n  - \"default\"\n");
        let waits = pending(&change, "old", None).unwrap();
        assert_eq!(
            waits.diff,
            "-DISTRIBUTED_STORAGE_PREFERENCE: []\n+DISTRIBUTED_STORAGE_PREFERENCE:\n+  - \"default\"\n"
        );
        assert_eq!(pending(&change, "old", Some(&waits.digest)), None);
        assert_eq!(pending(&change, "old", Some("another")), Some(waits.clone()));
        let rotated = pending(&change, "new", Some(&waits.digest)).unwrap();
        assert_ne!(rotated.digest, waits.digest, "another key is another change, though the lines look the same");
        assert_eq!(rotated.diff, waits.diff);
    }

    #[test]
    fn nobody_is_asked_by_default_or_where_nothing_is_done() {
        let change = write("DB_URI: other\n");
        assert!(judge(Apply::Auto, &Approval::Given(None), &change, (&location("a"), &Left::default())).is_none());
        assert!(judge(Apply::Approve, &Approval::Waived, &change, (&location("a"), &Left::default())).is_none());
    }
}
