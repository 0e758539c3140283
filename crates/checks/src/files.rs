//! Which files belong to the workspace.
//!
//! Tracked by git where there is a git directory, otherwise everything that is not a build
//! product: the checks also hold in an unpacked archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories that are never ours, wherever they are.
const SKIPPED: &[&str] = &[".git", "target", "node_modules", "__pycache__", "corpus", "artifacts"];

/// The root of the workspace: the directory that holds `Cargo.lock`.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Every file of the workspace as a path relative to [`root`], sorted.
pub fn all() -> Vec<String> {
    let root = root();
    let mut files = tracked(&root).unwrap_or_else(|| walked(&root));
    files.retain(|file| root.join(file).is_file());
    files.sort();
    files.dedup();
    files
}

/// The files of the workspace whose names end with `suffix`.
pub fn ending(suffix: &str) -> Vec<String> {
    all().into_iter().filter(|file| file.ends_with(suffix)).collect()
}

/// The text of a file, by its path relative to [`root`].
///
/// # Panics
///
/// When the file cannot be read as UTF-8: a check that skips what it cannot read proves nothing.
pub fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("read {file}: {error}"))
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let text = String::from_utf8(listed.stdout).ok()?;
    let files: Vec<String> = text.split('\0').filter(|f| !f.is_empty()).map(String::from).collect();
    (listed.status.success() && !files.is_empty()).then_some(files)
}

fn walked(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    waiting.push(path);
                }
            } else if let Ok(relative) = path.strip_prefix(root) {
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_found_with_and_without_git() {
        let here = "crates/checks/src/files.rs".to_owned();
        assert!(all().contains(&here));
        assert!(walked(&root()).contains(&here));
        assert!(!walked(&root()).iter().any(|file| file.starts_with("target/")));
    }
}
