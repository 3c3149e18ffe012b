//! What keeps manifests from being rendered.

use std::fmt;

use super::{Manifests, Origin, Resource, SecretManifest, qualified};
use crate::reason::{Failure, Reason};

/// Something that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it stands.
    pub origin: Origin,
    /// The resource, and what of it is concerned.
    pub what: String,
    /// Why.
    pub failure: Failure,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, what, failure } = self;
        write!(f, "{origin}, {what}: {}: {}", failure.reason.as_str(), failure.message)
    }
}

impl Resource {
    pub(super) fn namespace(&self) -> Option<&str> {
        self.object.metadata.namespace.as_deref()
    }

    /// Its name with its namespace, as far as the manifest says one.
    pub(super) fn name(&self) -> String {
        qualified(self.namespace(), self.object.metadata.name.as_deref().unwrap_or_default())
    }

    /// That something of it is refused.
    pub(super) fn refused(&self, concerned: &str, failure: Failure) -> Refused {
        Refused { origin: self.origin.clone(), what: format!("QuayStorage {}{concerned}", self.name()), failure }
    }
}

impl SecretManifest {
    /// How messages call it.
    pub(super) fn called(&self) -> String {
        let name = qualified(self.namespace(), self.name().unwrap_or_default());
        format!("{name} in {}", self.origin)
    }
}

impl Manifests {
    /// Resources that stand twice: who applies them has one of the two, and which one cannot be known.
    pub(super) fn twice(&self) -> Vec<Refused> {
        let again = |(index, resource): (usize, &Resource)| {
            let same = |other: &&Resource| {
                other.object.metadata.name == resource.object.metadata.name
                    && may_be_the_same(other.namespace(), resource.namespace())
            };
            let first = self.resources.iter().take(index).find(same)?;
            let message = format!(
                "it stands in {} too. {}",
                first.origin,
                keep_one((&first.origin, first.namespace()), (&resource.origin, resource.namespace()))
            );
            Some(resource.refused("", Failure::new(Reason::InvalidSpec, message)))
        };
        self.resources.iter().enumerate().filter_map(again).collect()
    }

    /// The index of the Secret of a name in a namespace; `field` refers to it.
    pub(super) fn secret(
        &self,
        namespace: Option<&str>,
        name: &str,
        field: &str,
        (missing, unreadable): (Reason, Reason),
    ) -> Result<usize, Failure> {
        let all = self.secrets.iter().map(|secret| Named {
            origin: &secret.origin,
            namespace: secret.namespace(),
            name: secret.name(),
        });
        find(all, ("Secret", name), namespace, field, (missing, unreadable))
    }
}

/// A manifest that others may refer to.
pub(super) struct Named<'a> {
    pub(super) origin: &'a Origin,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
}

impl Named<'_> {
    fn called(&self) -> String {
        format!("{} in {}", qualified(self.namespace, self.name.unwrap_or_default()), self.origin)
    }
}

/// The index of the one manifest of a name in a namespace; `field` refers to it.
pub(super) fn find<'a>(
    all: impl Iterator<Item = Named<'a>>,
    (kind, name): (&str, &str),
    namespace: Option<&str>,
    field: &str,
    (missing, unreadable): (Reason, Reason),
) -> Result<usize, Failure> {
    let named: Vec<(usize, Named<'_>)> = all.enumerate().filter(|(_, one)| one.name == Some(name)).collect();
    let mut here = named.iter().filter(|(_, one)| may_be_the_same(one.namespace, namespace));
    let called = qualified(namespace, name);
    match (here.next(), here.next()) {
        (Some((index, _)), None) => Ok(*index),
        (Some((_, first)), Some((_, second))) => Err(Failure::new(
            unreadable,
            format!(
                "{kind} {called} ({field}) stands twice among the manifests: in {} and in {}. {}",
                first.origin,
                second.origin,
                keep_one((first.origin, first.namespace), (second.origin, second.namespace))
            ),
        )),
        (None, _) => {
            let elsewhere = named
                .first()
                .map_or_else(String::new, |(_, one)| format!(" ({kind} {} is of another namespace.)", one.called()));
            Err(Failure::new(
                missing,
                format!("{kind} {called} ({field}) is not among the manifests: add its file with -f.{elsewhere}"),
            ))
        }
    }
}

/// A manifest without a namespace is of whichever it is applied to.
fn may_be_the_same(one: Option<&str>, other: Option<&str>) -> bool {
    one == other || one.is_none() || other.is_none()
}

/// What to do about two of a name, each with its place and its namespace.
fn keep_one(one: (&Origin, Option<&str>), other: (&Origin, Option<&str>)) -> &'static str {
    if one == other {
        "Give that file once."
    } else if one.1 == other.1 {
        "Keep one of the two, or leave a file out."
    } else {
        "Keep one of the two, or give both their metadata.namespace."
    }
}
