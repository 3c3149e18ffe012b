//! The source's `config.yaml` and the output's, and what is made of the two.

use secrecy::{ExposeSecret as _, SecretString};

use crate::bundle::{Change, ConfigYaml, Edit, Preference, Refusal, StorageEntry};
use crate::place::LocationName;
use crate::plan::desired::{Desired, DesiredLocation, Wanted};
use crate::plan::in_place::{called, uneditable, would_move};
use crate::plan::observation::{BundleSecret, Observation, ObservedLocation};
use crate::plan::{Standing, render};
use crate::reason::Failure;

/// A Secret and its `config.yaml`.
pub(super) struct Document<'a> {
    secret: &'a BundleSecret,
    pub(super) text: ConfigYaml,
    called: String,
}

/// The source, and the output if there is one that can be read.
pub(super) struct Documents<'a> {
    pub(super) source: Document<'a>,
    pub(super) output: Option<Document<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn read(name: &str, secret: &'a BundleSecret, config: &[u8]) -> Result<Self, Failure> {
        let called = called(name, secret);
        match ConfigYaml::parse(config) {
            Ok(text) => Ok(Self { secret, text, called }),
            Err(refusal) => Err(refused(&called, &refusal)),
        }
    }

    fn refused(&self, refusal: &Refusal) -> Failure {
        refused(&self.called, refusal)
    }
}

fn refused(called: &str, refusal: &Refusal) -> Failure {
    uneditable(format!("{called}: {refusal}. Nothing was changed."))
}

impl Documents<'_> {
    /// How a location stands, and its entry if that is to be written.
    pub(super) fn judge(
        &self,
        desired: &Desired,
        location: &DesiredLocation,
        seen: &ObservedLocation,
    ) -> Result<(Standing, Option<StorageEntry>), Failure> {
        let (wanted, principal) = match (&location.wanted, &seen.principal) {
            (Ok(wanted), Ok(principal)) => (wanted, principal),
            (Err(failure), _) | (_, Err(failure)) => return Ok((Standing::Kept(failure.clone()), None)),
        };
        let entry = render::entry(wanted, principal);
        let unproven = render::unproven(&seen.proof, desired.mode);
        let standing = match &self.output {
            Some(output) if output.text.entry(&wanted.name).is_some() => {
                render::standing((output.secret, &output.text), wanted, &entry, seen, desired.mode)
                    .map_err(|refusal| output.refused(&refusal))?
            }
            _ => {
                let kept = match (render::claimed(seen), unproven) {
                    (Some(failure), _) => Some(failure),
                    (None, Some(why)) => Some(render::not_written(&self.source.text, &entry, why)),
                    (None, None) => self.moved_without_output(wanted, &entry, seen.written_at.as_deref())?,
                };
                kept.map_or(Standing::Current, Standing::Kept)
            }
        };
        let is_written = standing == Standing::Current && unproven.is_none() && seen.claimed_by.is_none();
        Ok((standing, is_written.then_some(entry)))
    }

    /// That a location which the output does not have would move: from where it was written last, for that is where its
    /// blobs are whatever the source says; else from where the source has it, for that is what the registry reads yet.
    fn moved_without_output(
        &self,
        wanted: &Wanted,
        entry: &StorageEntry,
        written_at: Option<&str>,
    ) -> Result<Option<Failure>, Failure> {
        let (source, intended) = (&self.source, wanted.place());
        let Some(place) = written_at else {
            let moved = render::moved((source.secret, &source.text), wanted, entry, None);
            return moved.map_err(|refusal| source.refused(&refusal));
        };
        let is_there = |named: &str| intended.is_named_by(named);
        if is_there(place) || wanted.accept_place.as_deref().is_some_and(is_there) {
            return Ok(None);
        }
        let stands = format!("last written at {place}, though the entry is gone");
        Ok(Some(would_move(source.secret, &stands, &intended)))
    }

    /// The source's text with what is written now, and with what the output has and has to keep; and the names of the
    /// locations in it that are ours.
    pub(super) fn merged(
        &self,
        desired: &Desired,
        seen: &Observation,
        entries: &[StorageEntry],
        marked: &[String],
    ) -> Result<(SecretString, Vec<String>), Failure> {
        let at_source = |refusal: Refusal| self.source.refused(&refusal);
        let (spec, marked_names) =
            (desired.locations.iter().map(|l| l.name.as_str()), marked.iter().map(String::as_str));
        let preference = render::preference(desired, seen.has_elder);
        // In place a name that stands in the preference stays where it is; here the list is made anew each time.
        let all: Vec<&str> = match preference {
            Preference::Keep => marked_names.chain(spec).collect(),
            Preference::First | Preference::Last => spec.chain(marked_names).collect(),
        };
        let mut names: Vec<&str> = Vec::new();
        for name in all {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let (mut document, mut text) = (None, None);
        let mut ours = Vec::new();
        for name in names {
            let base = document.as_ref().unwrap_or(&self.source.text);
            let entry = entries.iter().find(|entry| entry.name.as_str() == name);
            let mut is_ours = entry.is_some();
            // One after the other: the order of the entries is the same, whichever of them are proven now.
            let edit = match (entry, &self.output) {
                (Some(entry), _) => {
                    let only = Change { entries: &[entry], ours: &[], preference: Preference::Keep, replicate: false };
                    base.edit(&only).map_err(at_source)?
                }
                (None, Some(output)) => match output.text.carried(name).map_err(|refusal| output.refused(&refusal))? {
                    Some(standing) => {
                        is_ours = marked.iter().any(|marked| marked == name) || !base.has_location(name);
                        base.carry(&standing).map_err(at_source)?
                    }
                    None => Edit::Unchanged,
                },
                (None, None) => Edit::Unchanged,
            };
            if let Edit::Changed(new) = edit {
                document = Some(ConfigYaml::parse(new.expose_secret().as_bytes()).map_err(at_source)?);
                text = Some(new);
            }
            if is_ours && let Ok(name) = name.parse::<LocationName>() {
                ours.push(name);
            }
        }
        let base = document.as_ref().unwrap_or(&self.source.text);
        let entries: Vec<&StorageEntry> = entries.iter().collect();
        let change = Change { entries: &entries, ours: &ours, preference, replicate: desired.replicate };
        if let Edit::Changed(new) = base.edit(&change).map_err(at_source)? {
            text = Some(new);
        }
        let unchanged = || {
            let config = self.source.secret.config.as_ref().map_or(&[][..], |config| config.expose_secret());
            SecretString::from(String::from_utf8_lossy(config).into_owned())
        };
        Ok((text.unwrap_or_else(unchanged), ours.iter().map(ToString::to_string).collect()))
    }
}
