//! The life of a key: made, handed out, replaced, kept for a while, deactivated, deleted; and who holds it up.

use serde_json::json;

use crate::account::{Account, says};
use crate::harness::world::is;

#[tokio::test]
async fn a_user_a_role_and_a_key_are_made_and_the_registry_uses_them() {
    let account = Account::new().await;
    let operator = account.operator().await;
    account.put_identity("quay-user", json!({})).await;
    account.put_registry("quay-user").await;
    let ready = account.until_ready("quay-user").await;
    let status = ready.status.clone().unwrap();
    assert_eq!(status.secret_name.as_deref(), Some("quay-user"));
    let storage = account.world.until_ready("example").await;
    assert!(is(&storage, "RoleProven", "True") && is(&storage, "StorageProven", "True"));
    let key = account.key_in("quay-user").await;
    assert!(account.world.config("bundle").await.contains(&key.id));

    let user = account.named("quay-user").await;
    assert_eq!(account.keys(&user).await.into_iter().collect::<Vec<_>>(), [(key.id.clone(), true)]);
    assert_eq!(status.keys.len(), 1, "{status:?}");
    assert!(key.id.ends_with(&status.keys[0].last_four) && says(&ready, "Rotating").0.is_empty());
    let told = account.aws("get_user", json!({"UserName": user})).await;
    assert_eq!(told["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"], account.boundary);
    account.world.assert_nothing_secret_was_told(&operator.log()).await;
}
