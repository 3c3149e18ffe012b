//! Somebody who keeps undoing what is written: the fight ends, and a restart begins no new one.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::SignedDuration;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::harness::audit::{secret_writes, until_quiet};
use crate::harness::operator::{Operator, ready_world};
use crate::harness::world::{World, eventually, is, message};
use crate::harness::writers::{contested, make_write_old, until_counted};

const CONFIG: &str = "FEATURE_MAILING: false\n";

/// The old config.yaml is put back by a tool with this field manager.
async fn put_back(world: &World, manager: &str) {
    let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
    let back = json!({"stringData": {"config.yaml": CONFIG}});
    world.api::<Secret>().patch("bundle", &params, &Patch::Merge(&back)).await.unwrap();
}

async fn until_written(world: &World) {
    eventually("the entry stands", || async { (world.config("bundle").await != CONFIG).then_some(()) }).await;
}

#[tokio::test]
async fn undoings_are_counted_over_restarts_whatever_the_spacing_and_the_other_writer_is_named() {
    let (world, iam, mut operator) = ready_world(CONFIG).await;
    let ready = world.until_ready("example").await;
    assert_eq!(contested(&ready), None);
    put_back(&world, "slow-reverter").await;
    until_written(&world).await;
    let first = until_counted(&world, 1).await;
    assert_eq!(first.writer.as_deref(), Some("slow-reverter"));

    // Each after a while, each by another process of the operator; the last by another writer.
    for (count, minutes, writer) in [(2, 2, "slow-reverter"), (3, 11, "other-reverter")] {
        world.until_ready("example").await;
        operator.ends_gracefully().await;
        make_write_old(&world, SignedDuration::from_mins(minutes)).await;
        put_back(&world, writer).await;
        operator = Operator::start(&world).await;
        until_written(&world).await;
        let contested = until_counted(&world, count).await;
        assert_eq!((contested.writer.as_deref(), &contested.since), (Some(writer), &first.since));
    }
    world.until_ready("example").await;
    operator.ends_gracefully().await;
    make_write_old(&world, SignedDuration::from_mins(1000)).await;
    put_back(&world, "slow-reverter").await;
    for _ in 0..2 {
        let operator = Operator::start(&world).await;
        let stopped = world.until_reason("example", "Contested").await;
        assert!(is(&stopped, "Stalled", "True"));
        let message = message(&stopped, "Ready");
        assert!(message.contains("The field manager \"slow-reverter\" has changed our entry"), "{message}");
        until_quiet(&world, &operator.credential).await;
        assert_eq!(secret_writes(&world, &operator.credential), []);
        assert_eq!(contested(&world.until_reason("example", "Contested").await).unwrap().count, 4);
        assert_eq!(world.config("bundle").await, CONFIG);
    }

    // A changed key is still written, once.
    let operator = Operator::start(&world).await;
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    world.until_ready("example").await;
    assert!(world.config("bundle").await.contains(&key.id));
    put_back(&world, "slow-reverter").await;
    world.until_reason("example", "Contested").await;
    until_quiet(&world, &operator.credential).await;
    let writes = secret_writes(&world, &operator.credential).len();
    assert_eq!((writes, world.config("bundle").await.as_str()), (1, CONFIG));

    // A changed spec begins anew.
    let mut location = World::location("default", &iam, "quay-user");
    location["maximumChunkSizeGb"] = json!(4);
    world.put_resource("example", "bundle", &[location]).await;
    let ready = world.until_ready("example").await;
    assert_eq!(contested(&ready), None);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

/// Puts the old config.yaml back on the very event that tells of a change.
fn overwrite_at_once(world: &World, kind: &'static str) -> tokio::task::JoinHandle<()> {
    use futures::StreamExt as _;
    use kube::runtime::{WatchStreamExt as _, watcher};
    let secrets = world.api::<Secret>();
    let events = watcher::watcher(secrets.clone(), watcher::Config::default().fields("metadata.name=bundle"));
    tokio::spawn(async move {
        let mut events = std::pin::pin!(events.default_backoff().applied_objects());
        while let Some(Ok(mut secret)) = events.next().await {
            let data = secret.data.as_mut().unwrap();
            if data["config.yaml"].0 == CONFIG.as_bytes() {
                continue;
            }
            data.insert("config.yaml".into(), k8s_openapi::ByteString(CONFIG.as_bytes().to_vec()));
            let params = PostParams { field_manager: Some(kind.into()), ..PostParams::default() };
            // A conflict is told of by the next event.
            match kind {
                "replacer" => drop(secrets.replace("bundle", &params, &secret).await),
                "applier" => {
                    let patch = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"config.yaml": CONFIG}});
                    let params = PatchParams::apply(kind).force();
                    drop(secrets.patch("bundle", &params, &Patch::Apply(&patch)).await);
                }
                _ => {
                    drop(secrets.delete("bundle", &DeleteParams::default()).await);
                    (secret.metadata.resource_version, secret.metadata.uid) = (None, None);
                    drop(secrets.create(&params, &secret).await);
                }
            }
        }
    })
}

#[tokio::test]
async fn a_fight_with_one_who_overwrites_at_once_ends_however_it_overwrites() {
    for kind in ["replacer", "applier", "deleter"] {
        let (world, _iam, operator) = ready_world(CONFIG).await;
        until_quiet(&world, &operator.credential).await;
        let before = secret_writes(&world, &operator.credential).len();
        let other = overwrite_at_once(&world, kind);
        let held = world.until_reason("example", "EntryUndone").await;
        assert!(is(&held, "Reconciling", "True"), "{kind}");
        until_quiet(&world, &operator.credential).await;
        assert_eq!(
            secret_writes(&world, &operator.credential).len() - before,
            1,
            "{kind}: it is put right once, and then not for a minute"
        );
        let contested = contested(&held).unwrap();
        assert_eq!((contested.count, contested.writer.as_deref()), (2, Some(kind)));
        other.abort();
    }
}
