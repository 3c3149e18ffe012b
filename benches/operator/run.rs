//! The whole run, in its order.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::aws::Aws;
use crate::content;
use crate::convergence::{self, Converged};
use crate::edits::Edited;
use crate::failover::{self, FailOver};
use crate::figures;
use crate::floor::{Leavings, Shape};
use crate::foreign;
use crate::machine;
use crate::operator::{Memory, Operator, memory};
use crate::plane::Plane;
use crate::progress::say;
use crate::{GROWTH, Size};

/// An operator that has started and has nothing to do is looked at after this.
const IDLE: Duration = Duration::from_secs(5);
/// How many requests a bare client makes at the same time.
const AT_ONCE: [usize; 3] = [1, 16, MOST_AT_ONCE];
const MOST_AT_ONCE: usize = 64;

/// How many resources a second a bare client manages, with so many requests at the same time.
#[derive(Clone, Copy)]
pub(crate) struct Floor {
    pub(crate) at_once: usize,
    pub(crate) per_second: f64,
}

/// The operator and bare clients, one after the other.
pub(crate) struct Round {
    pub(crate) operator: Converged,
    pub(crate) shape: Shape,
    /// With the same requests as the operator.
    pub(crate) same: Vec<Floor>,
    /// With the two writes only.
    pub(crate) writes: Vec<Floor>,
}

/// Everything that was measured.
pub(crate) struct Figures {
    pub(crate) idle: Memory,
    pub(crate) created: Converged,
    pub(crate) rounds: Vec<Round>,
    pub(crate) settled: Converged,
    pub(crate) edits: Vec<f64>,
    pub(crate) fail_over: FailOver,
    pub(crate) grown: Converged,
    /// With the same requests as the operator then.
    pub(crate) grown_floor: Floor,
    pub(crate) alone: Vec<Converged>,
    pub(crate) among_foreign: Vec<Converged>,
    /// etcd and kube-apiserver, without and with foreign Secrets.
    pub(crate) servers: [[Memory; 2]; 2],
}

pub(crate) async fn run(size: Size) {
    let (started, load) = (Instant::now(), machine::load());
    let (plane, aws) = (Plane::start().await, Aws::start().await);
    let facts = machine::facts(&plane, load).await;
    content::install(&plane.admin).await;
    let all = 0..size.resources;
    content::put_bundles(&plane.admin, all.clone()).await;

    say("the operator starts with nothing to do");
    let operator = Operator::start(&plane, &aws.url).await;
    tokio::time::sleep(IDLE).await;
    let idle = operator.memory();
    let created = convergence::of_created(&plane, &aws, &operator, all.clone()).await;
    operator.stop().await;

    let leavings = Leavings::of(&plane).await;
    let mut rounds = Vec::new();
    for round in 0..size.rounds {
        rounds.push(one_round(&plane, &aws, &leavings, (round, all.clone())).await);
    }
    let (operator, settled) = convergence::of_settled(&plane, &aws, size.resources).await;
    let mut edited = Edited::put(&plane).await;
    edited.until_written().await;
    let edits = edited.edit(size.edits).await;
    operator.stop().await;
    let fail_over = failover::measure(&plane, &aws, &mut edited, size.fail_overs).await;

    let grown = size.resources * GROWTH;
    content::reset(&plane.admin, all.clone()).await;
    content::put_bundles(&plane.admin, size.resources..grown).await;
    content::put_resources(&plane.admin, size.resources..grown).await;
    let (operator, grown) = convergence::of_present(&plane, &aws, grown).await;
    operator.stop().await;
    let grown_floor = floor_of_many(&plane, &grown).await;
    drop(plane);

    let (alone, among_foreign, servers) = with_foreign(&aws, size, all).await;
    let figures =
        Figures { idle, created, rounds, settled, edits, fail_over, grown, grown_floor, alone, among_foreign, servers };
    figures::tell(&figures, size, &facts, started.elapsed());
}

/// The operator with new resources, then bare clients: what is compared is near in time.
async fn one_round(plane: &Plane, aws: &Aws, leavings: &Leavings, (round, all): (usize, Range<usize>)) -> Round {
    content::reset(&plane.admin, all.clone()).await;
    let (process, operator) = convergence::of_present(plane, aws, all.len()).await;
    process.stop().await;
    let shape = Shape::of(&operator.asked, all.len());
    let (mut same, mut writes) = (Vec::new(), Vec::new());
    for at_once in AT_ONCE {
        if round > 0 && at_once == 1 {
            // The slowest by far, and no match for the others.
            continue;
        }
        say(&format!("a bare client makes the operator's requests, {at_once} at once"));
        content::reset(&plane.admin, all.clone()).await;
        same.push(Floor { at_once, per_second: leavings.redo(plane, shape, at_once).await });
        if round == 0 {
            say(&format!("a bare client makes the two writes, {at_once} at once"));
            content::reset(&plane.admin, all.clone()).await;
            writes.push(Floor { at_once, per_second: leavings.redo(plane, Shape::WRITES, at_once).await });
        }
    }
    // As the operator leaves them, with events of their own.
    Round { operator, shape, same, writes }
}

/// A bare client with as many resources as the operator had: how the control plane takes so many.
async fn floor_of_many(plane: &Plane, operator: &Converged) -> Floor {
    say(&format!("a bare client makes the operator's requests for {} resources", operator.resources));
    let leavings = Leavings::of(plane).await;
    content::reset(&plane.admin, 0..operator.resources).await;
    let shape = Shape::of(&operator.asked, operator.resources);
    Floor { at_once: MOST_AT_ONCE, per_second: leavings.redo(plane, shape, MOST_AT_ONCE).await }
}

/// The operator started twice with its own resources only, and twice with foreign Secrets beside them, on a control plane
/// that has seen nothing else.
async fn with_foreign(aws: &Aws, size: Size, all: Range<usize>) -> (Vec<Converged>, Vec<Converged>, [[Memory; 2]; 2]) {
    let plane = Plane::start().await;
    content::install(&plane.admin).await;
    content::put_bundles(&plane.admin, all.clone()).await;
    content::put_resources(&plane.admin, all.clone()).await;
    convergence::of_present(&plane, aws, all.len()).await.0.stop().await;
    let servers = || ["etcd", "apiserver"].map(|server| memory(plane.pid(server)));
    let alone = twice(&plane, aws, all.len()).await;
    let without = servers();
    foreign::put(&plane.admin, size.large, size.small).await;
    let among_foreign = twice(&plane, aws, all.len()).await;
    (alone, among_foreign, [without, servers()])
}

async fn twice(plane: &Plane, aws: &Aws, resources: usize) -> Vec<Converged> {
    let mut started = Vec::new();
    for _ in 0..2 {
        let (operator, converged) = convergence::of_settled(plane, aws, resources).await;
        operator.stop().await;
        started.push(converged);
    }
    started
}
