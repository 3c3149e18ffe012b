//! What is restored from a backup has other uids and no status: it is proven anew, and nothing is written.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::harness::audit::{secret_writes, until_quiet};
use crate::harness::backup::Backup;
use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::world::World;

const CONFIG: &str = "# of team blue\nDB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// A world in which resource `example` has two locations, each with a key of its own, as this spec has them.
async fn ready(bundle: &str, mut spec: Value) -> (World, [Iam; 2], Operator) {
    let world = World::granted().await;
    world.bind("registry-sts-output").await;
    let (one, two) = (world.iam("one").await, world.iam("two").await);
    world.put_key("user-one", &one.key).await;
    world.put_key("user-two", &two.key).await;
    world.put_bundle(bundle, CONFIG).await;
    let operator = Operator::start(&world).await;
    spec["configBundleSecret"] = json!(bundle);
    spec["locations"] = json!([World::location("one", &one, "user-one"), World::location("two", &two, "user-two")]);
    world.put_resource_spec("example", spec).await;
    world.until_ready("example").await;
    until_quiet(&world, &operator.credential).await;
    (world, [one, two], operator)
}

/// Restores in this order, each when the operator has nothing more to do for what came before, and waits for Ready.
/// What was restored under a name is returned.
async fn restore(backup: &Backup<'_>, world: &World, operator: &Operator, order: &[&str], of: &str) -> DynamicObject {
    let mut restored = None;
    for name in order {
        let object = backup.restore(name).await;
        if *name == of {
            restored = Some(object);
        }
        until_quiet(world, &operator.credential).await;
    }
    world.until_ready("example").await;
    until_quiet(world, &operator.credential).await;
    restored.unwrap()
}

fn data(object: &DynamicObject) -> &Value {
    &object.data["data"]
}

async fn assert_untouched(world: &World, restored: &DynamicObject, what: &str) {
    let now = world.bundle(restored.metadata.name.as_ref().unwrap()).await;
    assert_eq!(now.metadata.uid, restored.metadata.uid, "{what}");
    assert_eq!(now.metadata.resource_version, restored.metadata.resource_version, "{what}");
}

#[tokio::test]
async fn a_bundle_that_is_restored_is_ready_again_without_a_write_whatever_comes_back_first() {
    let (world, [one, two], mut operator) = ready("bundle", json!({})).await;
    let orders = [
        ["bundle", "user-one", "user-two", "example"],
        ["example", "bundle", "user-one", "user-two"],
        ["user-two", "example", "user-one", "bundle"],
    ];
    let mut assumed = 1;
    for order in orders {
        let backup = Backup::take(&world, &["example"], &["bundle", "user-one", "user-two"]).await;
        operator.ends_gracefully().await;
        backup.lose().await;
        operator = Operator::start(&world).await;
        let bundle = restore(&backup, &world, &operator, &order, "bundle").await;
        assert_untouched(&world, &bundle, &format!("{order:?}")).await;
        assert_eq!(data(&bundle), data(backup.of("bundle")));
        assert_eq!(secret_writes(&world, &operator.credential), [], "{order:?}");
        assumed += 1;
        for iam in [&one, &two] {
            let calls = world.plane.assume_role_calls(&iam.key.id).await;
            assert_eq!(calls, assumed, "the key's Secret is another one: it is proven anew, once");
        }
    }
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_bundle_that_is_restored_while_the_operator_runs_is_ready_again_without_a_write() {
    let (world, _iam, operator) = ready("bundle", json!({})).await;
    let written = secret_writes(&world, &operator.credential).len();
    for order in [["example", "user-one", "bundle", "user-two"], ["bundle", "user-one", "user-two", "example"]] {
        let backup = Backup::take(&world, &["example"], &["bundle", "user-one", "user-two"]).await;
        backup.lose().await;
        let bundle = restore(&backup, &world, &operator, &order, "bundle").await;
        assert_untouched(&world, &bundle, &format!("{order:?}")).await;
        assert_eq!(secret_writes(&world, &operator.credential).len(), written, "{order:?}");
    }
    // Only the Secrets, and the resource stays: its status speaks of the old ones.
    let backup = Backup::take(&world, &[], &["bundle", "user-one", "user-two"]).await;
    backup.lose().await;
    let bundle = restore(&backup, &world, &operator, &["user-two", "bundle", "user-one"], "bundle").await;
    assert_untouched(&world, &bundle, "Secrets alone").await;
    assert_eq!(secret_writes(&world, &operator.credential).len(), written);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

const OUTPUT: [&str; 4] = ["output", "source", "user-one", "user-two"];

#[tokio::test]
async fn an_output_that_is_restored_is_adopted_without_a_write_whatever_comes_back_first() {
    let (world, _iam, mut operator) = ready("source", json!({"outputSecret": "output"})).await;
    let orders = [
        ["output", "source", "user-one", "user-two", "example"],
        ["example", "output", "source", "user-one", "user-two"],
        ["example", "source", "output", "user-two", "user-one"],
        ["user-two", "output", "example", "user-one", "source"],
    ];
    for order in orders {
        let backup = Backup::take(&world, &["example"], &OUTPUT).await;
        operator.ends_gracefully().await;
        backup.lose().await;
        operator = Operator::start(&world).await;
        let output = restore(&backup, &world, &operator, &order, "output").await;
        assert_untouched(&world, &output, &format!("{order:?}")).await;
        assert_eq!(data(&output), data(backup.of("output")));
        assert_eq!(secret_writes(&world, &operator.credential), [], "{order:?}");
    }
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn an_output_that_is_restored_while_the_operator_runs_is_adopted_without_a_write() {
    let (world, _iam, operator) = ready("source", json!({"outputSecret": "output"})).await;
    let written = secret_writes(&world, &operator.credential).len();
    let backup = Backup::take(&world, &["example"], &OUTPUT).await;
    backup.lose().await;
    let order = ["example", "user-one", "output", "user-two", "source"];
    let output = restore(&backup, &world, &operator, &order, "output").await;
    assert_untouched(&world, &output, "while it runs").await;
    assert_eq!(secret_writes(&world, &operator.credential).len(), written);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

/// What stands in the output once all is restored in this order, the output last, and what stood there before.
async fn made_anew(order: &[&str]) -> (Value, Value) {
    let (world, _iam, mut operator) = ready("source", json!({"outputSecret": "output"})).await;
    let backup = Backup::take(&world, &["example"], &OUTPUT).await;
    operator.ends_gracefully().await;
    backup.lose().await;
    operator = Operator::start(&world).await;
    restore(&backup, &world, &operator, order, "output").await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
    let now = Backup::take(&world, &[], &["output"]).await;
    (data(now.of("output")).clone(), data(backup.of("output")).clone())
}

#[tokio::test]
async fn an_output_that_comes_back_after_all_else_was_made_anew_as_it_was() {
    let (now, before) = made_anew(&["user-one", "user-two", "source", "example", "output"]).await;
    assert!(now == before, "it is another one");
}

#[tokio::test]
async fn resources_that_share_a_bundle_are_restored_in_any_order_without_a_write() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let names = ["elder", "middle", "younger"];
    let mut operator = Operator::start(&world).await;
    for name in names {
        world.put_resource(name, "bundle", &[World::location(name, &iam, "quay-user")]).await;
        world.until_ready(name).await;
    }
    let backup = Backup::take(&world, &names, &["bundle", "quay-user"]).await;
    operator.ends_gracefully().await;
    backup.lose().await;
    operator = Operator::start(&world).await;
    let bundle = backup.restore("bundle").await;
    for name in ["younger", "middle", "elder"] {
        backup.restore(name).await;
        until_quiet(&world, &operator.credential).await;
    }
    backup.restore("quay-user").await;
    for name in names {
        world.until_ready(name).await;
    }
    until_quiet(&world, &operator.credential).await;
    assert_untouched(&world, &bundle, "in reverse").await;
    assert_eq!(secret_writes(&world, &operator.credential), []);
}
