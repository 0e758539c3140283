//! This machine: configuration, store, disk.

use crate::world::{answers, look, look_in, models, permitted, provider};

#[test]
fn a_configuration_that_cannot_be_used_is_told_with_its_lines() {
    let said = look("[server]\nlisen = 1\n", &[]);
    said.check("config", "failed", "mainstay.toml:2");
    assert_eq!((said.code, said.findings.len()), (1, 1));
}

#[test]
fn a_provider_that_is_not_there_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(["doctor", "--provider", "nobody"]).env_clear().current_dir(folder.path());
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}

#[test]
fn without_a_key_the_simulator_is_named() {
    let said = look("", &[]);
    said.check("provider", "warning", "simulator");
    said.check("database", "ok", "is made at the first start");
    assert_eq!(said.code, 0);
}

#[test]
fn a_store_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mainstay.db"), "words, and no database".repeat(99)).unwrap();
    let said = look_in(folder.path(), "", &[], &[], &[]);
    said.check("database", "failed", "mainstay.db");
    assert_eq!(said.code, 3);
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let said = look("[store]\nurl = \"sqlite:no/such/folder/a.db\"\n", &[]);
    said.check("disk", "failed", "no/such/folder");
    assert_eq!(said.code, 3);
}

/// Looks with the store on a disk of its own, made by these words of a shell.
fn on_a_disk(made: &str) -> Option<crate::world::Said> {
    let script =
        |work: &str| format!("mount -t tmpfs -o size=64k none disk && {made} && exec {work}");
    let folder = tempfile::tempdir().expect("the test's own ground");
    std::fs::create_dir(folder.path().join("disk")).expect("the test's own ground");
    let at = folder.path().display();
    let trial = format!("cd {at} && {}", script("true"));
    if !permitted(&["unshare", "-m", "sh", "-c", &trial]) {
        return None;
    }
    let config = provider(&format!("http://{}/v1", answers(models(""))), "")
        + "[store]\nurl = \"sqlite:disk/mainstay.db\"\n";
    let work = script("\"$@\"");
    let behind = ["unshare", "-m", "sh", "-c", &work, "sh"];
    Some(look_in(folder.path(), &config, &[], &behind, &[]))
}

#[test]
fn a_full_disk_is_told() {
    let Some(said) = on_a_disk("(head -c 1M /dev/zero > disk/full 2>/dev/null || true)") else {
        return;
    };
    said.check("disk", "failed", "nothing can be written");
    let disk = said.findings.iter().find(|one| one["check"] == "disk").unwrap();
    assert_eq!(disk["cause"], "The disk is full.");
    said.check("auth", "ok", "accepted");
    assert_eq!(said.code, 3);
}

#[test]
fn a_read_only_disk_is_told() {
    let Some(said) = on_a_disk("mount -o remount,ro disk") else { return };
    said.check("disk", "failed", "nothing can be written");
    let disk = said.findings.iter().find(|one| one["check"] == "disk").unwrap();
    assert!(disk["cause"].as_str().unwrap().contains("read-only"), "{disk}");
    assert_eq!(said.code, 3);
}

#[test]
fn a_small_disk_is_a_warning() {
    // 64 KiB are needed for the trial itself.
    let Some(said) = on_a_disk("mount -o remount,size=8m disk") else { return };
    said.check("disk", "warning", "MiB are free");
    assert_eq!(said.code, 0, "{said:#?}");
}
