//! Debian packages a task needs: installed as root and said first, otherwise named as missing.

use crate::places::program;
use crate::process::{Show, run};
use std::process::Command;
use std::time::Duration;

/// A program and the package that brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// How long apt may take, each call.
const APT_LIMIT: Duration = Duration::from_mins(10);

/// Makes sure that every program is there, installing packages when that is possible.
///
/// # Errors
///
/// What is missing and the command that would bring it.
pub(crate) fn need(needs: &[Need]) -> Result<(), String> {
    need_as(is_root(), needs)
}

fn need_as(root: bool, needs: &[Need]) -> Result<(), String> {
    let missing: Vec<Need> =
        needs.iter().copied().filter(|need| program(need.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    install_as(root, &packages)?;
    match missing.iter().find(|need| program(need.program).is_none()) {
        Some(need) => Err(format!("{} did not bring `{}`", need.package, need.program)),
        None => Ok(()),
    }
}

/// Installs packages, as root only.
///
/// # Errors
///
/// What is missing and the command that would bring it, or what apt said.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    install_as(is_root(), packages)
}

fn install_as(root: bool, packages: &[&str]) -> Result<(), String> {
    let list = packages.join(" ");
    let by_hand = format!("missing Debian packages: {list} (apt-get install {list})");
    if !root || program("apt-get").is_none() {
        return Err(by_hand);
    }
    println!("   installing Debian packages: {list}");
    if apt(&["install", "-y", "--no-install-recommends"], packages) {
        return Ok(());
    }
    // A fresh machine has no lists, and old lists name files that are gone.
    println!("   updating Debian's package lists first");
    if apt(&["update"], &[]) && apt(&["install", "-y", "--no-install-recommends"], packages) {
        return Ok(());
    }
    Err(format!("apt-get could not install {list}"))
}

fn apt(action: &[&str], packages: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command.args(["-q"]).args(action).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command, Show::OnFailure, APT_LIMIT).ok
}

fn is_root() -> bool {
    let id = run(Command::new("id").arg("-u"), Show::Never, Duration::from_secs(10));
    id.lines.first().is_some_and(|line| line == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_root_a_missing_program_is_named_with_the_command_that_brings_it() {
        let there = Need { program: "sh", package: "dash" };
        let missing =
            Need { program: "mainstay-no-such-program", package: "mainstay-no-such-package" };
        assert_eq!(need_as(false, &[there]), Ok(()));
        assert_eq!(
            need_as(false, &[there, missing]),
            Err("missing Debian packages: mainstay-no-such-package (apt-get install \
                 mainstay-no-such-package)"
                .to_owned())
        );
    }
}
