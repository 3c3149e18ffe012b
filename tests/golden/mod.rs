//! Stories: folders of files, with what comes out beside what is given. `UPDATE=1` writes what comes out.

use std::fs;
use std::path::Path;

/// The files of a story that are not what comes out of it, in words; none of a file is none.
pub(crate) fn differing(story: &Path, files: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, text) in files {
        let path = story.join(file);
        if std::env::var_os("UPDATE").is_some() {
            match &text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => drop(fs::remove_file(&path)),
            }
        }
        if fs::read_to_string(&path).ok() != text {
            let comes = text.unwrap_or_else(|| "(nothing)".into());
            wrong.push(format!("{} is not what comes out:\n{comes}", path.display()));
        }
    }
    wrong
}
