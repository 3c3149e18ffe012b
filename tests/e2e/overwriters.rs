//! Tools that write config.yaml again and again: one that is known by its field manager is not fought at all, any other
//! for a bounded number of writes; and when it has gone, what it undid is put right by itself.

use k8s_openapi::jiff::SignedDuration;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::harness::audit::{requests, secret_writes, until_quiet};
use crate::harness::operator::{Operator, ready_world};
use crate::harness::world::{World, eventually, is, message};
use crate::harness::writers::{Tool, contested, make_write_old, until_counted};

const CONFIG: &str = "FEATURE_MAILING: false\n";

async fn until_written(world: &World) {
    eventually("the entry stands", || async { (world.config("bundle").await != CONFIG).then_some(()) }).await;
}

/// Another process of the operator, which has looked at the bundle.
async fn restarted(world: &World, mut before: Operator) -> Operator {
    before.ends_gracefully().await;
    started(world).await
}

async fn started(world: &World) -> Operator {
    let operator = Operator::start(world).await;
    eventually("the bundle is looked at", || async {
        requests(world, &operator.credential).iter().any(|r| r.verb == "get" && r.name == "bundle").then_some(())
    })
    .await;
    operator
}

#[tokio::test]
async fn a_fight_with_one_who_overwrites_at_each_event_has_three_repairs_over_all_restarts_and_then_ends() {
    let (world, iam, mut operator) = ready_world(CONFIG).await;
    let from = until_quiet(&world, &operator.credential).await.len();
    let keeper = Tool::new(&world, "some-secrets-sync").await.keep(CONFIG);
    let held = world.until_reason("example", "EntryUndone").await;
    assert!(is(&held, "Reconciling", "True"), "it is put right in a minute");
    let asked = until_quiet(&world, &operator.credential).await;
    assert_eq!(secret_writes(&world, &operator.credential).len(), 1 + 1, "the entry, and the first repair");
    let asked = asked[from..].iter().filter(|r| !r.is_event() && !r.is_watch_keeping()).count();
    assert!(asked <= 8, "two undoings and one repair cost {asked} requests");

    for (count, minutes) in [(3, 1), (4, 10)] {
        operator.ends_gracefully().await;
        make_write_old(&world, SignedDuration::from_mins(minutes)).await;
        operator = Operator::start(&world).await;
        let contested = until_counted(&world, count).await;
        assert_eq!(contested.writer.as_deref(), Some("some-secrets-sync"));
        until_quiet(&world, &operator.credential).await;
        assert_eq!(secret_writes(&world, &operator.credential).len(), 1, "repair {}", count - 1);
    }
    operator.ends_gracefully().await;
    make_write_old(&world, SignedDuration::from_hours(24)).await;
    let operator = started(&world).await;
    let ended = world.until_reason("example", "Contested").await;
    assert!(is(&ended, "Stalled", "True"));
    let says = message(&ended, "Ready");
    assert!(says.contains("The field manager \"some-secrets-sync\" has changed our entry"), "{says}");
    until_quiet(&world, &operator.credential).await;
    assert_eq!(secret_writes(&world, &operator.credential), []);
    assert_eq!(keeper.stop().await, 1 + 3, "it undid the entry and each repair");

    // That it has gone is not seen; what is to be written next is written.
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    world.until_ready("example").await;
    assert!(world.config("bundle").await.contains(&key.id));
    assert_eq!(secret_writes(&world, &operator.credential).len(), 1);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn what_an_overwriter_has_undone_is_put_right_by_itself_once_it_has_gone() {
    let (world, _iam, mut operator) = ready_world(CONFIG).await;
    let keeper = Tool::new(&world, "some-secrets-sync").await.keep(CONFIG);
    world.until_reason("example", "EntryUndone").await;
    until_quiet(&world, &operator.credential).await;
    keeper.stop().await;
    assert_eq!(world.config("bundle").await, CONFIG);

    operator.ends_gracefully().await;
    make_write_old(&world, SignedDuration::from_secs(50)).await;
    let operator = started(&world).await;
    assert_eq!(secret_writes(&world, &operator.credential), [], "a restart does not cut the minute short");
    let ready = world.until_ready("example").await;
    until_quiet(&world, &operator.credential).await;
    assert_eq!(secret_writes(&world, &operator.credential).len(), 1);
    assert_eq!(contested(&ready).map(|contested| contested.count), Some(2), "what was is not forgotten");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

/// That the tool is named and left alone.
async fn until_left_to(world: &World, tool: &str, manager: &str) {
    let owned = world.until_reason("example", "BundleOwnedElsewhere").await;
    assert!(is(&owned, "Stalled", "True") && is(&owned, "RoleProven", "True"));
    let message = message(&owned, "Ready");
    for says in [format!("kept by {tool}"), format!("the field manager {manager:?} of its config.yaml")] {
        assert!(message.contains(&says), "{says:?} is not in: {message}");
    }
    assert_eq!(contested(&owned), None, "there is no fight");
}

#[tokio::test]
async fn external_secrets_is_recognised_by_its_first_update_and_not_fought() {
    for manager in ["external-secrets", "externalsecrets.external-secrets.io/quay"] {
        let (world, _iam, operator) = ready_world(CONFIG).await;
        let written = world.config("bundle").await;
        let keeper = Tool::new(&world, manager).await.keep(CONFIG);
        until_left_to(&world, "External Secrets", manager).await;
        let operator = restarted(&world, operator).await;
        until_left_to(&world, "External Secrets", manager).await;
        until_quiet(&world, &operator.credential).await;
        assert_eq!(secret_writes(&world, &operator.credential), []);
        assert_eq!(keeper.stop().await, 1, "it undid the entry, and nothing was done against that");

        // Its ExternalSecret is deleted, the Secret with it, and somebody makes the Secret by hand.
        world.put_bundle("bundle", CONFIG).await;
        world.until_ready("example").await;
        assert_eq!(world.config("bundle").await, written);
        until_quiet(&world, &operator.credential).await;
        assert_eq!(secret_writes(&world, &operator.credential).len(), 1);
        world.assert_nothing_secret_was_told(&operator.log()).await;
    }
}

#[tokio::test]
async fn flux_is_recognised_by_its_first_apply_and_not_fought_until_it_leaves_config_yaml_alone() {
    let (world, iam, mut operator) = ready_world(CONFIG).await;
    let flux = Tool::new(&world, "kustomize-controller").await;
    assert!(flux.reconcile(&flux.manifest(&[("config.yaml", CONFIG)])).await);
    until_left_to(&world, "Flux", "kustomize-controller").await;
    until_quiet(&world, &operator.credential).await;
    assert_eq!(secret_writes(&world, &operator.credential).len(), 1, "the entry");

    // Its next intervals: nothing has drifted, then something changes in Git.
    for (config, changes) in [(CONFIG, false), ("FEATURE_MAILING: true\n", true)] {
        operator.ends_gracefully().await;
        make_write_old(&world, SignedDuration::from_mins(10)).await;
        operator = started(&world).await;
        assert_eq!(flux.reconcile(&flux.manifest(&[("config.yaml", config)])).await, changes);
        until_left_to(&world, "Flux", "kustomize-controller").await;
        until_quiet(&world, &operator.credential).await;
        assert_eq!(secret_writes(&world, &operator.credential), []);
        assert_eq!(world.config("bundle").await, config);
    }

    let in_place = json!({"metadata": {"annotations": {"registry-sts.dev/in-place": "true"}}});
    let secrets = world.api::<k8s_openapi::api::core::v1::Secret>();
    secrets.patch("bundle", &PatchParams::default(), &Patch::Merge(&in_place)).await.unwrap();
    world.until_ready("example").await;
    let written = world.config("bundle").await;
    assert!(written.starts_with("FEATURE_MAILING: true\n") && written.contains(&iam.role_arn), "{written}");
    // In Git it has no config.yaml any more; what is not Flux's any more, Flux does not take away.
    flux.reconcile(&flux.manifest(&[("ssl.key", "of Git")])).await;
    until_quiet(&world, &operator.credential).await;
    world.until_ready("example").await;
    assert_eq!(world.config("bundle").await, written);
    assert_eq!(secret_writes(&world, &operator.credential).len(), 1);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_nightly_apply_by_force_is_put_right_three_times_and_then_left_whoever_else_writes_other_keys() {
    let (world, _iam, mut operator) = ready_world(CONFIG).await;
    let nightly = Tool::new(&world, "nightly-sync").await;
    let kubectl = Tool::new(&world, "kubectl").await;
    let manifest = nightly.manifest(&[("config.yaml", CONFIG)]);
    for count in 1..=4 {
        operator.ends_gracefully().await;
        make_write_old(&world, SignedDuration::from_hours(24)).await;
        operator = started(&world).await;
        let from = until_quiet(&world, &operator.credential).await.len();
        assert!(nightly.reconcile(&manifest).await, "the entry stood at night {count}");
        // A later write than the one that undid the entry.
        kubectl.apply(&kubectl.manifest(&[("ssl.key", &format!("of day {count}"))])).await.unwrap();
        let contested = until_counted(&world, count).await;
        assert_eq!(contested.writer.as_deref(), Some("nightly-sync"), "night {count}");
        if count < 4 {
            until_written(&world).await;
            world.until_ready("example").await;
        }
        let asked = until_quiet(&world, &operator.credential).await;
        let asked = asked[from..].iter().filter(|r| !r.is_event() && !r.is_watch_keeping()).count();
        assert!(asked <= 8, "night {count} cost {asked} requests");
        assert_eq!(secret_writes(&world, &operator.credential).len(), usize::from(count < 4), "night {count}");
    }
    let operator = restarted(&world, operator).await;
    assert!(!nightly.reconcile(&manifest).await, "nobody has changed it since");
    let ended = world.until_reason("example", "Contested").await;
    assert!(is(&ended, "Stalled", "True"));
    let message = message(&ended, "Ready");
    assert!(message.contains("The field manager \"nightly-sync\" has changed our entry"), "{message}");
    until_quiet(&world, &operator.credential).await;
    assert_eq!(secret_writes(&world, &operator.credential), []);
    assert_eq!(world.bundle("bundle").await.data.unwrap()["ssl.key"].0, b"of day 4");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
