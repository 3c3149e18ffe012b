//! The API server and etcd go, or are silent, in the middle of work on many resources.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;

use crate::aftermath::{assert_calm, assert_fewer};
use crate::fleet::Fleet;
use crate::harness::audit::{requests, secret_writes, until_quiet, until_quiet_but_for_the_lease};
use crate::harness::operator::Operator;
use crate::harness::world::{World, eventually};
use crate::outages::alone;

const PAUSE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_killed_amid_two_hundred_resources_finds_each_written_once_when_it_is_back() {
    let _alone = alone().await;
    let world = World::granted().await;
    let fleet = Fleet::put(&world, 200).await;
    let operator = Operator::start(&world).await;
    let mut keys = fleet.first_keys();
    // While each bundle gets its entry, and while each gets a new key: created, and written once; and once more.
    for writes in [2, 3] {
        fleet.until_begun(writes).await;
        world.plane.kill_api_server().await;
        let written = fleet.written(writes).await;
        assert!(written < 200, "all were written by then");
        world.plane.start_api_server().await;
        let back = Instant::now();
        fleet.until_ready(&keys).await;
        eprintln!("{written} were written before; Ready {:?} after", back.elapsed());
        until_quiet(&world, &operator.credential).await;
        assert_eq!(fleet.writes().await, BTreeMap::from([(writes, 200)]));
        for key in &keys {
            assert_eq!(world.plane.assume_role_calls(&key.id).await, 1, "the outage is none of AWS's");
        }
        if writes == 2 {
            keys = fleet.rotate().await;
        }
    }
    assert_calm(&world, &operator, &fleet.accounts).await;
    // Each write comes with two reads, status and an Event; some of that twice, where the answer was lost.
    assert_fewer(&requests(&world, &operator.credential), 200 * 16);
    // An API server that starts refuses for a moment what it does not know yet to be granted.
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let reasons: BTreeSet<String> = events.into_iter().filter_map(|event| event.reason).collect();
    assert!(!reasons.iter().any(|reason| reason.contains("Forbidden") || reason == "SecretsUnwatched"), "{reasons:?}");
    let told = secret_writes(&world, &operator.credential).len();
    assert!((400 - 64..=400).contains(&told), "{told} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_is_silent_for_a_while_amid_a_rotation_has_each_bundle_written_once_afterwards() {
    let _alone = alone().await;
    let world = World::granted().await;
    let fleet = Fleet::put(&world, 120).await;
    let operator = Operator::start(&world).await;
    fleet.until_ready(&fleet.first_keys()).await;
    let keys = fleet.rotate().await;
    fleet.until_begun(3).await;
    world.plane.pause("etcd").await;
    // The silence is what is simulated.
    tokio::time::sleep(PAUSE).await;
    world.plane.resume("etcd").await;
    let written = fleet.written(3).await;
    assert!(written < 120, "all were written by then");

    let back = Instant::now();
    fleet.until_ready(&keys).await;
    eprintln!("{written} were written before; Ready {:?} after", back.elapsed());
    assert_calm(&world, &operator, &fleet.accounts).await;
    // Created, written, and written with the new key.
    assert_eq!(fleet.writes().await, BTreeMap::from([(3, 120)]));
    assert_fewer(&requests(&world, &operator.credential), 120 * 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_api_server_is_gone_the_leader_ends_and_who_leads_afterwards_writes_each_bundle_once() {
    let _alone = alone().await;
    let world = World::granted().await;
    let fleet = Fleet::put(&world, 20).await;
    let mut leader = Operator::start_as_candidate(&world, "outage").await;
    fleet.until_ready(&fleet.first_keys()).await;
    let standby = Operator::start_as_candidate(&world, "outage").await;
    eventually("the other waits", || async { standby.log().contains("waiting for leadership").then_some(()) }).await;
    world.plane.kill_api_server().await;
    let ended =
        leader.ended_within(Duration::from_secs(20)).await.expect("it goes on though it cannot renew its lease");
    assert_eq!(ended.code(), Some(2));
    world.plane.start_api_server().await;
    let keys = fleet.rotate().await;
    fleet.until_ready(&keys).await;
    until_quiet_but_for_the_lease(&world, &standby).await;
    assert_eq!(fleet.writes().await, BTreeMap::from([(3, 20)]));
    assert_eq!(secret_writes(&world, &standby.credential).len(), 20);
    world.assert_nothing_secret_was_told(&(leader.log() + &standby.log())).await;
}
