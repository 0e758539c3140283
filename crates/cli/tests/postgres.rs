//! Commands on a store in PostgreSQL, and the way there from SQLite.

use std::path::Path;
use std::process::Command;

use mainstay_store::testing::postgres::{fresh_url, sql};

struct Done {
    code: i32,
    out: String,
    err: String,
}

/// A folder with a configuration that names a fresh schema by a variable.
struct World {
    folder: tempfile::TempDir,
    url: String,
}

impl World {
    fn new() -> Option<World> {
        let url = fresh_url()?;
        let folder = tempfile::tempdir().expect("the test's own ground");
        let text = "[store]\nurl = \"${WHERE}\"\n";
        std::fs::write(folder.path().join("mainstay.toml"), text).expect("the test's own ground");
        Some(World { folder, url })
    }

    fn run(&self, args: &[&str]) -> Done {
        with(args, &[("WHERE", &self.url)], self.folder.path())
    }

    #[track_caller]
    fn works(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.out, done.err);
        assert!(!done.out.contains("secret") && !done.err.contains("secret"), "{args:?}");
        done.out
    }
}

/// Runs a command with nothing of ours in its environment.
fn with(args: &[&str], variables: &[(&str, &str)], folder: &Path) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(args).env_clear().envs(variables.iter().copied()).current_dir(folder);
    let done = command.output().expect("the test's own ground");
    let text = |bytes| String::from_utf8(bytes).expect("the test's own ground");
    Done {
        code: done.status.code().expect("the test's own ground"),
        out: text(done.stdout),
        err: text(done.stderr),
    }
}

#[test]
fn commands_work_on_postgresql_as_they_do_on_a_file() {
    let Some(world) = World::new() else { return };
    let absent = world.run(&["store", "verify"]);
    assert_eq!(absent.code, 1, "{}{}", absent.out, absent.err);
    assert!(absent.out.contains("mainstay store migrate"), "{}", absent.out);
    let made = world.works(&["store", "migrate"]);
    assert!(made.starts_with("made the tables, version "), "{made}");
    let again = world.works(&["store", "migrate", "--json"]);
    assert!(!again.contains("\"before\":0"), "{again}");
    assert!(world.works(&["store", "verify"]).contains(" is sound: tables "));

    world.works(&["org", "create", "acme"]);
    world.works(&["project", "create", "web", "--org", "acme"]);
    world.works(&["user", "create", "ann"]);
    world.works(&["org", "member", "add", "acme", "ann"]);
    let key = world.works(&["key", "create", "--name", "k", "--project", "web", "--json"]);
    let at = key.find("key_").expect("an id");
    let id = &key[at..at + 16];
    world.works(&["limit", "set", "--key", id, "--rpm", "5"]);
    assert!(world.works(&["limit", "list"]).contains('5'));
    world.works(&["key", "rotate", id]);
    world.works(&["key", "revoke", id]);
    assert!(world.works(&["key", "list"]).contains("revoked"));
    let audit = world.works(&["audit"]);
    assert!(audit.contains("key.rotate") && audit.contains("org.member.add"), "{audit}");
    let doctor = world.run(&["doctor", "--json"]);
    assert!(
        doctor.out.contains("PostgreSQL") && doctor.out.contains("127.0.0.1"),
        "{}",
        doctor.out
    );
}

#[test]
fn gateways_are_listed_with_what_they_have_leased_and_given_up() {
    let Some(world) = World::new() else { return };
    world.works(&["store", "migrate"]);
    assert_eq!(world.works(&["ledger", "gateways"]), "");
    let folder = world.folder.path().join("journal");
    let settings = mainstay_store::LedgerSettings::default();
    drop(mainstay_store::LeasedLedger::open(&world.url, &folder, settings).expect("a gateway"));
    let line = world.works(&["ledger", "gateways", "--json"]);
    let seen: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&seen["leased_usd"], &seen["budgets"]), (&"0.00".into(), &0.into()), "{line}");
    let gateway = seen["gateway"].as_str().expect("a name");
    assert!(world.works(&["ledger", "gateways"]).starts_with(gateway));
    let alive = world.run(&["ledger", "give-up", gateway]);
    assert_eq!(alive.code, 1, "{}", alive.err);
    assert!(alive.err.contains("is not gone") && alive.err.contains("60 s"), "{}", alive.err);
    let unknown = world.run(&["ledger", "give-up", "nobody"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("mainstay ledger gateways"), "{}", unknown.err);
    sql(&world.url, "UPDATE ledger_node SET seen = seen - interval '1 hour'");
    assert!(world.works(&["ledger", "give-up", gateway]).contains("gave "));
}

#[test]
fn the_variable_that_others_use_names_the_store_too() {
    let Some(world) = World::new() else { return };
    let elsewhere = tempfile::tempdir().expect("the test's own ground");
    let variables = [("DATABASE_URL", world.url.as_str())];
    let made = with(&["org", "create", "acme"], &variables, elsewhere.path());
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(world.works(&["org", "list"]).contains("acme"));
    assert!(!elsewhere.path().join("mainstay.db").exists());
    let foreign = [("DATABASE_URL", "mysql://u:p@h/d")];
    let left = with(&["org", "list"], &foreign, elsewhere.path());
    assert_eq!(left.code, 0, "{}", left.err);
    assert!(elsewhere.path().join("mainstay.db").exists(), "what we do not speak is left alone");
}

#[test]
fn a_file_is_copied_into_an_empty_database_once() {
    let Some(world) = World::new() else { return };
    let folder = tempfile::tempdir().expect("the test's own ground");
    let file = |args: &[&str]| {
        let done = with(args, &[], folder.path());
        assert_eq!(done.code, 0, "{args:?}: {}", done.err);
        done.out
    };
    file(&["org", "create", "acme"]);
    file(&["key", "create", "--name", "first one"]);
    let from = format!("sqlite:{}", folder.path().join("mainstay.db").display());
    let copied = world.works(&["store", "copy", "--from", &from]);
    assert!(copied.contains("organization     2"), "{copied}");
    assert_eq!(world.works(&["key", "list"]), file(&["key", "list"]));
    let again = world.run(&["store", "copy", "--from", &from]);
    assert_eq!(again.code, 1, "{}", again.err);
    assert!(again.err.contains("has been used already"), "{}", again.err);
}
