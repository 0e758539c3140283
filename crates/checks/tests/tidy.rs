//! Sizes, headers, words and who may name whom.
//!
//! What a machine can check is checked here, so that review keeps its breath for meaning. Each
//! failure names the file, the line and the reason.

use mainstay_checks::files;
use mainstay_checks::source::Source;
use std::path::Path;

/// Lines of a Rust file, tests and comments included. Aim for 400.
const FILE_LINES_MAX: usize = 600;

/// Lines of a function, from `fn` to its closing brace. Aim for 30.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn files_fit_in_a_head() {
    let mut long = Faults::new("split it by meaning: a noun is missing");
    for (file, text) in rust() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            long.add(&file, 1, &format!("{lines} lines, at most {FILE_LINES_MAX}"));
        }
    }
    long.none();
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Faults::new("take a step out and give it a name");
    let mut seen = 0;
    for (file, text) in rust() {
        for function in Source::new(&text).functions() {
            seen += 1;
            if function.lines > FUNCTION_LINES_MAX {
                let (name, lines) = (&function.name, function.lines);
                long.add(&file, function.line, &format!("`{name}` has {lines} lines"));
            }
        }
    }
    assert!(seen > 50, "only {seen} functions found: the reader of this check is broken");
    long.none();
}

#[test]
fn every_file_says_first_what_it_promises() {
    let mut bare = Faults::new("open the file with `//!` and what it promises");
    for (file, text) in rust() {
        if file.ends_with("/tests.rs") {
            continue; // the promises are those of the file it stands beside, and its tests' names
        }
        // A shebang or an outer attribute may come first; code may not.
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
        if !first.is_some_and(|line| line.starts_with("//! ")) {
            bare.add(&file, 1, "no header");
        }
    }
    bare.none();
}

#[test]
fn nothing_is_left_open() {
    // Put together here, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let macros = [concat!("todo", "!"), concat!("unimplemented", "!")];
    // Both sides of a merge that nobody has decided.
    let sides = [concat!("<<<<", "<<< "), concat!(">>>>", ">>> ")];
    let mut open = Faults::new("finish it, or take it out and say so in the changelog");
    for file in ours() {
        let text = files::read(&file);
        for (n, line) in text.lines().enumerate() {
            let undecided = sides.iter().any(|side| line.starts_with(side));
            if undecided || marks.iter().any(|mark| line.contains(mark)) {
                open.add(&file, n + 1, line.trim());
            }
        }
        if Path::new(&file).extension().is_some_and(|kind| kind == "rs") {
            let source = Source::new(&text);
            for line in macros.iter().flat_map(|name| source.lines_with_anywhere(name)) {
                open.add(&file, line, "a macro that only fails");
            }
            for line in source.lines_with_anywhere("#[ignore") {
                open.add(&file, line, "a test that is not run");
            }
        }
    }
    open.none();
}

#[test]
fn core_has_no_way_to_act() {
    let mut faults = Faults::new("core decides only: take the value as an argument");
    for (file, text) in rust() {
        let core = file.starts_with("crates/core/src/") && !is_test(&file);
        if !core {
            continue;
        }
        let source = Source::new(&text);
        for needle in ["std::", "extern crate std"] {
            for line in source.lines_with(needle) {
                faults.add(&file, line, &format!("names `{needle}`"));
            }
        }
    }
    let root = files::read("crates/core/src/lib.rs");
    assert!(
        root.contains("#![cfg_attr(not(test), no_std)]") || root.contains("#![no_std]"),
        "crates/core/src/lib.rs must be no_std: the compiler keeps clocks and sockets out"
    );
    faults.none();
}

/// What a `static` can be changed through, and the tables that are computed once and never change.
const CHANGEABLE: [&str; 8] =
    ["Mutex", "RwLock", "Atomic", "Cell", "OnceLock", "LazyLock", "OnceCell", "Notify"];
const COMPUTED_ONCE: [(&str, &str); 2] =
    [("crates/tokens/src/exact.rs", "CL100K"), ("crates/tokens/src/exact.rs", "O200K")];

#[test]
fn the_library_keeps_no_state_outside_of_what_its_users_hold() {
    let mut faults = Faults::new("two clients in one process must not meet: keep it in the engine");
    let mut seen = 0;
    for (file, text) in rust() {
        let library = ["core", "tokens", "mainstay"]
            .iter()
            .any(|name| file.starts_with(&format!("crates/{name}/src/")));
        if !library || is_test(&file) {
            continue;
        }
        let source = Source::new(&text);
        for line in source.lines_with("thread_local!") {
            faults.add(&file, line, "a thread's own state");
        }
        for line in source.lines_with("static ") {
            let code = text.lines().nth(line - 1).unwrap_or_default();
            let Some((_, item)) = code.split_once("static ") else { continue };
            let known =
                COMPUTED_ONCE.iter().any(|(at, name)| *at == file && item.starts_with(name));
            seen += usize::from(known);
            if !known && CHANGEABLE.iter().any(|kind| item.contains(kind)) {
                faults.add(&file, line, code.trim());
            }
        }
    }
    assert_eq!(seen, COMPUTED_ONCE.len(), "the reader of this check, or its list, is not current");
    faults.none();
}

/// Rules about callers, which the gateway asks and stores write down.
const CALLERS_RULES: [&str; 3] = ["limits", "lease", "budget"];

#[test]
fn rules_and_plans_are_asked_only_by_the_walk() {
    let mut faults = Faults::new("there is one walk, in crates/mainstay; go through it");
    for (file, text) in rust() {
        let never: &[&str] =
            if file.starts_with("crates/gateway/") || file.starts_with("crates/cli/") {
                &["rules", "plan"]
            } else if file.starts_with("crates/store/") {
                &["rules", "plan", "classify"]
            } else {
                continue;
            };
        // What callers may use and spend is asked before a call; it is no part of its walk.
        let text = CALLERS_RULES.iter().fold(text, |text, rule| {
            text.replace(&format!("mainstay_core::rules::{rule}"), "mainstay_core::of_callers")
        });
        for (line, name) in Source::new(&text).below("mainstay_core") {
            if never.contains(&name.as_str()) {
                faults.add(&file, line, &format!("names `mainstay_core::{name}`"));
            }
        }
    }
    faults.none();
}

#[test]
fn the_simulated_provider_shares_no_code_with_what_it_tests() {
    let mut faults =
        Faults::new("an oracle that shares our reading of the wire shares our mistakes");
    for (file, text) in rust() {
        let Some(inside) = file.strip_prefix("crates/sim/src/") else { continue };
        let laboratory = inside.starts_with("lab") || inside.starts_with("judge");
        let source = Source::new(&text);
        for line in source.lines_with("mainstay_core").into_iter().filter(|_| !laboratory) {
            faults.add(&file, line, "names `mainstay_core`");
        }
    }
    faults.none();
}

#[test]
fn only_one_file_prints() {
    let mut faults = Faults::new("data for people goes through crates/cli/src/show.rs");
    for (file, text) in rust() {
        let may = file == "crates/cli/src/show.rs"
            || file.starts_with("xtask/")
            // Says which tests were left out, and is in no product.
            || file == "crates/store/src/testing.rs"
            || file.contains("/examples/")
            || file.starts_with("examples/")
            || file.contains("/benches/")
            || file.ends_with("build.rs")
            || is_test(&file);
        if may {
            continue;
        }
        let source = Source::new(&text);
        for name in ["println!", "print!", "eprintln!", "eprint!", "dbg!"] {
            for line in source.lines_with(name) {
                faults.add(&file, line, name);
            }
        }
    }
    faults.none();
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let mut faults = Faults::new("a path of one machine or a private host; make it relative");
    let root = files::root();
    let here = root.display().to_string();
    let above = root.parent().map(|p| format!("{}/", p.display())).unwrap_or_default();
    let homes = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut needles: Vec<&str> = homes.to_vec();
    needles.push(&here);
    if above.len() > 2 && !above.starts_with("/tmp/") {
        needles.push(&above);
    }
    for file in ours() {
        for (n, line) in files::read(&file).lines().enumerate() {
            if let Some(found) = needles.iter().find(|needle| line.contains(**needle)) {
                faults.add(&file, n + 1, &format!("names `{found}`"));
            }
        }
    }
    faults.none();
}

#[test]
fn the_workspace_forbids_unsafe_code() {
    let manifest: toml::Value = toml::from_str(&files::read("Cargo.toml")).expect("TOML");
    let level = manifest["workspace"]["lints"]["rust"]["unsafe_code"].as_str();
    assert_eq!(level, Some("forbid"));
}

/// Faults found by one check, told all at once.
struct Faults {
    fix: &'static str,
    found: Vec<String>,
}

impl Faults {
    fn new(fix: &'static str) -> Faults {
        Faults { fix, found: Vec::new() }
    }

    fn add(&mut self, file: &str, line: usize, what: &str) {
        self.found.push(format!("{file}:{line}: {what}"));
    }

    #[track_caller]
    fn none(self) {
        assert!(self.found.is_empty(), "{}\n  {}", self.fix, self.found.join("\n  "));
    }
}

/// Every Rust file with its text.
fn rust() -> Vec<(String, String)> {
    let found: Vec<_> =
        files::ending(".rs").into_iter().map(|f| (f.clone(), files::read(&f))).collect();
    assert!(found.len() > 10, "only {} Rust files found", found.len());
    found
}

/// Text we wrote: everything but the lock file, licences and data.
fn ours() -> Vec<String> {
    const WRITTEN: &[&str] = &[
        ".rs", ".md", ".toml", ".py", ".mjs", ".js", ".sh", ".yml", ".yaml", ".html", ".css",
        ".conf",
    ];
    let mut found = files::all();
    found.retain(|file| file == ".ci/run" || WRITTEN.iter().any(|ending| file.ends_with(ending)));
    found
}

/// Code that only tests run: `tests/…`, `x/tests.rs`, `tests_….rs`.
fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs")
}
