//! How long it takes until new resources are Ready, and what the operator spends on it.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use crate::audit::{Mark, Request, until_quiet};
use crate::aws::Aws;
use crate::content;
use crate::operator::{Memory, Operator};
use crate::plane::Plane;
use crate::progress::say;
use crate::ready::Readiness;

/// Who has asked nothing for so long has nothing to do any more.
const QUIET: Duration = Duration::from_secs(2);

/// What came of it.
pub(crate) struct Converged {
    pub(crate) resources: usize,
    /// From the first request for one of them to the last that was seen to be Ready; where they are created meanwhile,
    /// from the first creation.
    pub(crate) seconds: f64,
    /// From the start of the process to the first request for one of them.
    pub(crate) to_first_pass: f64,
    pub(crate) asked: Vec<Request>,
    pub(crate) sts_calls: usize,
    pub(crate) s3_calls: usize,
    pub(crate) cpu_seconds: f64,
    pub(crate) memory: Memory,
}

impl Converged {
    pub(crate) fn per_second(&self) -> f64 {
        self.resources as f64 / self.seconds
    }

    /// What was spent on processors for as many resources as a thousand.
    pub(crate) fn cpu_seconds_per_thousand(&self) -> f64 {
        self.cpu_seconds * 1000.0 / self.resources as f64
    }
}

/// The operator runs, and resources are created as fast as it goes.
pub(crate) async fn of_created(plane: &Plane, aws: &Aws, operator: &Operator, registries: Range<usize>) -> Converged {
    say(&format!("{} resources are created while the operator runs", registries.len()));
    let (resources, calls, cpu) = (registries.len(), aws.calls(), operator.cpu_seconds());
    let ready = Readiness::of(plane, resources).await;
    let (from, started) = (Mark::now(plane), SystemTime::now());
    content::put_resources(&plane.admin, registries).await;
    let seconds = seconds_between(started, ready.all().await);
    finish(plane, aws, operator, Converged { cpu_seconds: cpu, ..blank(resources, seconds, calls) }, from).await
}

/// All resources are there, and the operator starts.
pub(crate) async fn of_present(plane: &Plane, aws: &Aws, resources: usize) -> (Operator, Converged) {
    say(&format!("the operator starts with {resources} new resources"));
    let calls = aws.calls();
    let ready = Readiness::of(plane, resources).await;
    let from = Mark::now(plane);
    let operator = Operator::start(plane, &aws.url).await;
    let last = ready.all().await;
    let mut converged = finish(plane, aws, &operator, blank(resources, 0.0, calls), from).await;
    let first = first_pass(&converged.asked);
    converged.seconds = seconds_between(first, last);
    converged.to_first_pass = seconds_between(operator.started, first);
    (operator, converged)
}

/// All resources are there and Ready, and the operator starts.
pub(crate) async fn of_settled(plane: &Plane, aws: &Aws, resources: usize) -> (Operator, Converged) {
    say(&format!("the operator starts with {resources} resources that are Ready"));
    let (calls, from) = (aws.calls(), Mark::now(plane));
    let operator = Operator::start(plane, &aws.url).await;
    let mut converged = finish(plane, aws, &operator, blank(resources, 0.0, calls), from).await;
    let first = first_pass(&converged.asked);
    let last = converged.asked.iter().filter(|request| request.is_of_a_pass()).map(|request| request.answered).max();
    converged.seconds = seconds_between(first, last.unwrap());
    converged.to_first_pass = seconds_between(operator.started, first);
    (operator, converged)
}

fn blank(resources: usize, seconds: f64, (sts_calls, s3_calls): (usize, usize)) -> Converged {
    let memory = Memory::default();
    let (asked, to_first_pass, cpu_seconds) = (Vec::new(), 0.0, 0.0);
    Converged { resources, seconds, to_first_pass, asked, sts_calls, s3_calls, cpu_seconds, memory }
}

/// Waits until nothing is under way any more; what was there before is taken off.
async fn finish(plane: &Plane, aws: &Aws, operator: &Operator, before: Converged, from: Mark) -> Converged {
    let asked = loop {
        let asked = until_quiet(plane, from, &operator.credential.name, QUIET).await;
        if asked.iter().any(Request::is_of_a_pass) {
            break asked;
        }
        // Not even begun.
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let (sts_calls, s3_calls) = aws.calls();
    Converged {
        asked,
        sts_calls: sts_calls - before.sts_calls,
        s3_calls: s3_calls - before.s3_calls,
        cpu_seconds: operator.cpu_seconds() - before.cpu_seconds,
        memory: operator.memory(),
        ..before
    }
}

fn first_pass(asked: &[Request]) -> SystemTime {
    asked.iter().filter(|request| request.is_of_a_pass()).map(|request| request.received).min().unwrap()
}

pub(crate) fn seconds_between(from: SystemTime, to: SystemTime) -> f64 {
    to.duration_since(from).unwrap_or_default().as_secs_f64()
}
