//! Tools of the suites: Python, the official SDKs in their pinned versions, and a Node they run on.
//!
//! Everything but Debian packages goes below the build directory and is reused by the next run.

use crate::debian::{Need, install, need};
use crate::places::{program, work};
use crate::process::{Show, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The official SDK for Python. Source: package index, read 2026-11.
const OPENAI_PYTHON: &str = "3.52.0";
/// The official SDK for Node. Source: npm, read 2026-11. It needs Node 22; on an older one npm
/// quietly installs a 6.x, so a Node comes along.
const OPENAI_NODE: &str = "7.55.0";
/// The npm package `node` brings the program of the same version.
const NODE: &str = "22.23.3";

const NETWORK_LIMIT: Duration = Duration::from_mins(10);

/// What a suite is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Python with nothing but its standard library.
    Python,
    /// Python with the official SDK.
    PythonSdk,
    /// Python with the official SDK, what its own tests need, and those tests.
    PythonSdkTests,
    /// Node with the official SDK.
    NodeSdk,
    /// Python with the official SDK, and Chromium with its driver.
    Browser,
    /// Python beside a Prometheus.
    Prometheus,
}

/// What the tests of the SDK for Python import.
const OF_TESTS: [&str; 9] = [
    "pytest==9.2.0",
    "pytest-asyncio==1.5.0",
    "inline-snapshot==0.36.1",
    "trio==0.35.0",
    "rich==15.0.0",
    "respx==0.23.1",
    "nest-asyncio==1.6.0",
    "dirty-equals==0.11",
    "time-machine==3.6.0",
];

/// Makes a tool ready; its program.
///
/// # Errors
///
/// What is missing, and what would bring it.
pub(crate) fn ready(tool: Tool) -> Result<PathBuf, String> {
    match tool {
        Tool::Python => python(),
        Tool::PythonSdk => venv("sdk-python", &[&format!("openai=={OPENAI_PYTHON}")]),
        Tool::PythonSdkTests => {
            unpacked_tests()?;
            let sdk = format!("openai[aiohttp,realtime]=={OPENAI_PYTHON}");
            let packages: Vec<&str> = [&*sdk].into_iter().chain(OF_TESTS).collect();
            venv("sdk-python-tests", &packages)
        }
        Tool::NodeSdk => node(),
        Tool::Browser => browser(),
        Tool::Prometheus => {
            need(&[Need { program: "promtool", package: "prometheus" }])?;
            need(&[Need { program: "prometheus", package: "prometheus" }])?;
            python()
        }
    }
}

/// Debian's Chromium and its driver. Fonts come with it: a page without any is a page of boxes.
fn browser() -> Result<PathBuf, String> {
    need(&[
        Need { program: "chromium", package: "chromium" },
        Need { program: "chromedriver", package: "chromium-driver" },
        Need { program: "fc-list", package: "fontconfig" },
    ])?;
    let font = Path::new("/usr/share/fonts/truetype/liberation");
    let newer = Path::new("/usr/share/fonts/truetype/liberation2");
    if !font.exists() && !newer.exists() {
        install(&["fonts-liberation"])?;
    }
    ready(Tool::PythonSdk)
}

fn python() -> Result<PathBuf, String> {
    need(&[Need { program: "python3", package: "python3" }])?;
    program("python3").ok_or_else(|| "python3 is missing".to_owned())
}

/// A virtual environment with the named packages; its Python.
///
/// # Errors
///
/// What is missing, or what pip said.
pub(crate) fn venv(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let place = work(name)?;
    let own = place.join("bin").join("python");
    let stamp = place.join("packages.txt");
    let wanted = packages.join("\n");
    if own.is_file() && std::fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(own);
    }
    make_venv(&python()?, &place)?;
    let mut pip = Command::new(&own);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    println!("   installing {} for Python", packages.join(" "));
    let ran = run(&mut pip, Show::OnFailure, NETWORK_LIMIT);
    if !ran.ok {
        return Err(format!("pip could not install {}: {}", packages.join(" "), ran.end));
    }
    std::fs::write(&stamp, wanted).map_err(|e| format!("write {}: {e}", stamp.display()))?;
    Ok(own)
}

/// The directory with the SDK's own tests: they are in the source distribution alone.
///
/// # Errors
///
/// What pip or tar said.
pub(crate) fn unpacked_tests() -> Result<PathBuf, String> {
    let place = work("sdk-python-source")?;
    let name = format!("openai-{OPENAI_PYTHON}");
    let tests = place.join(&name);
    if tests.join("tests").join("api_resources").is_dir() {
        return Ok(tests);
    }
    println!("   fetching the source distribution of {name}");
    // Its metadata is asked for by building it, so pip must be able to make an environment.
    let own = venv("sdk-python-pip", &["pip"])?;
    let mut pip = Command::new(own);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--no-binary", "openai", &format!("openai=={OPENAI_PYTHON}")]).current_dir(&place);
    let mut tar = Command::new("tar");
    tar.args(["xzf", &format!("{name}.tar.gz")]).current_dir(&place);
    for mut command in [pip, tar] {
        let ran = run(&mut command, Show::OnFailure, NETWORK_LIMIT);
        if !ran.ok {
            return Err(format!("the tests of {name} could not be fetched: {}", ran.end));
        }
    }
    Ok(tests)
}

fn make_venv(python: &Path, place: &Path) -> Result<(), String> {
    let make = || {
        let mut command = Command::new(python);
        command.args(["-m", "venv", "--clear"]).arg(place);
        run(&mut command, Show::Never, NETWORK_LIMIT).ok
    };
    if make() {
        return Ok(());
    }
    // Debian keeps the pip that a new environment needs in a package of its own.
    install(&["python3-venv"])?;
    if make() { Ok(()) } else { Err("python3 -m venv does not work".to_owned()) }
}

fn node() -> Result<PathBuf, String> {
    let place = work("sdk-node")?;
    let own = place.join("node_modules").join("node").join("bin").join("node");
    if own.is_file() && installed(&place, "openai") == Some(OPENAI_NODE.to_owned()) {
        return Ok(own);
    }
    need(&[Need { program: "npm", package: "npm" }])?;
    println!("   installing openai@{OPENAI_NODE} and node@{NODE} from npm");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]);
    npm.arg(&place).args([format!("openai@{OPENAI_NODE}"), format!("node@{NODE}")]);
    let ran = run(&mut npm, Show::OnFailure, NETWORK_LIMIT);
    if !ran.ok {
        return Err(format!("npm could not install the SDK: {}", ran.end));
    }
    match installed(&place, "openai") {
        Some(version) if version == OPENAI_NODE && own.is_file() => Ok(own),
        other => Err(format!("npm installed openai {other:?}, wanted {OPENAI_NODE}")),
    }
}

/// The version of an npm package below `place`.
fn installed(place: &Path, package: &str) -> Option<String> {
    let manifest = place.join("node_modules").join(package).join("package.json");
    let text = std::fs::read_to_string(manifest).ok()?;
    let at = text.find("\"version\"")?;
    text[at..].split('"').nth(3).map(String::from)
}
