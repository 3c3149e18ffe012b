//! PURE: a bundle among manifests, or a plain `config.yaml`.

use super::{Bundle, Named, fill_in, is_name};
use crate::consumer::Consumer;
use crate::manifests::Manifests;
use crate::manifests::offline::PlainFile;
use crate::plan::observation::{BundleSecret, CONFIG};

/// The bundle among manifests. It need not be named where there is only one.
///
/// # Errors
/// Why there is none, and what to change.
pub fn bundle(manifests: &Manifests, named: Option<&Named>, namespace: Option<&str>) -> Result<Bundle, String> {
    let only = |what: &str, flag: &str, all: Vec<(Option<&str>, &str)>| match all.as_slice() {
        [(space, name)] => Ok((space.or(namespace).map(str::to_owned), (*name).to_owned())),
        [] => Err(format!("there is no {what} among the manifests: add its file with -f")),
        _ => Err(format!(
            "there is more than one {what} among the manifests: say {flag}, and with -n of which namespace"
        )),
    };
    let found = |all: Vec<(Option<&'_ str>, &'_ str)>, name: &str| {
        let here = |space: Option<&str>| namespace.is_none() || space.is_none() || space == namespace;
        let mut spaces: Vec<_> =
            all.into_iter().filter(|(space, other)| *other == name && here(*space)).map(|(space, _)| space).collect();
        spaces.dedup();
        match spaces.as_slice() {
            [_, _, ..] => {
                Err(format!("{name} is in more than one namespace among the manifests: say with -n which is meant"))
            }
            one_or_none => Ok(namespace.or(one_or_none.first().copied().flatten()).map(str::to_owned)),
        }
    };
    let (registries, bundles) = (manifests.registry_names(), manifests.bundle_names());
    let (space, named) = match named {
        Some(Named::ByRegistry(name)) => (found(registries, name)?, Named::ByRegistry(name.clone())),
        Some(Named::Secret(name)) => (found(bundles, name)?, Named::Secret(name.clone())),
        None if registries.is_empty() => {
            let what = "QuayRegistry, and no Secret with config.yaml";
            let what = if bundles.is_empty() { what } else { "Secret with config.yaml" };
            let (space, name) = only(what, "which with --secret", bundles)?;
            (space, Named::Secret(name))
        }
        None => {
            let (space, name) = only("QuayRegistry", "which", registries)?;
            (space, Named::ByRegistry(name))
        }
    };
    let consumer = match named {
        Named::Secret(bundle) => Consumer { bundle, ..Consumer::default() },
        Named::ByRegistry(name) => manifests
            .registry_seen(space.as_deref(), &name)
            .and_then(|seen| seen.consumer(&name))
            .map_err(|failure| failure.message)?,
    };
    let space = space.as_deref();
    let secret = manifests.bundle(space, &consumer).map_err(|failure| failure.message)?;
    let said = [Some(consumer.bundle.as_str()), consumer.registry.as_deref(), space];
    if !said.into_iter().flatten().all(is_name) {
        return Err("the name of the bundle, the registry or the namespace is none that Kubernetes takes: lower-case letters, digits, '-' and '.'".to_owned());
    }
    Ok(Bundle { namespace: space.map(str::to_owned), consumer, secret, is_live: false, notes: Vec::new() })
}

/// A plain file as the bundle of this name.
///
/// # Errors
/// The name is none.
pub fn plain(file: PlainFile, secret: Option<String>, namespace: Option<String>) -> Result<Bundle, String> {
    if ![&secret, &namespace].into_iter().flatten().all(|name| is_name(name)) {
        return Err("--secret and -n have to be names that Kubernetes takes: lower-case letters, digits, '-' and '.'"
            .to_owned());
    }
    let called = Some(file.name);
    let secret_of = BundleSecret { called, ..BundleSecret::of([(CONFIG.to_owned(), file.text)].into()) };
    let bundle = secret.unwrap_or_else(|| fill_in::BUNDLE.to_owned());
    let consumer = Consumer { bundle, ..Consumer::default() };
    Ok(Bundle { namespace, consumer, secret: secret_of, is_live: false, notes: Vec::new() })
}
