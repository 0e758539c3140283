//! Files that a command reads whole: some by name, those of a folder, standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::trouble::Trouble;

/// Largest input, in bytes: it is held whole.
const INPUT_MAX: u64 = 4 << 30;

/// What is to be read.
pub(super) struct Inputs {
    /// In the order of the command line; those of a folder by name.
    pub(super) files: Vec<PathBuf>,
    /// Whether it has to be said which one something was found in.
    pub(super) many: bool,
}

impl Inputs {
    /// The files named, and of folders what is in them.
    pub(super) fn of(named: &[PathBuf]) -> Result<Inputs, Trouble> {
        let (mut files, mut many) = (Vec::new(), named.len() > 1);
        for path in named {
            if path.is_dir() {
                many = true;
                files.extend(folder(path)?);
            } else {
                files.push(path.clone());
            }
        }
        Ok(Inputs { files, many })
    }
}

/// Deepest folder that is looked into.
const DEPTH_MAX: usize = 64;
/// Most files of one folder and those in it.
const FILES_MAX: usize = 100_000;

/// Every `.json` and `.jsonl` in a folder and the folders in it, by name. Links to folders are not
/// followed: they may lead in a circle.
fn folder(path: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let (mut files, mut left) = (Vec::new(), vec![(path.to_path_buf(), 0)]);
    while let Some((folder, depth)) = left.pop() {
        let failed = |error: std::io::Error| Trouble::file("read", &folder, &error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (kind, path) = (entry.file_type().map_err(failed)?, entry.path());
            let fits = path.extension().is_some_and(|end| end == "json" || end == "jsonl");
            if kind.is_dir() && depth < DEPTH_MAX {
                left.push((path, depth + 1));
            } else if fits && path.is_file() {
                files.push(path);
            }
        }
        if files.len() > FILES_MAX {
            let what = format!("`{}` has more than {FILES_MAX} files", path.display());
            let fix = "check its folders one by one";
            return Err(Trouble::new(Exit::Surroundings, what, "their names are held", fix));
        }
    }
    files.sort();
    if files.is_empty() {
        let what = format!("`{}` has no `.json` or `.jsonl`", path.display());
        return Err(Trouble::new(
            Exit::Failed,
            what,
            "there is no request in it",
            "name another folder",
        ));
    }
    Ok(files)
}

/// Reads a file, or standard input for `-`, whole.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    let failed = |error: &std::io::Error| Trouble::file("read", path, error);
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(INPUT_MAX + 1).read_to_end(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        file.take(INPUT_MAX + 1).read_to_end(&mut text)
    };
    read.map_err(|error| failed(&error))?;
    if text.len() as u64 > INPUT_MAX {
        let what = format!("`{}` has more than {INPUT_MAX} bytes", path.display());
        return Err(Trouble::new(Exit::Surroundings, what, "it is held whole", "split it"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_requests_and_those_below_by_name() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().join("b").join("c");
        std::fs::create_dir_all(&deep).unwrap();
        for (folder, name) in [
            (place.path(), "z.json"),
            (place.path(), "a.jsonl"),
            (&deep, "x.json"),
            (&deep, "x.txt"),
        ] {
            std::fs::write(folder.join(name), "{}").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(place.path(), deep.join("circle")).unwrap();
        let found = folder(place.path()).unwrap();
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(place.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a.jsonl"), Path::new("b/c/x.json"), Path::new("z.json")]);
        std::fs::create_dir(place.path().join("empty")).unwrap();
        assert!(folder(&place.path().join("empty")).is_err());
    }
}
