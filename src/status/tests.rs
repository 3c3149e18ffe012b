use super::*;
use crate::api::quay_storage::Mode;
use crate::plan::observation::Proof;
use crate::plan::{PlannedLocation, ProofState};
use crate::verdict::Step;

const THEN: &str = "2026-01-01T00:00:00Z";
const NOW: &str = "2026-01-02T00:00:00.5Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn proven() -> ProofState {
    ProofState::Proven(Proof { at: at(THEN), of: "key/1/hash".into(), notes: Vec::new() })
}

fn failed(reason: Reason) -> ProofState {
    ProofState::Failed(Step::AssumeRole, Failure::new(reason, "(why, and what to do)"))
}

fn kept(reason: Reason) -> Standing {
    Standing::Kept(Failure::new(reason, "(why it is kept)"))
}

/// The plan for locations with these proofs and standings.
fn plan(locations: &[(&str, ProofState, Standing)]) -> Plan {
    let planned = locations.iter().map(|(name, proof, _)| PlannedLocation {
        name: (*name).into(),
        proof: proof.clone(),
        principal: Some("access key …MPLE".into()),
        place: Some("bucket/datastorage".into()),
        claimed: false,
        of: Some("hash".into()),
    });
    let standings = locations.iter().map(|(_, _, standing)| standing.clone()).collect();
    let standings = Standings::Each(standings);
    Plan {
        locations: planned.collect(),
        standings,
        write: None,
        pending: None,
        restorable: None,
        undone: false,
        held: None,
        contested: None,
        unwatched: None,
        mode: Mode::Enforce,
        annotations: Vec::new(),
        follows_registry: false,
        notes: vec!["(a note)".into()],
        elsewhere: None,
    }
}

/// The status after a pass over locations with these proofs and standings.
fn status(
    locations: &[(&str, ProofState, Standing)],
    written: &Written,
    before: Option<&QuayStorageStatus>,
) -> QuayStorageStatus {
    let plan = plan(locations);
    report(&Outcome::Planned { bundle: "bundle", plan: &plan, written, runs: None }, before, Some(1), at(NOW))
}

/// `Ready=True ProvenAndWritten` and so on, in the order in which they stand.
fn said(status: &QuayStorageStatus) -> Vec<String> {
    status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect()
}

#[test]
fn what_is_proven_and_current_is_ready_and_neither_reconciling_nor_stalled() {
    let status = status(&[("a", proven(), Standing::Current)], &Written::NotNeeded, None);
    assert_eq!(
        said(&status),
        [
            "Ready=True ProvenAndWritten",
            "RoleProven=True RoleAssumed",
            "StorageProven=True StorageWorks",
            "BundleCurrent=True BundleMatches"
        ]
    );
    assert_eq!(status.summary.as_deref(), Some("1/1"));
}

#[test]
fn ready_names_the_first_failing_location_and_its_proof_before_its_entry() {
    let locations = [
        ("a", proven(), Standing::Current),
        ("b", failed(Reason::RoleNotAssumable), kept(Reason::NotProven)),
        ("c", proven(), kept(Reason::WouldMoveData)),
    ];
    let both = status(&locations, &Written::NotNeeded, None);
    assert_eq!(both.conditions[0].reason, "RoleNotAssumable");
    assert!(both.conditions[0].message.starts_with("location \"b\": "));
    assert_eq!(both.summary.as_deref(), Some("1/3"));
    let [a, _, c] = locations;
    assert_eq!(status(&[a, c], &Written::NotNeeded, None).conditions[0].reason, "WouldMoveData");
}

#[test]
fn it_is_stalled_only_if_nothing_can_heal_without_an_edit() {
    let edit = ("a", proven(), kept(Reason::WouldMoveData));
    let waits = ("b", failed(Reason::UnknownAccessKey), kept(Reason::NotProven));
    let stalled = status(std::slice::from_ref(&edit), &Written::NotNeeded, None);
    assert_eq!(said(&stalled).last().map(String::as_str), Some("Stalled=True WouldMoveData"));
    let both = status(&[edit, waits], &Written::NotNeeded, None);
    assert_eq!(said(&both).last().map(String::as_str), Some("Reconciling=True ProgressingWithRetry"));
    assert_eq!(both.conditions.iter().filter(|c| c.type_ == "Stalled").count(), 0);
}

#[test]
fn a_stale_proof_leaves_ready_true_and_says_so() {
    let silent = Failure::new(Reason::AwsUnreachable, "(no answer)");
    let stale = ProofState::Stale(Proof { at: at(THEN), of: "key/1/hash".into(), notes: Vec::new() }, silent);
    let status = status(&[("a", stale, Standing::Current)], &Written::NotNeeded, None);
    assert_eq!(said(&status)[..2], ["Ready=True ProofStale", "RoleProven=True ProofStale"]);
    assert_eq!(status.summary.as_deref(), Some("1/1"));
}

#[test]
fn a_write_that_failed_is_no_current_bundle() {
    let refused = Written::Failed(Failure::new(Reason::WriteRefused, "(the API server's answer)"));
    let status = status(&[("a", proven(), Standing::Current)], &refused, None);
    assert_eq!(
        said(&status),
        [
            "Ready=False WriteRefused",
            "RoleProven=True RoleAssumed",
            "StorageProven=True StorageWorks",
            "BundleCurrent=False WriteRefused",
            "Reconciling=True ProgressingWithRetry"
        ]
    );
}

#[test]
fn the_transition_time_moves_only_when_a_condition_changes_its_status() {
    let refused = [("a", failed(Reason::RoleNotAssumable), kept(Reason::NotProven))];
    let mut first = status(&refused, &Written::NotNeeded, None);
    for condition in &mut first.conditions {
        condition.last_transition_time = Time(at(THEN));
    }
    let unknown_key = [("a", failed(Reason::UnknownAccessKey), kept(Reason::NotProven))];
    let second = status(&unknown_key, &Written::NotNeeded, Some(&first));
    assert!(second.conditions.iter().all(|c| c.last_transition_time == Time(at(THEN))), "only the reason is another");
    let third = status(&[("a", proven(), Standing::Current)], &Written::NotNeeded, Some(&second));
    let moved: Vec<&str> = third
        .conditions
        .iter()
        .filter(|c| c.last_transition_time == Time(at("2026-01-02T00:00:00Z")))
        .map(|c| c.type_.as_str())
        .collect();
    assert_eq!(moved, ["Ready", "RoleProven", "StorageProven", "BundleCurrent"]);
}

#[test]
fn the_same_outcome_gives_the_same_bytes() {
    let locations =
        [("a", failed(Reason::RoleNotAssumable), kept(Reason::NotProven)), ("b", proven(), Standing::Current)];
    let first = status(&locations, &Written::Done { resource_version: "7".into(), at: None }, None);
    let second = status(&locations, &Written::NotNeeded, Some(&first));
    assert_eq!(first, second);
    let read_back: QuayStorageStatus = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
    assert_eq!(first, read_back);
}

#[test]
fn the_last_good_proof_and_the_last_write_stay_when_something_fails_later() {
    let good =
        status(&[("a", proven(), Standing::Current)], &Written::Done { resource_version: "7".into(), at: None }, None);
    let bad = status(&[("a", failed(Reason::RoleNotAssumable), Standing::Current)], &Written::NotNeeded, Some(&good));
    assert_eq!(bad.config_bundle, good.config_bundle);
    assert_eq!(bad.locations[0].proof, good.locations[0].proof);
    assert_eq!(bad.locations[0].proven, "False");
    assert_eq!(said(&bad)[3], "BundleCurrent=True BundleMatches", "the bundle is as the spec has it");
}

#[test]
fn a_message_that_is_too_long_for_people_is_cut_between_characters() {
    let failure = Failure::new(Reason::UnexpectedAnswer, "é".repeat(5000));
    let status = report(&Outcome::Invalid(failure), None, Some(1), at(NOW));
    assert!(status.conditions[0].message.len() <= 4100 && status.conditions[0].message.ends_with("é…"));
}

#[test]
fn notes_of_the_registry_stand_beside_whatever_is_said_of_the_bundle() {
    let current = status(&[("a", proven(), Standing::Current)], &Written::NotNeeded, None);
    assert_eq!(current.conditions[3].message, "Secret bundle reads as intended. (a note)");
    let kept = status(&[("a", proven(), kept(Reason::WouldMoveData))], &Written::NotNeeded, None);
    assert!(kept.conditions[3].message.ends_with("(why it is kept) (a note)"));
}

#[test]
fn where_the_bundle_is_not_known_what_was_written_and_proven_before_stays_for_later() {
    let good =
        status(&[("a", proven(), Standing::Current)], &Written::Done { resource_version: "7".into(), at: None }, None);
    let lost = |reason: Reason| {
        let failure = Failure::new(reason, "(why, and what to do)");
        report(&Outcome::Unresolved(failure), Some(&good), Some(1), at(NOW))
    };
    let waits = lost(Reason::RegistryMissing);
    assert_eq!(
        said(&waits),
        [
            "Ready=False RegistryMissing",
            "RoleProven=Unknown RegistryMissing",
            "StorageProven=Unknown RegistryMissing",
            "BundleCurrent=Unknown RegistryMissing",
            "Reconciling=True ProgressingWithRetry"
        ]
    );
    assert_eq!((&waits.config_bundle, &waits.locations[0].proof), (&good.config_bundle, &good.locations[0].proof));
    assert_eq!(
        (waits.locations[0].proven.as_str(), waits.locations[0].reason.as_str()),
        ("Unknown", "RegistryMissing")
    );
    assert_eq!(said(&lost(Reason::StsEndpointUnknown)).last().unwrap(), "Stalled=True StsEndpointUnknown");
}

#[test]
fn where_the_bundle_is_not_known_a_proof_from_before_a_refusal_is_not_kept() {
    let good = status(&[("a", proven(), Standing::Current)], &Written::NotNeeded, None);
    let refused = [("a", failed(Reason::RoleNotAssumable), Standing::Current)];
    let refused = status(&refused, &Written::NotNeeded, Some(&good));
    assert_eq!(refused.locations[0].proof, good.locations[0].proof);
    let failure = Failure::new(Reason::RegistryMissing, "(why, and what to do)");
    let lost = report(&Outcome::Unresolved(failure), Some(&refused), Some(1), at(NOW));
    assert_eq!((lost.locations[0].proven.as_str(), &lost.locations[0].proof), ("Unknown", &None));
}

#[test]
fn where_a_location_was_written_is_remembered_when_the_registry_names_another_bundle_and_not_for_another_quay() {
    let good =
        status(&[("a", proven(), Standing::Current)], &Written::Done { resource_version: "7".into(), at: None }, None);
    let on_another = |follows_registry: bool| {
        let mut plan = plan(&[("a", proven(), kept(Reason::WouldMoveData))]);
        plan.follows_registry = follows_registry;
        let outcome = Outcome::Planned { bundle: "another", plan: &plan, written: &Written::NotNeeded, runs: None };
        report(&outcome, Some(&good), Some(1), at(NOW)).config_bundle.unwrap()
    };
    let followed = on_another(true);
    assert_eq!((followed.secret_name.as_str(), followed.resource_version.as_deref()), ("another", None));
    assert_eq!(followed.locations[0].place, "bucket/datastorage");
    assert_eq!(on_another(false).locations, Vec::new());
}
