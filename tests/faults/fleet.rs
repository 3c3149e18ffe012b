//! Many resources, each with a bundle of its own, that share a few users, keys and roles.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::ListParams;
use registry_sts::api::QuayStorage;

use crate::aftermath::assert_right;
use crate::harness::iam::{Iam, Key};
use crate::harness::world::{World, eventually, is};
use crate::stored;

const ACCOUNTS: usize = 4;
/// How many requests are made at the same time to put it all there.
const AT_ONCE: usize = 8;

pub(crate) struct Fleet<'a> {
    world: &'a World,
    names: Vec<String>,
    pub(crate) accounts: Vec<Iam>,
}

fn config(name: &str) -> String {
    format!("# of {name}\nDB_URI: postgresql://quay:hunter2-of-the-database@{name}/quay\nFEATURE_MAILING: false\n")
}

fn key_secret(account: usize) -> String {
    format!("user{account}")
}

impl<'a> Fleet<'a> {
    /// Puts so many resources, their bundles and their keys there.
    pub(crate) async fn put(world: &'a World, size: usize) -> Self {
        let mut accounts = Vec::new();
        for index in 0..ACCOUNTS {
            let iam = world.iam(&key_secret(index)).await;
            world.put_key(&key_secret(index), &iam.key).await;
            accounts.push(iam);
        }
        let fleet = Self { world, names: (0..size).map(|i| format!("quay{i}")).collect(), accounts };
        let puts = fleet.names.iter().enumerate().map(|(index, name)| {
            let account = index % ACCOUNTS;
            let location = World::location("default", &fleet.accounts[account], &key_secret(account));
            async move {
                world.put_bundle(name, &config(name)).await;
                world.put_resource(name, name, &[location]).await;
            }
        });
        futures::stream::iter(puts).buffer_unordered(AT_ONCE).collect::<()>().await;
        fleet
    }

    /// How many bundles were written at least so often, their creation among them.
    pub(crate) async fn written(&self, times: u64) -> usize {
        let writes = stored::writes(self.world).await;
        self.names.iter().filter(|name| writes[*name] >= times).count()
    }

    /// How often the bundles were written: how many of them so often.
    pub(crate) async fn writes(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        let writes = stored::writes(self.world).await;
        for name in &self.names {
            *counts.entry(writes[name]).or_default() += 1;
        }
        counts
    }

    /// Waits until a share of the bundles was written so often.
    pub(crate) async fn until_begun(&self, times: u64) {
        let begun = || async { (self.written(times).await >= self.names.len() / 10).then_some(()) };
        eventually("some bundles are written", begun).await;
    }

    /// Waits until every resource is Ready with these keys.
    pub(crate) async fn until_ready(&self, keys: &[Key]) {
        let mut proven = Vec::new();
        for account in 0..ACCOUNTS {
            let secret = self.world.api::<Secret>().get(&key_secret(account)).await.unwrap();
            proven.push(format!("{}/{}/", secret.uid().unwrap(), secret.resource_version().unwrap()));
        }
        eventually("every resource is Ready", || async {
            let all = self.world.api::<QuayStorage>().list(&ListParams::default()).await.unwrap().items;
            let by_name: BTreeMap<String, QuayStorage> = all.into_iter().map(|r| (r.name_any(), r)).collect();
            let is_ready = |(index, name): (usize, &String)| {
                let resource = &by_name[name];
                let proof = resource.status.as_ref().and_then(|status| status.locations.first()?.proof.clone());
                is(resource, "Ready", "True") && proof.is_some_and(|p| p.of.starts_with(&proven[index % ACCOUNTS]))
            };
            self.names.iter().enumerate().all(is_ready).then_some(())
        })
        .await;
        let bundles = self.world.api::<Secret>().list(&ListParams::default()).await.unwrap().items;
        let configs: BTreeMap<String, String> = bundles
            .into_iter()
            .filter_map(|b| Some((b.name_any(), String::from_utf8(b.data?.remove("config.yaml")?.0).unwrap())))
            .collect();
        for (index, name) in self.names.iter().enumerate() {
            let account = index % ACCOUNTS;
            let location = ("default", &self.accounts[account], &keys[account]);
            assert_right(&configs[name], &config(name), &[location]);
        }
    }

    /// A new key for each user.
    pub(crate) async fn rotate(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for (index, account) in self.accounts.iter().enumerate() {
            let key = self.world.new_key(&account.user).await;
            self.world.put_key(&key_secret(index), &key).await;
            keys.push(key);
        }
        keys
    }

    /// The keys that the users had at first.
    pub(crate) fn first_keys(&self) -> Vec<Key> {
        self.accounts.iter().map(|account| account.key.clone()).collect()
    }
}
