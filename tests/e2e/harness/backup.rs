//! A backup of a namespace, and its restoration as Velero makes it: what is created again has its name, its labels and
//! annotations, two labels more, a uid of its own and no status.

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};

use super::world::{World, eventually};

/// Objects as they were.
pub(crate) struct Backup<'a> {
    world: &'a World,
    objects: Vec<DynamicObject>,
}

fn api(world: &World, object: &DynamicObject) -> Api<DynamicObject> {
    api_of(world, &object.types.as_ref().unwrap().kind)
}

fn api_of(world: &World, kind: &str) -> Api<DynamicObject> {
    let (group, version) = if kind == "Secret" { ("", "v1") } else { ("registry-sts.dev", "v1alpha1") };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(world.admin.clone(), &world.namespace, &resource)
}

impl<'a> Backup<'a> {
    /// Reads `QuayStorage`s and Secrets.
    pub(crate) async fn take(world: &'a World, resources: &[&str], secrets: &[&str]) -> Self {
        let mut objects = Vec::new();
        for (kind, names) in [("QuayStorage", resources), ("Secret", secrets)] {
            for name in names {
                objects.push(api_of(world, kind).get(name).await.unwrap());
            }
        }
        Self { world, objects }
    }

    /// Deletes all of it, the resources first.
    pub(crate) async fn lose(&self) {
        for object in &self.objects {
            let (api, name) = (api(self.world, object), object.metadata.name.as_ref().unwrap());
            api.delete(name, &DeleteParams::default()).await.unwrap();
            eventually("it is gone", || async { api.get_opt(name).await.unwrap().is_none().then_some(()) }).await;
        }
    }

    /// Creates an object again, unless there is one of that name by now: that one is left as it is.
    pub(crate) async fn restore(&self, name: &str) -> DynamicObject {
        let was = self.of(name);
        let mut again: Value = serde_json::to_value(was).unwrap();
        again.as_object_mut().unwrap().remove("status");
        let mut labels = json!(was.metadata.labels.clone().unwrap_or_default());
        labels["velero.io/backup-name"] = json!("nightly");
        labels["velero.io/restore-name"] = json!("nightly-restored");
        again["metadata"] = json!({"name": name, "namespace": was.metadata.namespace, "labels": labels,
            "annotations": was.metadata.annotations});
        let again: DynamicObject = serde_json::from_value(again).unwrap();
        let params = PostParams { field_manager: Some("velero-server".into()), ..PostParams::default() };
        let api = api(self.world, was);
        let restored = match api.create(&params, &again).await {
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => api.get(name).await,
            created => created,
        };
        let restored = restored.unwrap();
        assert_ne!(restored.metadata.uid, was.metadata.uid);
        restored
    }

    /// An object as it was.
    pub(crate) fn of(&self, name: &str) -> &DynamicObject {
        self.objects.iter().find(|object| object.metadata.name.as_deref() == Some(name)).unwrap()
    }
}
