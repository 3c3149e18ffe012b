//! The files that verbs are given: `-` is stdin, a folder stands for the YAML and JSON files in it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretSlice};

use super::Problem;
use crate::manifests::Manifests;

/// Reads manifests from files.
pub(super) fn manifests(names: &[String]) -> Result<Manifests, Problem> {
    let mut manifests = Manifests::default();
    for name in names.iter().map(|name| expand(name)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        let bytes = read(&name)?;
        let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| format!("{name}: it is not UTF-8"))?;
        manifests.add(text).map_err(|error| format!("{name}: {error}"))?;
    }
    if manifests.resources.is_empty() {
        return Err("there is no QuayStorage among the manifests".into());
    }
    Ok(manifests)
}

/// Reads one file. What stands in it is a secret.
pub(super) fn read(name: &str) -> Result<SecretSlice<u8>, Problem> {
    let mut bytes = Vec::new();
    if name == "-" {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = fs::read(name).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(SecretSlice::from(bytes))
}

fn expand(name: &str) -> Result<Vec<String>, Problem> {
    if name == "-" || !Path::new(name).is_dir() {
        return Ok(vec![name.to_owned()]);
    }
    let is_manifest =
        |path: &Path| path.extension().and_then(|e| e.to_str()).is_some_and(|e| ["yaml", "yml", "json"].contains(&e));
    let entries = fs::read_dir(name).map_err(|error| format!("{name}: {error}"))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<String> =
        paths.into_iter().filter(|path| is_manifest(path)).map(|path| path.to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
