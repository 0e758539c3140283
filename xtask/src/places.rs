//! Where things are: the workspace, its build products, and what tasks put there.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a directory of the workspace").to_path_buf()
}

/// Cargo's build directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A directory of ours below the build directory, made when it is missing.
///
/// # Errors
///
/// The text of the system's error.
pub(crate) fn work(name: &str) -> Result<PathBuf, String> {
    let path = target().join("xtask").join(name);
    std::fs::create_dir_all(&path).map_err(|e| format!("create {}: {e}", path.display()))?;
    Ok(path)
}

/// An empty directory of ours below the build directory.
///
/// # Errors
///
/// The text of the system's error.
pub(crate) fn fresh(name: &str) -> Result<PathBuf, String> {
    let path = target().join("xtask").join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path).map_err(|e| format!("remove {}: {e}", path.display()))?;
    }
    work(name)
}

/// The release build of the one binary; `MAINSTAY_BIN` names another one to try suites on.
pub(crate) fn binary() -> PathBuf {
    let named = std::env::var_os("MAINSTAY_BIN").map(PathBuf::from);
    named.unwrap_or_else(|| target().join("release").join("mainstay"))
}

/// A program by its name in `PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps servers in /usr/sbin, which is not in everybody's PATH.
    let more = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")];
    std::env::split_paths(&path).chain(more).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The value after an option: `--rounds 3`.
pub(crate) fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

/// Refuses what a task does not know, so that a typo does not run something else.
///
/// # Errors
///
/// The first argument that is neither a known flag nor the value of a known option.
pub(crate) fn known(arguments: &[String], flags: &[&str], options: &[&str]) -> Result<(), String> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if options.contains(&argument.as_str()) {
            rest.next().ok_or_else(|| format!("{argument} wants a value"))?;
        } else if !flags.contains(&argument.as_str()) {
            return Err(format!("there is no option `{argument}`"));
        }
    }
    Ok(())
}
