//! `registry-sts rbac`

use std::io::Write as _;

use super::run::namespace;
use super::{Outcome, Problem};
use crate::rbac::grants::{Account, Wanted, Workload, grants};
use crate::rbac::table;

/// Print the rights that the operator needs in a namespace, as manifests; without a namespace, all rights as a table.
///
/// The owner of the namespace applies them. What is named may be repeated: an apply for one registry more has to name
/// those that were granted before, too.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  registry-sts rbac                                                  # the table: what is needed for what, and why
  registry-sts rbac -n quay | kubectl apply -f -
  registry-sts rbac -n quay --bundle example-config-bundle --mint example-registry-quay-app
  registry-sts rbac -n quay --output example-bundle-sts --restart deploy/quay
  registry-sts rbac -n quay --bundle example-config-bundle --key example-key")]
pub(super) struct Rbac {
    /// The namespace of the registries.
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace)]
    namespace: Option<String>,

    #[command(flatten)]
    features: Features,

    /// Bind no ClusterRole: for an operator of some namespaces only, which has none.
    #[arg(long, requires = "namespace")]
    namespaced: bool,

    /// The operator's ServiceAccount.
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        value_parser = account,
        default_value = "registry-sts/registry-sts",
        requires = "namespace"
    )]
    service_account: Account,
}

#[derive(clap::Args)]
struct Features {
    /// Let it change this Secret only, instead of any of the namespace.
    #[arg(long = "bundle", value_name = "SECRET", value_parser = name, requires = "namespace")]
    bundles: Vec<String>,

    /// Let it make this Secret (spec.outputSecret), and change no other.
    #[arg(long = "output", value_name = "SECRET", value_parser = name, requires = "namespace")]
    outputs: Vec<String>,

    /// Let it mint tokens of this ServiceAccount (auth.webIdentity).
    #[arg(long = "mint", value_name = "SERVICEACCOUNT", value_parser = name, requires = "namespace")]
    minted: Vec<String>,

    /// Let it annotate this ServiceAccount (auth.webIdentity.annotateServiceAccount).
    #[arg(long = "annotate", value_name = "SERVICEACCOUNT", value_parser = name, requires = "namespace")]
    annotated: Vec<String>,

    /// Let it see whether Quay runs what was written (with spec.registryRef).
    #[arg(long = "rollout", requires = "namespace")]
    sees_rollouts: bool,

    /// Let it roll this workload (spec.restart), such as deploy/quay or statefulset/quay.
    #[arg(long = "restart", value_name = "WORKLOAD", value_parser = workload, requires = "namespace")]
    restarted: Vec<Workload>,

    /// Let it keep what stands in the bundle of this QuayStorage, to be put back (spec.deletionPolicy: Restore).
    #[arg(long = "restore", value_name = "QUAYSTORAGE", value_parser = name, requires = "namespace")]
    restored: Vec<String>,

    /// Let it put the access keys that it makes into this Secret (StorageIdentity with trust: user).
    #[arg(long = "key", value_name = "SECRET", value_parser = name, requires = "namespace")]
    keys: Vec<String>,
}

/// An object's name, where it may be a DNS subdomain.
fn name(name: &str) -> Result<String, &'static str> {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_name = name.len() <= 253 && name.split('.').all(is_label);
    is_name.then(|| name.to_owned()).ok_or("expected an object's name: lower-case letters, digits, hyphens and dots")
}

fn account(text: &str) -> Result<Account, &'static str> {
    let (of, account) = text.split_once('/').ok_or("expected NAMESPACE/NAME, such as registry-sts/registry-sts")?;
    Ok(Account { namespace: namespace(of)?, name: name(account)? })
}

/// A workload as kubectl takes it.
fn workload(text: &str) -> Result<Workload, &'static str> {
    let (kind, of) = text.split_once('/').ok_or("expected KIND/NAME, such as deploy/quay")?;
    let resource = match kind.strip_suffix(".apps").unwrap_or(kind) {
        "deploy" | "deployment" | "deployments" => "deployments",
        "sts" | "statefulset" | "statefulsets" => "statefulsets",
        _ => return Err("expected a Deployment or a StatefulSet, such as deploy/quay or statefulset/quay"),
    };
    Ok(Workload { resource, name: name(of)? })
}

impl Rbac {
    pub(super) fn run(self) -> Result<Outcome, Problem> {
        let is_namespaced = self.namespaced;
        let Features { bundles, outputs, minted, annotated, sees_rollouts, restarted, restored, keys } = self.features;
        let wanted =
            Wanted { bundles, outputs, minted, annotated, sees_rollouts, restarted, restored, keys, is_namespaced };
        let mut out = std::io::stdout();
        let Some(namespace) = self.namespace else {
            out.write_all(table().as_bytes())?;
            return Ok(Outcome::Done);
        };
        for (index, object) in grants(&namespace, &self.service_account, &wanted).iter().enumerate() {
            let separator = if index > 0 { "---\n" } else { "" };
            write!(out, "{separator}{}", serde_yaml::to_string(object)?)?;
        }
        Ok(Outcome::Done)
    }
}
