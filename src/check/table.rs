//! PURE: reports as people read them on a terminal.

use std::fmt::Write as _;

use super::report::{Mark, Outcome, Report, Row};
use crate::proof::Stored;
use crate::verdict::Step;

/// How wide a line may be. A word that is longer, such as a statement to paste, is not broken.
const WIDTH: usize = 100;

/// How reports are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// With the colours of a terminal.
    pub colours: bool,
}

impl Style {
    /// The reports, one below the other.
    pub fn draw(self, reports: &[Report]) -> String {
        let drawn: Vec<String> = reports.iter().map(|report| self.one(report)).collect();
        drawn.join("\n")
    }

    fn one(self, report: &Report) -> String {
        let mut text = String::new();
        let (colour, outcome) = match report.outcome {
            Outcome::Proven => (GREEN, "proven"),
            Outcome::Seen => (YELLOW, "what can be seen works; nothing was put, so nothing is proven"),
            Outcome::Unknown => (YELLOW, "could not be looked at"),
            Outcome::Refused => (RED, "refused"),
        };
        let name = format!("{}, location {}: {outcome}", report.resource, report.location);
        let _ = writeln!(text, "{}", self.painted(colour, &name));
        let known = [
            ("role", report.role.as_deref()),
            ("place", report.place.as_deref()),
            ("as", report.principal.as_deref()),
            ("asked", report.network.as_deref()),
            ("stored", report.stored.map(stored)),
        ];
        for (what, value) in known {
            let _ = value.map(|value| writeln!(text, "  {what:<7} {value}"));
        }
        text.push('\n');
        for row in &report.steps {
            let (colour, mark) = mark(row.verdict);
            let line = format!("{:<12}  {:<36}  {}", row.step.told(), calls(row.step), why(row));
            let _ = writeln!(text, "  {} {}", self.painted(colour, mark), line.trim_end());
        }
        for row in &report.steps {
            if let (Mark::Failed | Mark::Unknown, Some(message)) = (row.verdict, &row.message) {
                let (colour, mark) = mark(row.verdict);
                let _ = writeln!(text, "\n  {} {}", self.painted(colour, mark), row.step.told());
                wrap(&mut text, message);
            }
        }
        if !report.notes.is_empty() {
            text.push_str("\n  Note\n");
            report.notes.iter().for_each(|note| wrap(&mut text, note));
        }
        text
    }

    fn painted(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const FAINT: &str = "2";

fn mark(mark: Mark) -> (&'static str, &'static str) {
    match mark {
        Mark::Passed => (GREEN, "✓"),
        Mark::Failed => (RED, "✗"),
        Mark::NotTried => (FAINT, "–"),
        Mark::Unknown => (YELLOW, "?"),
    }
}

/// What a step asks.
fn calls(step: Step) -> &'static str {
    match step {
        Step::Principal => "an access key or a token",
        Step::AssumeRole => "AssumeRole as Quay calls it",
        Step::HeadBucket => "HeadBucket",
        Step::PodStart => "config-tool's look at the bucket",
        Step::ListUploads => "ListMultipartUploads",
        Step::PutObject => "PutObject with AES256",
        Step::HeadPresent => "HeadObject of what was put",
        Step::HeadMissing => "HeadObject of a missing key: 404",
        Step::GetObject => "GetObject",
        Step::Multipart => "a multipart upload with AES256",
        Step::CopyObject => "CopyObject without encryption header",
        Step::AbortUpload => "AbortMultipartUpload",
        Step::ListObjects => "ListObjectsV2",
        Step::DeleteObject => "DeleteObject",
    }
}

/// What stands beside a step: its reason, or why it was not tried.
fn why(row: &Row) -> &str {
    match row.verdict {
        Mark::NotTried => row.message.as_deref().unwrap_or_default(),
        Mark::Failed => row.reason.unwrap_or_default(),
        Mark::Passed | Mark::Unknown => "",
    }
}

fn stored(stored: Stored) -> &'static str {
    match (stored.sha256, stored.uploads) {
        (true, true) => "Quay has stored here: there are sha256/ and uploads/",
        (true, false) => "Quay has stored here: there is sha256/, and no uploads/",
        (false, true) => "Quay has begun uploads here: there is uploads/, and no sha256/ yet",
        (false, false) => "nothing of Quay's yet: neither sha256/ nor uploads/",
    }
}

fn wrap(text: &mut String, message: &str) {
    const INDENT: &str = "    ";
    let mut line = String::from(INDENT);
    for word in message.split_whitespace() {
        let is_begun = line.len() > INDENT.len();
        if is_begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line.truncate(INDENT.len());
        } else if is_begun {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: Step, verdict: Mark, reason: Option<&'static str>, message: Option<&str>) -> Row {
        Row { step, verdict, reason, message: message.map(str::to_owned) }
    }

    fn report() -> Report {
        let advice = format!("It may not. {} Add {}.", "word ".repeat(25), "{\"Effect\":\"Allow\"}".repeat(7));
        Report {
            resource: "quay/example".into(),
            location: "default".into(),
            proven: false,
            outcome: Outcome::Refused,
            role: Some("arn:aws:iam::123492922789:role/quay".into()),
            place: None,
            principal: Some("access key …MPLE".into()),
            network: None,
            steps: vec![
                row(Step::Principal, Mark::Passed, None, None),
                row(Step::PodStart, Mark::Unknown, None, Some("It cannot be known.")),
                row(Step::PutObject, Mark::Failed, Some("PutDenied"), Some(&advice)),
                row(Step::GetObject, Mark::NotTried, None, Some("there is no object to try it on")),
            ],
            notes: vec!["The bucket keeps versions.".into()],
            stored: Some(Stored { sha256: true, uploads: false }),
        }
    }

    #[test]
    fn a_report_names_each_step_with_its_mark_and_what_to_change_below() {
        let text = Style::default().draw(&[report()]);
        for line in [
            "quay/example, location default: refused",
            "  as      access key …MPLE",
            "  stored  Quay has stored here: there is sha256/, and no uploads/",
            "  ✓ principal     an access key or a token",
            "  ? pod start     config-tool's look at the bucket",
            "  ✗ put           PutObject with AES256                 PutDenied",
            "  – get           GetObject                             there is no object to try it on",
            "  ✗ put",
            "    The bucket keeps versions.",
        ] {
            assert!(text.lines().any(|other| other == line), "{line:?} is not in:\n{text}");
        }
        assert!(!text.contains('\x1b') && Style { colours: true }.draw(&[report()]).contains("\x1b[31m✗\x1b[0m put"));
    }

    #[test]
    fn lines_are_as_wide_as_a_terminal_and_a_statement_is_not_broken() {
        let text = Style::default().draw(&[report()]);
        let statement = "{\"Effect\":\"Allow\"}".repeat(7);
        assert!(text.contains(&statement), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH || line.contains(&statement)), "{text}");
    }
}
