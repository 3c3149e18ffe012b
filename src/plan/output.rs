//! What becomes of an output: a Secret of its own that has everything of the source's, with our locations in its
//! `config.yaml`. A registry reads the output, so an entry is judged by what stands there, and nothing that stands there
//! gives way to what is not proven, whatever the source says. All else follows the source.

mod documents;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::desired::Desired;
use super::in_place::{editable, found, overlaid, uneditable};
use super::mark::Mark;
use super::observation::{BundleSecret, CONFIG, Observation, Reference};
use super::{BundleWrite, LARGEST_SECRET, Standing};
use crate::bundle::StorageEntry;
use crate::consumer::Consumer;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;
use documents::{Document, Documents};

/// A source and its output as they were seen.
#[derive(Clone)]
pub struct OutputSeen {
    /// The resource whose output it is.
    pub owner: ResourceId,
    /// The Secret that is read.
    pub source: Reference<WholeSecret>,
    /// The Secret that is written.
    pub output: Reference<WholeSecret>,
}

/// A Secret with all of its values.
#[derive(Clone)]
pub struct WholeSecret {
    /// It as a bundle.
    pub bundle: BundleSecret,
    /// Its values, that of `config.yaml` among them.
    pub data: BTreeMap<String, SecretSlice<u8>>,
}

/// What a write of an output has beside `config.yaml`.
pub struct OutputWrite {
    /// The Secret that it is made from.
    pub source: String,
    /// Uid and version of that one.
    pub source_version: String,
    /// Whether there is none yet.
    pub creates: bool,
    /// Whose it is.
    pub mark: Mark,
    /// The values of the other keys.
    pub values: BTreeMap<String, SecretSlice<u8>>,
    /// The keys that the source does not have.
    pub gone: Vec<String>,
    /// The keys but `config.yaml` that come, go or differ.
    pub changed_keys: Vec<String>,
}

/// How each location stands once it is done, and the change of the output, if there is one to make.
pub(super) fn plan(
    desired: &Desired,
    seen: &Observation,
    both: &OutputSeen,
) -> Result<(Vec<Standing>, Option<BundleWrite>), Failure> {
    let (name, of_source) = (&desired.consumer.bundle, desired.consumer.of_source());
    let standing = ours(&desired.consumer, both)?;
    let source = found(&of_source, &both.source)?;
    let config = editable(&of_source, &source.bundle)?;
    overlaid(&of_source.bundle, &source.bundle)?;
    let source_text = Document::read(&of_source.bundle, &source.bundle, config)?;
    let (output, broken) = match standing.map(|secret| (&secret.bundle, secret.bundle.config.as_ref())) {
        None => (None, None),
        Some((secret, config)) => {
            match Document::read(name, secret, config.map_or(&[][..], |config| config.expose_secret())) {
                Ok(document) => (Some(document), None),
                Err(failure) => (None, Some(failure)),
            }
        }
    };
    let documents = Documents { source: source_text, output };
    let marked = standing.and_then(|secret| secret.bundle.mark.as_ref()).map_or(&[][..], |mark| &mark.locations[..]);

    let (mut standings, mut entries) = (Vec::new(), Vec::new());
    for (location, seen) in desired.locations.iter().zip(&seen.locations) {
        let (standing, entry) = documents.judge(desired, location, seen)?;
        standings.push(standing);
        entries.extend(entry);
    }
    let is_written = |name: &str| entries.iter().any(|entry| entry.name.as_str() == name);
    if documents.output.is_none() {
        let had = desired.locations.iter().zip(&seen.locations).filter(|(_, seen)| seen.written_at.is_some());
        let had = had.map(|(location, _)| location.name.as_str()).chain(marked.iter().map(String::as_str));
        let lost = had.into_iter().find(|name| !is_written(name));
        match (broken, lost) {
            // What only the broken text has would be lost.
            (Some(failure), Some(_)) => return Err(failure),
            (Some(failure), None) if entries.is_empty() => return Err(failure),
            (None, _) if entries.is_empty() || lost.is_some() => return Ok((waiting(standings, name, lost), None)),
            _ => {}
        }
    }
    let (config, locations) = documents.merged(desired, seen, &entries, marked)?;
    let mark = Mark::new(&both.owner, locations);
    let is_new = |entry: &&StorageEntry| !documents.output.as_ref().is_some_and(|output| output.text.is_current(entry));
    let changed: Vec<String> = entries.iter().filter(is_new).map(|entry| entry.name.to_string()).collect();
    let write = write(desired, source, standing, (config, mark));
    let owner = standing.and_then(|secret| secret.bundle.owner.as_ref());
    if let (Some(owner), Some(_)) = (owner, &write) {
        let concerns = |name: &String| changed.is_empty() || changed.contains(name);
        for (standing, location) in standings.iter_mut().zip(&desired.locations) {
            if *standing == Standing::Current && concerns(&location.name) {
                *standing = Standing::Kept(owner.refuses_output(name));
            }
        }
        return Ok((standings, None));
    }
    checked(name, standing, write).map(|write| {
        let write = write.map(|write| BundleWrite { locations: changed, ..write });
        (standings, write)
    })
}

/// The output, if there is one and it is ours.
fn ours<'a>(consumer: &Consumer, both: &'a OutputSeen) -> Result<Option<&'a WholeSecret>, Failure> {
    let name = &consumer.bundle;
    if let Reference::Missing = both.output {
        return Ok(None);
    }
    let secret = found(consumer, &both.output)?;
    let taken = |by: &str| {
        Failure::new(
            Reason::OutputSecretTaken,
            format!(
                "Secret {name} (spec.outputSecret) exists and {by}: it is left as it is. Name another Secret in spec.outputSecret, or delete that one if nothing uses it."
            ),
        )
    };
    match &secret.bundle.mark {
        None => Err(taken("was not made by registry-sts")),
        Some(mark) if !mark.is_of(&both.owner) => Err(taken(&format!("is the output of {}", mark.owner()))),
        Some(_) if secret.bundle.deleting => Err(Failure::new(
            Reason::BundleMissing,
            format!("Secret {name} (spec.outputSecret) is being deleted. It is created again once it is gone."),
        )),
        Some(_) => Ok(Some(secret)),
    }
}

/// Of locations that would be written if there were an output: why there is none yet.
fn waiting(standings: Vec<Standing>, name: &str, lost: Option<&str>) -> Vec<Standing> {
    let until = lost.map_or_else(
        || "once a location is proven".to_owned(),
        |location| format!("once location {location:?} is proven, which it had"),
    );
    let kept = || {
        let message = format!("Secret {name} (spec.outputSecret) does not exist; it is created {until}.");
        Standing::Kept(Failure::new(Reason::NotProven, message))
    };
    let waits = |standing| match standing {
        Standing::Current => kept(),
        Standing::Kept(failure) if failure.reason == Reason::NotProven => kept(),
        Standing::Kept(_) => standing,
    };
    standings.into_iter().map(waits).collect()
}

/// The change that brings the output in step, if it is not.
fn write(
    desired: &Desired,
    source: &WholeSecret,
    standing: Option<&WholeSecret>,
    (config, mark): (SecretString, Mark),
) -> Option<BundleWrite> {
    let values: BTreeMap<_, _> =
        source.data.iter().filter(|(key, _)| *key != CONFIG).map(|(key, value)| (key.clone(), value.clone())).collect();
    let bytes = |key: &str| match key {
        CONFIG => Some(config.expose_secret().as_bytes()),
        key => values.get(key).map(SecretSlice::expose_secret),
    };
    let is_in_step = standing.is_some_and(|secret| {
        secret.bundle.mark.as_ref() == Some(&mark)
            && secret.data.len() == values.len() + 1
            && secret.data.iter().all(|(key, value)| bytes(key) == Some(value.expose_secret()))
    });
    if is_in_step {
        return None;
    }
    let stands = |key: &str| standing.and_then(|secret| secret.data.get(key)).map(SecretSlice::expose_secret);
    let gone = standing.into_iter().flat_map(|secret| secret.data.keys());
    let gone: Vec<String> = gone.filter(|key| bytes(key).is_none()).cloned().collect();
    let changed_keys = values.keys().filter(|key| stands(key) != bytes(key)).chain(&gone).cloned().collect();
    let before = standing.unwrap_or(source).data.get(CONFIG).cloned();
    let name = &desired.consumer.bundle;
    Some(BundleWrite {
        secret_name: name.clone(),
        uid: standing.map(|secret| secret.bundle.uid.clone()).unwrap_or_default(),
        resource_version: standing.map(|secret| secret.bundle.resource_version.clone()).unwrap_or_default(),
        last_writer: standing.and_then(|secret| secret.bundle.last_writer.clone()),
        locations: Vec::new(),
        keep: None,
        before: before.unwrap_or_else(|| SecretSlice::from(Vec::new())),
        output: Some(OutputWrite {
            source: desired.consumer.of_source().bundle,
            source_version: format!("{}/{}", source.bundle.uid, source.bundle.resource_version),
            creates: standing.is_none(),
            mark,
            values,
            gone,
            changed_keys,
        }),
        config,
    })
}

/// A write that Kubernetes takes.
fn checked(
    name: &str,
    standing: Option<&WholeSecret>,
    write: Option<BundleWrite>,
) -> Result<Option<BundleWrite>, Failure> {
    let Some(write) = write else { return Ok(None) };
    if standing.is_some_and(|secret| secret.bundle.immutable) {
        return Err(Failure::new(
            Reason::BundleImmutable,
            format!(
                "Secret {name} (spec.outputSecret) is immutable: Kubernetes refuses any change of it. Delete it, and it is created anew; or name another Secret in spec.outputSecret."
            ),
        ));
    }
    let values = write.output.iter().flat_map(|output| output.values.values());
    let size = write.config.expose_secret().len() + values.map(|value| value.expose_secret().len()).sum::<usize>();
    if size > LARGEST_SECRET {
        return Err(uneditable(format!(
            "Secret {name} (spec.outputSecret) would have {size} bytes, and Kubernetes takes at most {LARGEST_SECRET}. Move what is large, such as extra_ca_cert_* bundles, elsewhere. Nothing was changed."
        )));
    }
    Ok(Some(write))
}

#[cfg(test)]
mod tests;
