//! The arrows between crates, and what the leaves may depend on.
//!
//! Read from `cargo metadata`, so that the manifests themselves are judged. A new arrow or a new
//! dependency of a leaf is a decision: it goes here and into `docs/decisions/`.

use mainstay_checks::files;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Which crates of the workspace a crate may use, in code that ships.
const ARROWS: &[(&str, &[&str])] = &[
    ("mainstay-core", &[]),
    ("mainstay-tokens", &[]),
    ("mainstay", &["mainstay-core", "mainstay-tokens"]),
    ("mainstay-store", &["mainstay-core"]),
    ("mainstay-sim", &["mainstay-core"]),
    (
        "mainstay-gateway",
        &["mainstay", "mainstay-core", "mainstay-sim", "mainstay-store", "mainstay-tokens"],
    ),
    (
        "mainstay-cli",
        &[
            "mainstay",
            "mainstay-core",
            "mainstay-gateway",
            "mainstay-sim",
            "mainstay-store",
            "mainstay-tokens",
        ],
    ),
    ("mainstay-checks", &[]),
    ("xtask", &[]),
];

/// Further crates of the workspace that a crate's tests may use.
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("mainstay", &["mainstay-sim"]),
    // Itself, with the servers that its tests stand on.
    ("mainstay-store", &["mainstay-store"]),
    // Itself, with what several machines share.
    ("mainstay-gateway", &["mainstay-gateway"]),
    (
        "mainstay-checks",
        &[
            "mainstay",
            "mainstay-core",
            "mainstay-gateway",
            "mainstay-sim",
            "mainstay-store",
            "mainstay-tokens",
        ],
    ),
];

/// The whole list of what the leaves may take from outside. No runtime, no HTTP, no log.
const LEAF_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("mainstay-core", &["bytes", "memchr", "serde", "serde_json"]),
    ("mainstay-tokens", &["bpe-openai", "memchr", "serde_json"]),
    ("mainstay-checks", &[]),
    ("xtask", &[]),
];

/// What a crate must never take, with the reason.
const NEVER: &[(&str, &[&str], &str)] = &[
    ("mainstay-store", &["hyper", "http"], "a store speaks no HTTP"),
    (
        "mainstay-sim",
        &["rustls", "rusqlite"],
        "the simulator is a provider, without secrets or state",
    ),
    ("mainstay", &["rusqlite", "clap"], "a library user must not pay for SQL or a command line"),
];

/// What a crate may take only for a feature that can be left out, with the reason.
const ONLY_OPTIONAL: &[(&str, &[&str], &str)] = &[(
    "mainstay-store",
    &["redis", "rustls", "tempfile", "tokio", "tokio-postgres"],
    "the embedded store needs no network and no runtime",
)];

/// Packages that must not be in the lock file at all.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls, so that one binary runs everywhere"),
    ("native-tls", "TLS is rustls, so that one binary runs everywhere"),
    ("aws-lc-sys", "the provider of rustls is ring: no cmake, no second crypto library"),
    ("reqwest", "the transport is ours: its retries and pools would hide attempts from the plan"),
];

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let mut wrong = Vec::new();
    for package in packages() {
        let allowed = row(ARROWS, &package.name).unwrap_or_else(|| {
            panic!("{} has no line in ARROWS: say what it may use", package.name)
        });
        for used in package.uses.iter().filter(|used| used.ours) {
            let also = if used.kind == "dev" { row(TEST_ARROWS, &package.name) } else { None };
            let allowed = allowed.contains(&&*used.name)
                || also.is_some_and(|also| also.contains(&&*used.name));
            if !allowed {
                wrong.push(format!("{} must not use {} ({})", package.name, used.name, used.kind));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that ARCHITECTURE.md does not have:\n  {}",
        wrong.join("\n  ")
    );
}

#[test]
fn leaves_depend_on_nothing_that_acts() {
    let packages = packages();
    for (name, allowed) in LEAF_DEPENDENCIES {
        let package = packages.iter().find(|p| p.name == *name).expect("the leaf is a member");
        for used in package.uses.iter().filter(|used| used.kind != "dev" && !used.ours) {
            assert!(
                allowed.contains(&&*used.name),
                "{name} depends on {}, which is not on its list {allowed:?}: a rule that can act \
                 cannot be replayed",
                used.name
            );
        }
    }
}

#[test]
fn crates_stay_away_from_what_is_not_their_business() {
    let packages = packages();
    for (name, never, why) in NEVER {
        let package = packages.iter().find(|p| p.name == *name).expect("the crate is a member");
        for used in package.uses.iter().filter(|used| used.kind != "dev") {
            assert!(!never.contains(&&*used.name), "{name} must not use {}: {why}", used.name);
        }
    }
    for (name, only, why) in ONLY_OPTIONAL {
        let package = packages.iter().find(|p| p.name == *name).expect("the crate is a member");
        for used in package.uses.iter().filter(|used| used.kind != "dev" && !used.optional) {
            assert!(!only.contains(&&*used.name), "{name} always takes {}: {why}", used.name);
        }
    }
}

#[test]
fn every_package_comes_from_the_public_index_and_none_is_banned() {
    let lock: toml::Value = toml::from_str(&files::read("Cargo.lock")).expect("Cargo.lock is TOML");
    let listed = lock["package"].as_array().expect("Cargo.lock lists packages");
    for package in listed {
        let name = package["name"].as_str().unwrap_or_default();
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            panic!("{name} is in Cargo.lock: {why}");
        }
        if let Some(source) = package.get("source").and_then(toml::Value::as_str) {
            let public = "registry+https://github.com/rust-lang/crates.io-index";
            assert_eq!(source, public, "{name} does not come from the public index");
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_lints_and_cannot_be_published_by_accident() {
    let mut promised = BTreeSet::new();
    for package in packages() {
        let manifest: toml::Value =
            toml::from_str(&files::read(&package.manifest)).expect("a manifest is TOML");
        let inherits = |table: &str, key: &str| {
            manifest.get(table).and_then(|t| t.get(key)).is_some_and(|value| {
                value.as_bool() == Some(true)
                    || value.get("workspace").and_then(toml::Value::as_bool) == Some(true)
            })
        };
        assert!(inherits("lints", "workspace"), "{}: [lints] workspace = true", package.manifest);
        for key in ["version", "edition", "license", "publish"] {
            assert!(inherits("package", key), "{}: {key}.workspace = true", package.manifest);
        }
        // What programs of others compile promises an older Rust, one for all of its crates.
        let stated = manifest.get("package").and_then(|package| package.get("rust-version"));
        let library = ["mainstay-core", "mainstay-tokens", "mainstay"].contains(&&*package.name);
        if library {
            promised.insert(stated.and_then(toml::Value::as_str).map(str::to_owned));
        } else {
            let key = "rust-version";
            assert!(inherits("package", key), "{}: {key}.workspace = true", package.manifest);
        }
    }
    assert!(promised.len() == 1 && promised.first().is_some_and(Option::is_some), "{promised:?}");
}

/// A member of the workspace and what it names in its manifest.
struct Package {
    name: String,
    manifest: String,
    uses: Vec<Use>,
}

struct Use {
    name: String,
    /// `normal`, `build` or `dev`.
    kind: String,
    ours: bool,
    /// Only for a feature.
    optional: bool,
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let printed = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(files::root())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&printed.stderr).into_owned();
    assert!(printed.status.success(), "cargo metadata: {errors}");
    let metadata: Value = serde_json::from_slice(&printed.stdout).expect("metadata is JSON");
    let root = metadata["workspace_root"].as_str().expect("a root").to_owned();
    let listed = metadata["packages"].as_array().expect("packages");
    assert!(listed.len() >= 9, "the workspace has at least nine members");
    listed.iter().map(|package| read_package(package, &root)).collect()
}

fn read_package(package: &Value, root: &str) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uses = package["dependencies"].as_array().into_iter().flatten().map(|used| Use {
        name: text(&used["name"]),
        kind: used["kind"].as_str().unwrap_or("normal").to_owned(),
        ours: used.get("path").is_some_and(|path| !path.is_null()),
        optional: used["optional"].as_bool().unwrap_or(false),
    });
    let manifest = text(&package["manifest_path"]);
    let manifest = manifest.strip_prefix(root).unwrap_or(&manifest).trim_start_matches('/');
    Package { name: text(&package["name"]), manifest: manifest.to_owned(), uses: uses.collect() }
}

fn row<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    let rows: BTreeMap<_, _> = table.iter().copied().collect();
    rows.get(name).copied()
}
