//! PURE: what was found of a location, for people and for machines.

use serde::Serialize;

use super::case::Case;
use crate::proof::{Depth, Stored};
use crate::reason::Reason;
use crate::verdict::{Findings, Step, Verdict, is_silence};

/// What messages promise for the operator, and what is not true of somebody who looks once.
const PROMISES: [&str; 3] = [" It is tried again by itself.", " It is tried again later.", " It is tried again."];

/// What was found of a location. Its field names are stable.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The resource: its name, with its namespace if that is known.
    pub resource: String,
    /// The location's name.
    pub location: String,
    /// Whether everything that Quay will do was done.
    pub proven: bool,
    /// What came of it.
    pub outcome: Outcome,
    /// The role, if it is known.
    pub role: Option<String>,
    /// Where the blobs are, if it is known.
    pub place: Option<String>,
    /// Who assumed the role or was to.
    pub principal: Option<String>,
    /// What was asked, and from where.
    pub network: Option<String>,
    /// Every step, in the order in which it is judged.
    pub steps: Vec<Row>,
    /// What is worth knowing though nothing failed.
    pub notes: Vec<String>,
    /// What Quay has stored there already, if that could be seen.
    pub stored: Option<Stored>,
}

/// What came of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Everything that Quay will do was done.
    Proven,
    /// What can be seen without changing anything is as it should be; nothing else was tried.
    Seen,
    /// Nobody could look.
    Unknown,
    /// Something does not work.
    Refused,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which.
    #[serde(serialize_with = "told")]
    pub step: Step,
    /// What became of it.
    pub verdict: Mark,
    /// Why it failed, in a word.
    pub reason: Option<&'static str>,
    /// What was tried, what was answered and what to change; or why it was not tried.
    pub message: Option<String>,
}

/// A verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mark {
    /// It works.
    Passed,
    /// It does not.
    Failed,
    /// It cannot be known here.
    Unknown,
    /// It was not tried.
    NotTried,
}

/// What is known of a look beside its findings.
#[derive(Default)]
pub(super) struct Circumstances {
    pub(super) principal: Option<String>,
    pub(super) network: Option<String>,
    pub(super) stored: Option<Stored>,
}

impl Report {
    /// The report of a case.
    pub(super) fn new(case: &Case, findings: Findings, depth: Depth, circumstances: Circumstances) -> Self {
        let outcome = outcome(&findings, depth);
        let assumed = findings.steps.contains(&(Step::AssumeRole, Verdict::Passed));
        let why_not = match (depth, assumed) {
            (Depth::ReadOnly, true) => "only what changes nothing is tried",
            _ => "there are no credentials of the role",
        };
        let mut found = findings.steps;
        let steps = Step::ALL.into_iter().map(|step| {
            let index = found.iter().position(|(one, _)| *one == step);
            let why_not = if step == Step::AssumeRole { "there is nothing to assume it with" } else { why_not };
            Row::new(step, index.map_or(Verdict::NotTried(why_not), |index| found.swap_remove(index).1))
        });
        Self {
            resource: case.resource.clone(),
            location: case.location.clone(),
            proven: outcome == Outcome::Proven,
            outcome,
            role: case.role.clone(),
            place: case.place.clone(),
            principal: circumstances.principal,
            network: circumstances.network,
            steps: steps.collect(),
            notes: findings.notes,
            stored: circumstances.stored,
        }
    }
}

impl Row {
    fn new(step: Step, verdict: Verdict) -> Self {
        let (verdict, reason, message) = match verdict {
            Verdict::Passed => (Mark::Passed, None, None),
            Verdict::Failed(failure) => (Mark::Failed, Some(failure.reason.as_str()), Some(once(&failure.message))),
            Verdict::Unknown(why) => (Mark::Unknown, None, Some(once(&why))),
            Verdict::NotTried(why) => (Mark::NotTried, None, Some(why.to_owned())),
        };
        Self { step, verdict, reason, message }
    }
}

fn once(message: &str) -> String {
    PROMISES.iter().find_map(|promise| message.strip_suffix(promise)).unwrap_or(message).to_owned()
}

fn outcome(findings: &Findings, depth: Depth) -> Outcome {
    let blind =
        findings.steps.iter().any(|(step, verdict)| !step.is_storage() && matches!(verdict, Verdict::Unknown(_)));
    match findings.failure() {
        Some((_, failure)) => {
            let nothing_was_asked = [
                Reason::AddressNotAllowed,
                Reason::KeySecretForbidden,
                Reason::KeySecretUnreadable,
                Reason::TokenForbidden,
            ];
            if is_silence(failure) || nothing_was_asked.contains(&failure.reason) {
                Outcome::Unknown
            } else {
                Outcome::Refused
            }
        }
        None if blind => Outcome::Unknown,
        None => match depth {
            Depth::Full => Outcome::Proven,
            Depth::ReadOnly => Outcome::Seen,
        },
    }
}

/// The worst that came of any: what does not work is worse than what nobody could look at.
pub fn worst(reports: &[Report]) -> Outcome {
    reports.iter().map(|report| report.outcome).max().unwrap_or(Outcome::Unknown)
}

// serde hands it over by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn told<S: serde::Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(step.told())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Failure;

    fn report(steps: Vec<(Step, Verdict)>, depth: Depth) -> Report {
        let case = Case {
            resource: "quay/example".into(),
            location: "default".into(),
            namespace: "quay".into(),
            role: None,
            place: None,
            target: Err((Step::Principal, Verdict::Unknown(String::new()))),
        };
        Report::new(&case, Findings { steps, ..Findings::default() }, depth, Circumstances::default())
    }

    fn failed(reason: Reason) -> Verdict {
        Verdict::Failed(Failure::new(reason, "That. It is tried again by itself."))
    }

    #[test]
    fn what_came_of_it_is_told_by_the_failure_that_counts() {
        let passed = || (Step::Principal, Verdict::Passed);
        for (verdict, depth, outcome) in [
            (Verdict::Passed, Depth::Full, Outcome::Proven),
            (Verdict::Passed, Depth::ReadOnly, Outcome::Seen),
            (Verdict::Unknown("x".into()), Depth::Full, Outcome::Unknown),
            (failed(Reason::RoleNotAssumable), Depth::Full, Outcome::Refused),
            (failed(Reason::AwsUnreachable), Depth::Full, Outcome::Unknown),
            (failed(Reason::AddressNotAllowed), Depth::Full, Outcome::Unknown),
        ] {
            assert_eq!(report(vec![passed(), (Step::AssumeRole, verdict)], depth).outcome, outcome);
        }
        // As the operator has it: what config-tool will get cannot always be known, and stops nothing.
        let report = report(vec![passed(), (Step::PodStart, Verdict::Unknown("x".into()))], Depth::Full);
        assert!(report.proven);
    }

    #[test]
    fn every_step_has_its_row_and_nothing_is_promised_that_nobody_does() {
        let report = report(vec![(Step::Principal, failed(Reason::MissingKey))], Depth::Full);
        assert_eq!(report.steps.len(), Step::ALL.len());
        assert_eq!(report.steps[0].message.as_deref(), Some("That."));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            json["steps"][2],
            serde_json::json!({"step": "find bucket", "verdict": "notTried", "reason": null,
                               "message": "there are no credentials of the role"})
        );
        assert!(json["outcome"] == "refused" && json["proven"] == false && json["stored"].is_null());
    }
}
