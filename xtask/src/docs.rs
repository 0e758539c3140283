//! `cargo xtask docs`: pages that the code writes.

use crate::places::{known, root};
use crate::process::{Show, run as run_command};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// A page and the example that prints it.
struct Page {
    file: &'static str,
    package: &'static str,
    example: &'static str,
}

const PAGES: &[Page] =
    &[Page { file: "docs/errors.md", package: "mainstay-core", example: "errors_page" }];

/// Pages that a test compares, and writes when the variable says so: page, package, test.
const TESTED: &[(&str, &str, &str)] = &[
    ("docs/settings.md", "mainstay-gateway", "the_settings_page_is_current"),
    ("docs/providers.md", "mainstay-gateway", "the_page_of_providers_is_current"),
    ("docs/metrics.md", "mainstay-gateway", "the_metrics_page_is_current"),
];
const WRITE: &str = "MAINSTAY_WRITE_DOCS";

/// Writes every generated page, or with `--check` only compares.
///
/// # Errors
///
/// When an example or a test fails, a page cannot be written, or a compared page differs.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--check"], &[])?;
    let check = arguments.iter().any(|argument| argument == "--check");
    for (file, package, test) in TESTED {
        let mut command = Command::new("cargo");
        command.args(["test", "--quiet", "--locked", "-p", package, test]).current_dir(root());
        if !check {
            command.env(WRITE, "1");
        }
        let ran = run_command(&mut command, Show::OnFailure, Duration::from_mins(20));
        if !ran.ok {
            return Err(format!("{file}: {}", ran.end));
        }
        println!("   {file} is {}", if check { "current" } else { "written" });
    }
    for page in PAGES {
        let printed = print(page)?;
        let path = root().join(page.file);
        let current = fs::read_to_string(&path).unwrap_or_default();
        if current == printed {
            println!("   {} is current", page.file);
        } else if check {
            let line = current.lines().zip(printed.lines()).take_while(|(a, b)| a == b).count() + 1;
            return Err(format!("{}:{line} differs; run cargo xtask docs", page.file));
        } else {
            fs::write(&path, printed).map_err(|e| format!("write {}: {e}", page.file))?;
            println!("   {} written", page.file);
        }
    }
    Ok(())
}

fn print(page: &Page) -> Result<String, String> {
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--locked", "-p", page.package, "--example", page.example]);
    let built = run_command(build.current_dir(root()), Show::OnFailure, Duration::from_mins(20));
    if !built.ok {
        return Err(format!("example {}: {}", page.example, built.end));
    }
    let mut example = Command::new("cargo");
    example.args(["run", "--quiet", "--locked", "-p", page.package, "--example", page.example]);
    let output = example.current_dir(root()).output().map_err(|e| format!("cargo: {e}"))?;
    if !output.status.success() {
        return Err(format!("example {}: {}", page.example, output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("{}: {e}", page.file))
}
