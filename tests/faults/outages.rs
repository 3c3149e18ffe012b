//! What is done to the control plane, and who has it to himself meanwhile.

use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::harness::control_plane::ControlPlane;

static PLANE: RwLock<()> = RwLock::const_new(());

/// For who stops a part of the control plane: nobody else uses it until this is dropped.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    PLANE.write().await
}

/// For who needs the control plane as it is: nobody stops a part of it until this is dropped.
pub(crate) async fn undisturbed() -> RwLockReadGuard<'static, ()> {
    PLANE.read().await
}

impl ControlPlane {
    async fn done(&self, request: Value) {
        let reply = self.request(request.clone()).await;
        assert!(reply.get("error").is_none(), "{request}: {}", reply["error"]);
    }

    pub(crate) async fn kill_api_server(&self) {
        self.done(json!({"kill": "apiserver"})).await;
    }

    /// Starts the API server again where it was, and waits until it is ready.
    pub(crate) async fn start_api_server(&self) {
        self.done(json!({"start": "apiserver"})).await;
    }

    pub(crate) async fn pause(&self, server: &str) {
        self.done(json!({"pause": server})).await;
    }

    pub(crate) async fn resume(&self, server: &str) {
        self.done(json!({"resume": server})).await;
    }

    /// As if what is in a bucket had been put two hours earlier.
    pub(crate) async fn make_old(&self, bucket: &str) {
        self.done(json!({"peer": "age", "args": {"bucket": bucket, "seconds": 7200}})).await;
    }
}
