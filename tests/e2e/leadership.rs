//! Several processes of the operator: one acts, and another takes over when it ends, dies or freezes.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};

use crate::harness::audit::{Request, requests, until_quiet_but_for_the_lease};
use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::world::{World, eventually};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// A world with a resource that waits for an operator, and the name of a lease of its own.
async fn world() -> (World, Iam, String) {
    let world = World::granted().await;
    let iam = world.put_example(CONFIG).await;
    let lease = world.namespace.clone();
    (world, iam, lease)
}

async fn holder(world: &World, lease: &str) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(world.admin.clone(), "registry-sts");
    leases.get_opt(lease).await.unwrap()?.spec?.holder_identity.filter(|holder| !holder.is_empty())
}

/// What a process changed but for its lease.
fn changes(world: &World, operator: &Operator) -> Vec<Request> {
    let asked = requests(world, &operator.credential).into_iter();
    asked.filter(|r| r.is_write() && r.resource != "leases" && r.code < 400).collect()
}

/// The leader, and one that waits.
async fn two(world: &World, lease: &str) -> (Operator, Operator) {
    let leader = Operator::start_as_candidate(world, lease).await;
    world.until_ready("example").await;
    let standby = Operator::start_as_candidate(world, lease).await;
    eventually("the other waits", || async { standby.log().contains("waiting for leadership").then_some(()) }).await;
    (leader, standby)
}

#[tokio::test]
async fn of_two_processes_one_acts_and_when_it_is_ended_the_other_does_at_once() {
    let (world, iam, lease) = world().await;
    let (mut leader, standby) = two(&world, &lease).await;
    world.rotate_example(&iam).await;
    world.until_ready("example").await;
    until_quiet_but_for_the_lease(&world, &standby).await;
    assert_eq!(changes(&world, &standby), [], "who waits changes nothing");
    let first = holder(&world, &lease).await.unwrap();
    leader.ends_gracefully().await;
    let ended = Instant::now();
    eventually("the other leads", || async { holder(&world, &lease).await.filter(|holder| *holder != first) }).await;
    assert!(ended.elapsed() < Duration::from_secs(10), "the lease was not given up: {:?}", ended.elapsed());
    world.rotate_example(&iam).await;
    assert!(!changes(&world, &standby).is_empty());
    world.assert_nothing_secret_was_told(&(leader.log() + &standby.log())).await;
}

#[tokio::test]
async fn a_lease_that_somebody_deletes_is_made_again_by_its_holder_and_nobody_else_acts() {
    let (world, iam, lease) = world().await;
    let (_leader, standby) = two(&world, &lease).await;
    let first = holder(&world, &lease).await.unwrap();
    let leases: Api<Lease> = Api::namespaced(world.admin.clone(), "registry-sts");
    leases.delete(&lease, &DeleteParams::default()).await.unwrap();
    let again = eventually("there is a lease again", || holder(&world, &lease)).await;
    assert_eq!(again, first);
    world.rotate_example(&iam).await;
    assert_eq!(changes(&world, &standby), []);
}

#[tokio::test]
async fn when_the_leader_dies_the_other_acts_once_its_lease_has_expired() {
    let (world, iam, lease) = world().await;
    let (leader, standby) = two(&world, &lease).await;
    leader.signal("-KILL");
    let took = world.rotate_example(&iam).await;
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(30), "{took:?}");
    assert!(!changes(&world, &standby).is_empty());
}

#[tokio::test]
async fn a_leader_that_was_frozen_changes_nothing_when_it_wakes_up() {
    let (world, iam, lease) = world().await;
    let (mut leader, standby) = two(&world, &lease).await;
    until_quiet_but_for_the_lease(&world, &leader).await;
    leader.signal("-STOP");
    let before = changes(&world, &leader).len();
    world.rotate_example(&iam).await;
    // What it finds to do when it wakes up, its watches tell it at once.
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    leader.signal("-CONT");
    let ended = leader.ended_within(Duration::from_secs(20)).await.expect("it goes on though it does not lead");
    assert!(!ended.success());
    assert_eq!(changes(&world, &leader).len(), before, "{:?}", changes(&world, &leader));
    eventually("the key is written", || async { world.config("bundle").await.contains(&key.id).then_some(()) }).await;
    world.until_ready("example").await;
    assert!(!changes(&world, &standby).is_empty());
    world.assert_nothing_secret_was_told(&(leader.log() + &standby.log())).await;
}
