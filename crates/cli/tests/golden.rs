//! What people read: the help of every command, and a success and a failure of each, held against
//! files in `tests/golden/`. With `MAINSTAY_WRITE_GOLDEN` set the files are written anew.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A command's name among the golden files, its arguments, and its standard input.
type Case = (&'static str, &'static [&'static str], &'static str);

/// Told by exit code 0, in one folder, one after the other.
const SUCCESSES: &[Case] = &[
    ("sim", &["sim", "--list"], ""),
    (
        "run",
        &["run", "-", "-o", "out.jsonl", "--dry-run", "--rpm", "10"],
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"max_tokens\":9}\n",
    ),
    ("doctor", &["doctor"], ""),
    ("explain", &["explain", "insufficient_quota"], ""),
    ("explain-status", &["explain", "401", "--json"], ""),
    (
        "classify",
        &["classify"],
        "{\"id\":1,\"status\":429,\"headers\":{\"retry-after\":\"3\"},\"body\":\"{\\\"error\\\":{\\\"message\\\":\\\"Rate limit reached for requests\\\",\\\"type\\\":\\\"requests\\\",\\\"code\\\":\\\"rate_limit_exceeded\\\"}}\"}\n\n{\"id\":2,\"status\":200,\"body\":\"{}\"}\n",
    ),
    (
        "check",
        &["check", "-"],
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}",
    ),
    ("check-folder", &["check", "requests/more", "one.json"], ""),
    (
        "tokens",
        &["tokens", "-"],
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"max_tokens\":9}",
    ),
    (
        "tokens-lines",
        &["tokens", "-"],
        "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}}\n{\"model\":\"mine\",\"input\":\"Hello\"}\n{\"model\":\"gpt-4\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"max_tokens\":9000}\n",
    ),
    ("tokens-text", &["tokens", "--model", "gpt-4o", "--json", "-"], "Hello, world"),
    ("tokens-text-unknown", &["tokens", "--model", "mine", "essay.txt"], ""),
    ("tokens-many", &["tokens", "--model", "gpt-4o", "one.json", "essay.txt", "requests"], ""),
    ("tokens-many-json", &["tokens", "--json", "requests/more"], ""),
    ("config-init", &["config", "init", "--provider", "ollama"], ""),
    ("config-check", &["config", "check"], ""),
    ("config-show", &["config", "show"], ""),
    ("org-create", &["org", "create", "acme"], ""),
    ("org-list", &["org", "list"], ""),
    ("project-create", &["project", "create", "web", "--org", "acme", "--json"], ""),
    ("project-list", &["project", "list"], ""),
    ("user-create", &["user", "create", "ann"], ""),
    ("user-list", &["user", "list", "--json"], ""),
    ("org-member-add", &["org", "member", "add", "acme", "ann", "--role", "reader"], ""),
    ("org-member-list", &["org", "member", "list", "acme", "--json"], ""),
    ("project-member-add", &["project", "member", "add", "web", "ann"], ""),
    ("project-member-list", &["project", "member", "list", "web"], ""),
    (
        "key-create",
        &[
            "key",
            "create",
            "--name",
            "web",
            "--project",
            "web",
            "--scopes",
            "chat,read_only",
            "--models",
            "gpt-4o,o*",
            "--expires",
            "30d",
        ],
        "",
    ),
    ("key-create-json", &["key", "create", "--name", "ci", "--json"], ""),
    ("key-list", &["key", "list"], ""),
    ("key-show", &["key", "show", "KEY"], ""),
    (
        "limit-set",
        &["limit", "set", "--org", "acme", "--rpm", "60", "--tpm", "90000", "--burst", "10s"],
        "",
    ),
    (
        "limit-set-json",
        &["limit", "set", "--key", "KEY", "--model", "gpt-4*", "--rpd", "9", "--shadow", "--json"],
        "",
    ),
    ("limit-list", &["limit", "list"], ""),
    ("limit-remove", &["limit", "remove", "--org", "acme"], ""),
    (
        "budget-set",
        &["budget", "set", "--org", "acme", "--amount", "500.00", "--period", "total"],
        "",
    ),
    (
        "budget-set-soft",
        &["budget", "set", "--key", "KEY", "--amount", "0.0125", "--period", "total", "--soft"],
        "",
    ),
    ("budget-raise", &["budget", "raise", "--org", "acme", "--amount", "1.5"], ""),
    ("budget-show", &["budget", "show", "--org", "acme"], ""),
    ("budget-show-all", &["budget", "show"], ""),
    ("budget-list", &["budget", "list"], ""),
    ("budget-alerts", &["budget", "alerts"], ""),
    ("budget-remove", &["budget", "remove", "--org", "acme"], ""),
    ("usage", &["usage", "--csv"], ""),
    ("ledger-verify", &["ledger", "verify"], ""),
    ("ledger-verify-json", &["ledger", "verify", "--json"], ""),
    ("ledger-export", &["ledger", "export"], ""),
    ("key-rotate", &["key", "rotate", "KEY", "--grace", "1h"], ""),
    ("key-revoke", &["key", "revoke", "KEY"], ""),
    (
        "key-create-user",
        &["key", "create", "--name", "anns", "--user", "ann", "--project", "web"],
        "",
    ),
    ("org-member-remove", &["org", "member", "remove", "acme", "ann"], ""),
    ("store-migrate", &["store", "migrate"], ""),
    ("store-migrate-new", &["store", "migrate", "--url", "sqlite:new.db", "--json"], ""),
    ("store-verify", &["store", "verify"], ""),
];

/// Told by the exit code given, in a folder with `bad.toml`.
const FAILURES: &[(i32, Case)] = &[
    (2, ("serve", &["serve", "--listen", "nonsense"], "")),
    (2, ("serve-admin", &["serve", "--admin-listen", "0.0.0.0:0"], "")),
    (3, ("serve-config", &["serve", "--config", "bad.toml"], "")),
    (2, ("run", &["run", "requests.jsonl"], "")),
    (
        1,
        (
            "run-input",
            &["run", "-", "-o", "out.jsonl", "--base-url", "http://127.0.0.1:9/v1"],
            "{}\n[]\n",
        ),
    ),
    (2, ("budget-set", &["budget", "set", "--org", "default", "--amount", "5,00"], "")),
    (
        2,
        (
            "budget-zone",
            &["budget", "set", "--org", "default", "--amount", "5", "--zone", "Mars/Base"],
            "",
        ),
    ),
    (1, ("budget-raise", &["budget", "raise", "--org", "default", "--amount", "5"], "")),
    (1, ("budget-show", &["budget", "show", "--project", "default"], "")),
    (2, ("usage", &["usage", "--since", "yesterday"], "")),
    (3, ("ledger-verify", &["ledger", "verify", "--config", "bad.toml"], "")),
    (2, ("ledger-gateways", &["ledger", "gateways"], "")),
    (3, ("sim", &["sim", "--scenario", "no-such.toml"], "")),
    (1, ("doctor", &["doctor", "--config", "bad.toml"], "")),
    (2, ("doctor-provider", &["doctor", "--provider", "nobody"], "")),
    (1, ("explain", &["explain", "insuficient_quota"], "")),
    (2, ("report", &["report", "nonsense", "-o", "out.zip"], "")),
    (1, ("classify", &["classify"], "not json\n{\"id\":1,\"status\":500,\"body\":\"\"}\n")),
    (
        1,
        (
            "check",
            &["check", "--endpoint", "chat", "-"],
            "{\"model\":\"gpt-4o\",\"messages\":\"Hello\"}",
        ),
    ),
    (
        1,
        ("check-json", &["check", "--json", "--endpoint", "chat", "-"], "{\"model\":\"gpt-4o\"}\n"),
    ),
    (1, ("check-lines", &["check", "--level", "strict", "batch.jsonl"], "")),
    (1, ("check-lines-json", &["check", "--json", "--level", "strict", "batch.jsonl"], "")),
    (1, ("check-folder", &["check", "requests", "batch.jsonl"], "")),
    (1, ("check-folder-json", &["check", "--json", "requests", "batch.jsonl"], "")),
    (2, ("check-endpoint", &["check", "--endpoint", "chats", "one.json"], "")),
    (2, ("check-nothing", &["check"], "")),
    (3, ("check-absent", &["check", "no-such.json"], "")),
    (1, ("tokens", &["tokens", "-"], "{\"model\":\n")),
    (1, ("config-check", &["config", "check", "bad.toml"], "")),
    (3, ("config-check-absent", &["config", "check", "no-such.toml"], "")),
    (2, ("config-init", &["config", "init", "--provider", "nobody"], "")),
    (3, ("config-show", &["config", "show", "bad.toml"], "")),
    (2, ("org-create", &["org", "create", " "], "")),
    (1, ("org-create-taken", &["org", "create", "default"], "")),
    (3, ("org-list", &["org", "list", "--config", "text-store.toml"], "")),
    (1, ("project-create", &["project", "create", "web", "--org", "nobody"], "")),
    (3, ("project-list", &["project", "list", "--config", "postgres.toml"], "")),
    (3, ("user-create", &["user", "create", "ann", "--json", "--config", "no-such.toml"], "")),
    (1, ("org-member-add", &["org", "member", "add", "default", "nobody"], "")),
    (1, ("project-member-remove", &["project", "member", "remove", "default", "nobody"], "")),
    (2, ("audit", &["audit", "--most", "0"], "")),
    (2, ("key-create", &["key", "create", "--name", "x", "--scopes", "everything"], "")),
    (
        2,
        (
            "key-create-expires",
            &["key", "create", "--name", "x", "--expires", "soon", "--json"],
            "",
        ),
    ),
    (3, ("key-list", &["key", "list", "--config", "bad.toml"], "")),
    (2, ("key-show", &["key", "show", "sk-ms-x"], "")),
    (1, ("key-rotate", &["key", "rotate", "key_0123456789ab"], "")),
    (1, ("key-revoke", &["key", "revoke", "key_0123456789ab"], "")),
    (2, ("limit-set", &["limit", "set", "--org", "default", "--rpm", "many"], "")),
    (2, ("limit-set-nothing", &["limit", "set", "--org", "default"], "")),
    (2, ("limit-set-nobody", &["limit", "set", "--rpm", "5"], "")),
    (2, ("limit-set-tier", &["limit", "set", "--org", "default", "--tier", "free"], "")),
    (2, ("limit-set-zero", &["limit", "set", "--org", "default", "--rpm", "0"], "")),
    (1, ("limit-set-unknown", &["limit", "set", "--project", "none", "--rpm", "5"], "")),
    (3, ("limit-list", &["limit", "list", "--config", "bad.toml"], "")),
    (1, ("limit-remove", &["limit", "remove", "--org", "default"], "")),
    (2, ("store-migrate", &["store", "migrate", "--url", "mysql://u:SECRET@h/d"], "")),
    (2, ("store-migrate-url", &["store", "migrate", "--url", "postgres://u:SECRET@h:x/d"], "")),
    (1, ("store-verify", &["store", "verify", "--url", "sqlite:no-such.db"], "")),
    (3, ("store-verify-away", &["store", "verify", "--config", "postgres.toml"], "")),
    (2, ("store-copy", &["store", "copy", "--from", "sqlite:a.db", "--to", "sqlite:b.db"], "")),
    (
        1,
        (
            "store-copy-absent",
            &["store", "copy", "--from", "sqlite:no-such.db", "--to", "postgres://h/d"],
            "",
        ),
    ),
    (2, ("completions", &["completions", "dos"], "")),
    (2, ("no-such-command", &["fly"], "")),
];

const HELPS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["run"],
    &["sim"],
    &["doctor"],
    &["explain"],
    &["report"],
    &["classify"],
    &["check"],
    &["tokens"],
    &["key"],
    &["budget"],
    &["budget", "set"],
    &["budget", "raise"],
    &["budget", "show"],
    &["budget", "list"],
    &["budget", "alerts"],
    &["budget", "remove"],
    &["usage"],
    &["ledger"],
    &["ledger", "verify"],
    &["ledger", "export"],
    &["ledger", "gateways"],
    &["ledger", "give-up"],
    &["key", "create"],
    &["key", "list"],
    &["key", "show"],
    &["key", "rotate"],
    &["key", "revoke"],
    &["org"],
    &["org", "create"],
    &["org", "list"],
    &["org", "member"],
    &["org", "member", "add"],
    &["org", "member", "remove"],
    &["org", "member", "list"],
    &["user"],
    &["user", "create"],
    &["user", "list"],
    &["project"],
    &["project", "create"],
    &["project", "list"],
    &["project", "member"],
    &["project", "member", "add"],
    &["project", "member", "remove"],
    &["project", "member", "list"],
    &["audit"],
    &["limit"],
    &["limit", "set"],
    &["limit", "list"],
    &["limit", "remove"],
    &["store"],
    &["store", "migrate"],
    &["store", "verify"],
    &["store", "copy"],
    &["config"],
    &["config", "check"],
    &["config", "init"],
    &["config", "show"],
    &["completions"],
];

#[test]
fn every_command_helps_with_an_example() {
    let world = World::new();
    for path in HELPS {
        let args: Vec<&str> = path.iter().copied().chain(["--help"]).collect();
        let done = world.run(&args, "");
        assert_eq!(done.code, 0, "{path:?}: {}", done.err);
        let leaf = !done.out.contains("\nCommands:\n");
        assert!(!leaf || done.out.contains("Example"), "{path:?} has no example");
        let name = if path.is_empty() { "mainstay".to_owned() } else { path.join("-") };
        golden(&format!("help-{name}"), &done.out);
    }
}

#[test]
fn no_command_is_left_out_of_the_helps() {
    let world = World::new();
    for path in HELPS {
        let args: Vec<&str> = path.iter().copied().chain(["--help"]).collect();
        let help = world.run(&args, "").out;
        let Some((_, list)) = help.split_once("\nCommands:\n") else { continue };
        for line in list.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap();
            let wanted: Vec<&str> = path.iter().copied().chain([name]).collect();
            assert!(HELPS.contains(&wanted.as_slice()), "{wanted:?} has no golden help");
        }
    }
}

#[test]
fn every_command_works_and_reads_well() {
    let world = World::new();
    world.requests();
    let mut key = String::new();
    for (name, args, input) in SUCCESSES {
        let args: Vec<&str> =
            args.iter().map(|arg| if *arg == "KEY" { &key } else { *arg }).collect();
        let done = world.run(&args, input);
        assert_eq!(done.code, 0, "{name}: {}{}", done.out, done.err);
        if let Some(at) = done.out.find("key_").filter(|_| key.is_empty()) {
            key = done.out[at..at + 16].to_owned();
        }
        golden(&format!("ok-{name}"), &done.told());
    }
}

#[test]
fn every_command_fails_with_a_cause_and_a_way_out() {
    let world = World::new();
    world.requests();
    world
        .write("bad.toml", "[server]\nlisen = \"127.0.0.1:1\"\n[policy.retry]\nattempts_max = 0\n");
    world.write("postgres.toml", "[store]\nurl = \"postgres://u:SECRET@127.0.0.1:1/d\"\n");
    world.write("text-store.toml", "[store]\nurl = \"sqlite:text.db\"\n");
    world.write("text.db", &"this is no database, but long enough to be taken for one".repeat(40));
    for (code, (name, args, input)) in FAILURES {
        let done = world.run(args, input);
        assert_eq!(done.code, *code, "{name}: {}{}", done.out, done.err);
        golden(&format!("failed-{name}"), &done.told());
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    let world = World::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let done = world.run(&["completions", shell], "");
        assert_eq!(done.code, 0);
        assert!(done.out.contains("mainstay") && done.out.contains("explain"), "{shell}");
    }
}

#[test]
fn a_tier_of_the_configuration_is_given_by_name_and_to_new_organizations() {
    let world = World::new();
    world.write(
        "mainstay.toml",
        "[limits]\ndefault_tier = \"free\"\n[[tier]]\nname = \"free\"\nrpm = 3\n\
         [[tier]]\nname = \"free\"\nmodel = \"gpt-4o\"\nrpd = 200\n[[tier]]\nname = \"paid\"\nrpm = 500\n",
    );
    let limits = |org: &str| {
        let listed = world.run(&["limit", "list", "--org", org, "--json"], "").out;
        let read = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
        listed.lines().map(|line| read(line)["rpm"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(world.run(&["org", "create", "plain"], "").code, 0);
    assert_eq!(limits("plain"), [Some(3), None]);
    assert_eq!(world.run(&["org", "create", "rich", "--tier", "paid"], "").code, 0);
    assert_eq!(limits("rich"), [Some(500)]);
    assert_eq!(world.run(&["limit", "set", "--org", "plain", "--tier", "paid"], "").code, 0);
    assert_eq!(limits("plain"), [Some(500)]);
    let unknown = world.run(&["org", "create", "odd", "--tier", "gold"], "");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("free, paid"), "{}", unknown.err);
    assert!(!world.run(&["org", "list"], "").out.contains("odd"), "it is not half made");
    assert_eq!(limits("default"), [], "what was there before keeps what it had");
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let world = World::new();
    world.write("mainstay.toml", "# mine\n");
    let done = world.run(&["config", "init"], "");
    assert_eq!(done.code, 3);
    assert!(done.err.contains("never overwritten"), "{}", done.err);
    assert_eq!(std::fs::read_to_string(world.0.path().join("mainstay.toml")).unwrap(), "# mine\n");
}

#[test]
fn a_key_is_shown_once_and_stored_as_a_hash_only() {
    let world = World::new();
    let made = world.run(&["key", "create", "--name", "k", "--json"], "").out;
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let key = made["key"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    let listed = world.run(&["key", "list", "--json"], "").out;
    assert!(listed.contains(id) && !listed.contains("sk-ms-"), "{listed}");
    let secret = &key.as_bytes()[19..51];
    for file in std::fs::read_dir(world.0.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
}

struct World(tempfile::TempDir);

struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Done {
    fn told(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }
}

impl World {
    fn new() -> World {
        World(tempfile::tempdir().expect("the test's own ground"))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).expect("the test's own ground");
    }

    /// Files to check and to count: `requests` is a folder, two in `batch.jsonl` are not sound.
    fn requests(&self) {
        let chat = |more: &str| {
            format!(
                r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"Hello"}}]{more}}}"#
            )
        };
        let line = |id: &str, body: &str| {
            format!(
                r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{body}}}"#
            )
        };
        self.write("one.json", &chat(",\n \"max_tokens\": 9"));
        self.write("essay.txt", "The boat left the harbour before dawn.\n");
        let (sound, hot) = (line("a", &chat("")), line("b", &chat(r#","temperature":3"#)));
        self.write("batch.jsonl", &format!("{sound}\n\n{hot}\n{{\"model\": \"gpt-4o\",}}\n"));
        std::fs::create_dir_all(self.0.path().join("requests/more"))
            .expect("the test's own ground");
        self.write("requests/a.json", &chat("").replace("\"Hello\"", "7"));
        self.write("requests/more/b.jsonl", &format!("{sound}\n{}\n", chat("")));
    }

    fn run(&self, args: &[&str], input: &str) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.args(args).env_clear().env("NO_COLOR", "1").current_dir(self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the test's own ground");
        // A command that does not read its input may have closed it.
        let _ = child.stdin.take().expect("the test's own ground").write_all(input.as_bytes());
        let done = child.wait_with_output().expect("the test's own ground");
        let text = |bytes| String::from_utf8(bytes).expect("the test's own ground");
        Done {
            code: done.status.code().expect("the test's own ground"),
            out: text(done.stdout),
            err: text(done.stderr),
        }
    }
}

#[track_caller]
fn golden(name: &str, told: &str) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    let told = steady(told);
    if std::env::var_os("MAINSTAY_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("the test's own ground"))
            .expect("the test's own ground");
        std::fs::write(&path, &told).expect("the test's own ground");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(told, wanted, "{} (MAINSTAY_WRITE_GOLDEN=1 writes it)", short(&path));
}

fn short(path: &Path) -> String {
    path.file_name().expect("the test's own ground").to_string_lossy().into_owned()
}

/// Replaces what differs from run to run: random ids and keys, and times.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let random = [("sk-ms-", 51), ("key_", 12), ("org-", 12), ("proj_", 12), ("user-", 12)];
        let found = random.iter().find(|(start, _)| rest.starts_with(start));
        let word = |from: usize, length: usize| {
            rest.get(from..from + length)
                .is_some_and(|id| id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'))
        };
        match found {
            Some((start, length))
                if word(start.len(), *length) && !rest.starts_with("key_0123456789ab") =>
            {
                steady.extend([start, "<", &length.to_string(), ">"]);
                rest = &rest[start.len() + length..];
            }
            _ if rest.split_once(" MiB are free").is_some_and(|(before, _)| {
                !before.is_empty() && before.bytes().all(|digit| digit.is_ascii_digit())
            }) =>
            {
                steady += "<number>";
                rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            }
            _ if rest.starts_with("20")
                && rest.get(19..20) == Some("Z")
                && rest.get(10..11) == Some("T") =>
            {
                steady += "<time>";
                rest = &rest[20..];
            }
            _ => {
                steady.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    steady
}
