//! The files that verbs are given: `-` is stdin, a folder stands for the YAML and JSON files in it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretSlice};

use super::Problem;
use crate::manifests::Manifests;

/// What counts as a manifest in a folder, as for kubectl.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Which files a verb reads. One that cannot do without has [`required`].
#[derive(clap::Args)]
pub(super) struct Files {
    /// A file or folder of manifests, or - for stdin. May be given several times. Of a folder its .yaml, .yml and .json
    /// files are read, those of its subfolders only with -R.
    #[arg(short, long, value_name = "FILE")]
    filename: Vec<String>,

    /// Read the subfolders of the folders given with -f too.
    #[arg(short = 'R', long, requires = "filename")]
    recursive: bool,
}

/// That files have to be given.
pub(super) fn required() -> clap::ArgGroup {
    clap::ArgGroup::new("manifests").args(["filename"]).required(true)
}

impl Files {
    /// Reads the manifests, of which one has to ask for something.
    pub(super) fn manifests(&self) -> Result<Manifests, Problem> {
        let manifests = self.any_manifests()?;
        if manifests.ask_for_nothing() {
            let read = self.filename.join(", ");
            let deeper = if self.recursive { "" } else { ", or read subfolders too with -R" };
            return Err(format!("there is no QuayStorage in {read}: add its file with -f{deeper}").into());
        }
        Ok(manifests)
    }

    /// Reads the manifests, whatever they are.
    pub(super) fn any_manifests(&self) -> Result<Manifests, Problem> {
        let mut manifests = Manifests::default();
        for name in &self.filename {
            for file in self.expand(name)? {
                let bytes = read(&file)?;
                let called = called(&file);
                let text = std::str::from_utf8(bytes.expose_secret()).map_err(|error| {
                    format!("{called}: byte {} is not UTF-8: save it as UTF-8", error.valid_up_to())
                })?;
                manifests.add(called, text)?;
            }
        }
        Ok(manifests)
    }

    fn expand(&self, name: &str) -> Result<Vec<String>, Problem> {
        if name == "-" || !Path::new(name).is_dir() {
            return Ok(vec![name.to_owned()]);
        }
        let mut files = Vec::new();
        self.walk(Path::new(name), &mut files)?;
        if files.is_empty() {
            let deeper = if self.recursive { "" } else { ", or read its subfolders too with -R" };
            return Err(format!("{name}: this folder has no .yaml, .yml or .json file: name another{deeper}").into());
        }
        Ok(files)
    }

    /// A link to a folder is not followed: it may lead back.
    fn walk(&self, folder: &Path, files: &mut Vec<String>) -> Result<(), Problem> {
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut entries = fs::read_dir(folder).map_err(told)?.collect::<Result<Vec<_>, _>>().map_err(told)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if entry.file_type().map_err(told)?.is_dir() {
                if self.recursive {
                    self.walk(&path, files)?;
                }
            } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e))
                && !path.is_dir()
            {
                files.push(path.to_string_lossy().into_owned());
            }
        }
        Ok(())
    }
}

/// How messages call a file.
pub(super) fn called(name: &str) -> &str {
    if name == "-" { "stdin" } else { name }
}

/// Reads one file. What stands in it is a secret.
pub(super) fn read(name: &str) -> Result<SecretSlice<u8>, Problem> {
    let mut bytes = Vec::new();
    if name == "-" {
        std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("stdin: {error}"))?;
    } else {
        bytes = fs::read(name).map_err(|error| format!("{name}: it cannot be read: {error}"))?;
    }
    Ok(SecretSlice::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_files_and_those_of_its_subfolders_only_if_asked() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        fs::create_dir_all(at("b.yaml/deep")).unwrap();
        fs::create_dir(at("empty")).unwrap();
        for name in ["c.yml", "a.json", "notes.txt", "b.yaml/z.yaml", "b.yaml/deep/y.yaml"] {
            fs::write(at(name), "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("loop.yaml")).unwrap();
        let expand = |recursive: bool, name: &str| Files { filename: Vec::new(), recursive }.expand(&at(name));
        assert_eq!(expand(false, "").unwrap(), [at("a.json"), at("c.yml")]);
        assert_eq!(
            expand(true, "").unwrap(),
            [at("a.json"), at("b.yaml/deep/y.yaml"), at("b.yaml/z.yaml"), at("c.yml")]
        );
        let error = expand(false, "empty").unwrap_err().to_string();
        assert!(
            error.ends_with(
                "this folder has no .yaml, .yml or .json file: name another, or read its subfolders too with -R"
            ),
            "{error}"
        );
    }
}
