//! `cargo xtask test`: everything that must hold, in the order in which a failure is cheapest.

use crate::places::{known, option, program, root};
use crate::process::{Ran, Show, run as run_command};
use crate::servers::Servers;
use crate::tally::{Report, Tally};
use crate::{cost, examples, sdk, suites};
use std::process::Command;
use std::time::Duration;

/// How long one cargo step may take; a first build on two slow cores is the longest.
const CARGO_LIMIT: Duration = Duration::from_mins(40);

/// What a run was asked to do.
#[derive(Debug)]
struct Wish<'a> {
    full: bool,
    allow_skips: bool,
    only: Option<&'a str>,
    servers: Servers,
}

/// Runs every step; the last line printed is `N passed, N failed`.
///
/// # Errors
///
/// When something failed, or was skipped without `--allow-skips`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--full", "--allow-skips"], &["--only"])?;
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let mut wish = Wish {
        full: has("--full"),
        allow_skips: has("--allow-skips"),
        only: option(arguments, "--only"),
        servers: Servers::default(),
    };
    let mut report = Report::default();
    if wish.wants("tests") {
        wish.servers = Servers::start();
        wish.servers.missing.iter().for_each(|(name, why)| report.skip(name, why));
    }
    cargo_steps(&mut report, &wish);
    if wish.wants("release build") && !report.step("release build", build_release) {
        println!("   the suites need the binary; they are not started");
        return report.finish(wish.allow_skips);
    }
    suite_steps(&mut report, &wish);
    cost_step(&mut report, &wish);
    report.finish(wish.allow_skips)
}

impl Wish<'_> {
    fn wants(&self, step: &str) -> bool {
        self.only.is_none_or(|only| step.contains(only))
    }
}

/// That generated pages are current is a test like others: see `checks`, `core` and `gateway`.
fn cargo_steps(report: &mut Report, wish: &Wish<'_>) {
    type Work = fn(&Wish<'_>) -> Result<Tally, String>;
    let steps: [(&str, Work); 7] = [
        ("format", |_| cargo("fmt --all --check", &[])),
        ("lints", |_| {
            let line = "clippy --locked --workspace --all-targets --keep-going -- -D warnings";
            cargo(line, &[])?;
            // Without PostgreSQL and Redis it is another build of the gateway.
            let small = "clippy --locked -p mainstay-gateway --lib --no-default-features";
            cargo(&format!("{small} -- -D warnings"), &[])
        }),
        ("tests", tests),
        ("doc tests", |_| cargo_live("test --locked --workspace --doc", &[])),
        ("documentation", |_| {
            // The binary has the library's name; its page would overwrite the library's.
            let line = "doc --locked --workspace --no-deps --lib --keep-going";
            cargo(line, &[("RUSTDOCFLAGS", "-D warnings")])
        }),
        ("core without std", |_| core_without_std()),
        ("examples", |_| examples::all().map(|()| Tally::default())),
    ];
    for (name, work) in steps {
        if wish.wants(name) {
            report.step(name, || work(wish));
        }
    }
    oldest_rust(report, wish);
}

/// The library compiles with the Rust that its manifest states. Where that Rust cannot be had, the
/// step is left out with a word: clippy has held the code against the manifest already
/// (`incompatible_msrv`).
fn oldest_rust(report: &mut Report, wish: &Wish<'_>) {
    const NAME: &str = "oldest Rust";
    if !wish.wants(NAME) {
        return;
    }
    let version = match stated_rust() {
        Ok(version) => version,
        Err(why) => {
            report.step(NAME, || Err(why));
            return;
        }
    };
    let install = format!("toolchain install {version} --profile minimal --no-self-update");
    if let Err(why) = rustup(&install) {
        println!("== {NAME}: left out, Rust {version} is not to be had here: {why}");
        return;
    }
    report.step(NAME, || {
        let check = "check --locked -p mainstay --lib --target-dir target/oldest";
        rustup(&format!("run {version} cargo {check}")).map(|()| Tally::default())
    });
}

/// The oldest Rust that the library promises.
fn stated_rust() -> Result<String, String> {
    let manifest = std::fs::read_to_string(root().join("crates/mainstay/Cargo.toml"));
    let manifest = manifest.map_err(|error| error.to_string())?;
    let stated = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    Ok(stated.ok_or("the manifest states no Rust")?.trim_matches('"').to_owned())
}

fn rustup(line: &str) -> Result<(), String> {
    if program("rustup").is_none() {
        return Err("rustup is missing, which brings an older Rust".to_owned());
    }
    let mut command = Command::new("rustup");
    command.args(line.split(' ')).current_dir(root());
    check(&run_command(&mut command, Show::OnFailure, CARGO_LIMIT))
}

fn suite_steps(report: &mut Report, wish: &Wish<'_>) {
    for suite in suites::ALL {
        if !wish.wants(suite.name) {
            continue;
        }
        match sdk::ready(suite.tool) {
            Ok(tool) => {
                report.step(suite.name, || suites::play(suite, &tool, wish.full));
            }
            Err(why) => report.skip(suite.name, &why),
        }
    }
}

fn cost_step(report: &mut Report, wish: &Wish<'_>) {
    const NAME: &str = "instructions per request";
    if !wish.wants(NAME) {
        return;
    }
    match cost::ready() {
        Ok(()) if !cost::is_on_record() => {
            report.skip(NAME, "nothing is on record: `cargo xtask cost --record`");
        }
        Ok(()) => {
            report.step(NAME, cost::step);
        }
        Err(why) => report.skip(NAME, &why),
    }
}

fn tests(wish: &Wish<'_>) -> Result<Tally, String> {
    let full = if wish.full { "1" } else { "" };
    let servers = wish.servers.variables();
    let mut variables = vec![("MAINSTAY_TEST_FULL", full)];
    variables.extend(servers.iter().map(|(name, value)| (*name, value.as_str())));
    // The faults of streams at their own pace: silences of minutes in place of seconds.
    let features = if wish.full { " --features mainstay-checks/full" } else { "" };
    if program("cargo-nextest").is_some() {
        let line = "nextest run --locked --workspace --no-fail-fast --color never";
        return cargo_live(&format!("{line}{features}"), &variables);
    }
    let line = "test --locked --workspace --lib --bins --tests --no-fail-fast";
    cargo_live(&format!("{line}{features}"), &variables)
}

/// `core` compiles as `no_std`, and nothing it uses has its `std` feature on.
fn core_without_std() -> Result<Tally, String> {
    cargo("check --locked -p mainstay-core --lib", &[])?;
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--locked", "-p", "mainstay-core", "-e", "normal,features"]);
    tree.args(["--prefix", "none"]).current_dir(root());
    let ran = run_command(&mut tree, Show::OnFailure, CARGO_LIMIT);
    check(&ran)?;
    let ours = ["bytes", "memchr", "serde", "serde_core", "serde_json"];
    let with_std = ran.lines.iter().find(|line| {
        let mut words = line.split_whitespace();
        let package = words.next().unwrap_or_default();
        ours.contains(&package) && words.collect::<Vec<_>>().join(" ").contains("feature \"std\"")
    });
    match with_std {
        Some(line) => Err(format!("core is not free of std: {line}")),
        None => Ok(Tally::default()),
    }
}

/// Builds what the suites test and users run.
///
/// # Errors
///
/// What cargo said.
pub(crate) fn build_release() -> Result<Tally, String> {
    cargo("build --locked --release -p mainstay-cli", &[])
}

fn cargo(line: &str, variables: &[(&str, &str)]) -> Result<Tally, String> {
    check(&run_cargo(line, variables, Show::OnFailure)).map(|()| Tally::default())
}

/// A cargo command whose output is results of tests.
fn cargo_live(line: &str, variables: &[(&str, &str)]) -> Result<Tally, String> {
    let ran = run_cargo(line, variables, Show::Live);
    let tally = Tally::read(&ran.lines);
    if tally.failed == 0 {
        check(&ran)?;
    }
    Ok(tally)
}

fn run_cargo(line: &str, variables: &[(&str, &str)], show: Show) -> Ran {
    let mut command = Command::new("cargo");
    command.args(line.split(' ')).current_dir(root()).env("CARGO_TERM_COLOR", "never");
    command.envs(variables.iter().copied().filter(|(_, value)| !value.is_empty()));
    run_command(&mut command, show, CARGO_LIMIT)
}

fn check(ran: &Ran) -> Result<(), String> {
    if ran.ok { Ok(()) } else { Err(ran.end.clone()) }
}
