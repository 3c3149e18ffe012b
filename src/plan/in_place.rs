//! What becomes of a bundle that is changed in place: our locations are put into its `config.yaml`, and nothing else
//! changes.

use secrecy::{ExposeSecret as _, SecretSlice};

use super::desired::Desired;
use super::mark;
use super::observation::{BundleSecret, Observation, Reference};
use super::render::{self, Rendered};
use super::{BundleWrite, LARGEST_SECRET, Standing};
use crate::consumer::Consumer;
use crate::place::Place;
use crate::reason::{Failure, Reason};

/// How each location stands once it is done, and the change of the bundle, if there is one to make.
pub(super) fn plan(
    desired: &Desired,
    seen: &Observation,
    bundle: &Reference<BundleSecret>,
) -> Result<(Vec<Standing>, Option<BundleWrite>), Failure> {
    let secret = found(&desired.consumer, bundle)?;
    let before = editable(&desired.consumer, secret)?;
    let Rendered { standings, config, changed, keep, .. } = rendered(desired, seen, secret, before)?;
    let write = config.map(|config| BundleWrite {
        secret_name: desired.consumer.bundle.clone(),
        uid: secret.uid.clone(),
        resource_version: secret.resource_version.clone(),
        before: SecretSlice::from(before.to_vec()),
        config,
        last_writer: secret.last_writer.clone(),
        keep,
        locations: changed.iter().map(|entry| entry.name.to_string()).collect(),
        output: None,
    });
    Ok((standings, write))
}

/// The Secret that a reference leads to, or why it leads to none.
pub(super) fn found<'a, T>(consumer: &Consumer, secret: &'a Reference<T>) -> Result<&'a T, Failure> {
    let (name, field) = (&consumer.bundle, consumer.field());
    match secret {
        Reference::Found(secret) => Ok(secret),
        Reference::Missing => Err(Failure::new(
            Reason::BundleMissing,
            format!(
                "Secret {name} ({field}) does not exist in this namespace. Create it, or name there the Secret that holds the registry's config.yaml."
            ),
        )),
        Reference::Forbidden { grant } => Err(Failure::new(
            Reason::BundleForbidden,
            format!("The operator may not read Secret {name} ({field}). Grant it: {grant}"),
        )),
        Reference::Unreadable { why } => {
            Err(Failure::new(Reason::BundleUnreadable, format!("Secret {name} could not be read: {why}.")))
        }
    }
}

/// The bundle's `config.yaml`, or why there is none to edit.
pub(super) fn editable<'a>(consumer: &Consumer, secret: &'a BundleSecret) -> Result<&'a [u8], Failure> {
    let (name, field) = (&consumer.bundle, consumer.field());
    if secret.deleting {
        return Err(Failure::new(
            Reason::BundleMissing,
            format!("Secret {name} ({field}) is being deleted, so nothing is written into it."),
        ));
    }
    if let Some(mark) = &secret.mark {
        let (name, owner) = (called(name, secret), mark.owner());
        return Err(Failure::new(
            Reason::OutputSecretRefused,
            format!(
                "{name} ({field}) is the output of {owner}, which would undo what is written there. Name the Secret that it is made from, or give the locations to {owner}; or, if it is no output any more, take its label {} off.",
                mark::LABEL
            ),
        ));
    }
    secret.config.as_ref().map(SecretSlice::expose_secret).ok_or_else(|| {
        let name = called(name, secret);
        Failure::new(
            Reason::ConfigMissing,
            format!(
                "{name} has no key config.yaml. Put Quay's config.yaml there, as the config bundle of a QuayRegistry has it."
            ),
        )
    })
}

pub(super) fn uneditable(message: String) -> Failure {
    Failure::new(Reason::BundleUneditable, message)
}

/// That no other key of a bundle sets what is ours.
pub(super) fn overlaid(name: &str, secret: &BundleSecret) -> Result<(), Failure> {
    let name = called(name, secret);
    for (key, overlay) in &secret.overlays {
        if let Some(ours) = crate::bundle::key_of_ours(overlay.expose_secret()) {
            return Err(uneditable(format!(
                "{name}, key {key}: it sets {ours} too, and the Quay operator merges it over config.yaml, so that what is written there would not count. Remove {ours} from it. Nothing was changed."
            )));
        }
    }
    Ok(())
}

/// The bundle's new text, if it can be edited with certainty and stays a Secret that Kubernetes takes.
fn rendered(desired: &Desired, seen: &Observation, secret: &BundleSecret, config: &[u8]) -> Result<Rendered, Failure> {
    let name = called(&desired.consumer.bundle, secret);
    overlaid(&desired.consumer.bundle, secret)?;
    let rendered = render::render(desired, seen, secret, config)
        .map_err(|refusal| uneditable(format!("{name}: {refusal}. Nothing was changed.")))?;
    if let (Some(owner), true) = (&secret.owner, rendered.config.is_some()) {
        return Ok(rendered.held_back(&owner.refuses(&name)));
    }
    if secret.immutable && rendered.config.is_some() {
        return Err(Failure::new(
            Reason::BundleImmutable,
            format!(
                "{name} is immutable: Kubernetes refuses any change of it. Create a new Secret without `immutable: true` and name it in {}.",
                desired.consumer.field()
            ),
        ));
    }
    let size = rendered.config.as_ref().map_or(0, |config| config.expose_secret().len()) + secret.other_bytes;
    if size > LARGEST_SECRET {
        return Err(uneditable(format!(
            "{name} would have {size} bytes, and Kubernetes takes at most {LARGEST_SECRET}. Move what is large, such as extra_ca_cert_* bundles, elsewhere. Nothing was changed."
        )));
    }
    Ok(rendered)
}

/// What messages call a bundle.
pub(super) fn called(name: &str, secret: &BundleSecret) -> String {
    secret.called.clone().unwrap_or_else(|| format!("Secret {name}"))
}

/// That a location would move: both places, and how to consent.
pub(super) fn would_move(bundle: &BundleSecret, stands: &str, intended: &Place) -> Failure {
    let bundle = bundle.called.as_deref().unwrap_or("The bundle");
    Failure::new(
        Reason::WouldMoveData,
        format!(
            "{bundle} has this location {stands}; the spec puts it at {intended}. Quay finds its blobs by the location's name and would lose those that it has there. Copy them and set acceptPlace: {:?} on the location, or correct the spec.",
            intended.consent()
        ),
    )
}
