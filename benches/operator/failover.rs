//! How long nobody acts when the leader of two processes ends or dies.

use std::time::Duration;

use crate::audit::{Mark, requests};
use crate::aws::Aws;
use crate::content;
use crate::edits::Edited;
use crate::operator::Operator;
use crate::plane::Plane;
use crate::progress::{Progress, say};

/// After it has asked for everything that it waits with.
const SETTLED: Duration = Duration::from_secs(3);

/// In seconds, from each signal to the first write of the other.
pub(crate) struct FailOver {
    pub(crate) after_term: Vec<f64>,
    pub(crate) after_kill: Vec<f64>,
}

/// Ends the leader so often by each signal.
pub(crate) async fn measure(plane: &Plane, aws: &Aws, edited: &mut Edited, rounds: usize) -> FailOver {
    say("two processes elect a leader");
    let mut leader = Operator::start_as_candidate(plane, &aws.url).await;
    // Until it leads, which it may have to wait for.
    edited.edit_after(|| ()).await;
    let mut took = FailOver { after_term: Vec::new(), after_kill: Vec::new() };
    for round in 0..2 * rounds {
        let standby = standby(plane, aws).await;
        let signal = if round % 2 == 0 { "-TERM" } else { "-KILL" };
        let progress = Progress::of(&format!("fail-over after {signal}"), 1);
        let from = Mark::now(plane);
        let seconds = edited.edit_after(|| leader.signal(signal)).await.as_secs_f64();
        progress.step();
        assert!(has_written(plane, from, &standby).await, "the write was not the other's");
        let times = if round % 2 == 0 { &mut took.after_term } else { &mut took.after_kill };
        times.push(seconds);
        leader = standby;
    }
    leader.stop().await;
    took
}

/// A process that waits to lead, with everything listed and watched.
async fn standby(plane: &Plane, aws: &Aws) -> Operator {
    let from = Mark::now(plane);
    let standby = Operator::start_as_candidate(plane, &aws.url).await;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let asked = requests(plane, from, &standby.credential.name);
        let watches = asked.iter().any(|request| request.verb == "watch" && request.resource == "quaystorages");
        if watches && asked.iter().any(|request| request.resource == "leases") {
            tokio::time::sleep(SETTLED).await;
            return standby;
        }
    }
}

async fn has_written(plane: &Plane, from: Mark, operator: &Operator) -> bool {
    // A line of the log may come a moment after what it tells of.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = requests(plane, from, &operator.credential.name);
    asked.iter().any(|request| {
        request.verb == "patch"
            && request.resource == "secrets"
            && request.name == content::bundle("edited")
            && request.code < 300
    })
}
