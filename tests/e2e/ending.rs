//! How the process ends: at once, and never in the middle of a write.

use std::time::Duration;

use crate::harness::operator::Operator;
use crate::harness::slow_network::SlowNetwork;
use crate::harness::world::{World, eventually};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

#[tokio::test]
async fn a_write_under_way_is_finished_and_reported_before_the_process_ends() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let network = SlowNetwork::to(world.plane.info("server"), Duration::from_millis(500)).await;
    let mut operator = Operator::start_through(&world, &network.url).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;

    // What the client sends is on its way for half a second, and is lost if the client goes before that.
    eventually("the write is under way", || async {
        let log = operator.log();
        let mut sent = log.lines().filter(|line| line.contains("http.method=PATCH") && line.contains("secrets/bundle"));
        sent.any(|line| line.ends_with("requesting")).then_some(())
    })
    .await;
    assert_eq!(world.config("bundle").await, CONFIG, "the write is done already");
    operator.ends_gracefully().await;
    assert!(world.config("bundle").await.contains(&iam.key.id), "the write under way was given up");
    world.until_ready("example").await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_process_that_is_ended_at_any_moment_of_its_start_ends_at_once() {
    let world = World::granted().await;
    for round in 0..6_u64 {
        let mut operator = Operator::start(&world).await;
        // Once it listens to signals, at ever later moments of its start.
        eventually("it has begun", || async { operator.log().contains("started").then_some(()) }).await;
        let mut wait = tokio::time::interval(Duration::from_millis(1 + 4 * round));
        wait.tick().await;
        wait.tick().await;
        operator.ends_gracefully().await;
    }
}

#[tokio::test]
async fn a_process_that_is_ended_while_it_writes_leaves_a_bundle_that_is_whole() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    let mut key = iam.key.clone();
    for round in 0..6_u64 {
        let mut operator = Operator::start(&world).await;
        eventually("the key is written", || async { world.config("bundle").await.contains(&key.id).then_some(()) })
            .await;
        let old = key;
        key = world.new_key(&iam.user).await;
        world.put_key("quay-user", &key).await;
        // Somewhere between the event and the write, further on in each round.
        let mut wait = tokio::time::interval(Duration::from_millis(1 + 5 * round));
        wait.tick().await;
        wait.tick().await;
        operator.ends_gracefully().await;
        world.delete_key(&iam.user, &old).await;
        let config = world.config("bundle").await;
        let (has_old, has_new) = (config.contains(&old.secret), config.contains(&key.secret));
        assert!(config.starts_with(CONFIG) && has_old != has_new, "round {round}: neither the old text nor the new");
    }
    let operator = Operator::start(&world).await;
    eventually("the last key is written", || async { world.config("bundle").await.contains(&key.id).then_some(()) })
        .await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
