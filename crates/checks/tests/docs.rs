//! Pages are true: every link leads somewhere, and generated pages are what the code says.

use mainstay_checks::files;
use mainstay_checks::markdown::{anchors, links};
use std::path::{Component, Path, PathBuf};

/// Pages a newcomer is promised.
const PROMISED: &[&str] =
    &["README.md", "ARCHITECTURE.md", "STYLE.md", "CONTRIBUTING.md", "CHANGELOG.md"];

#[test]
fn the_promised_pages_are_there() {
    let pages = files::ending(".md");
    for page in PROMISED {
        assert!(pages.contains(&(*page).to_owned()), "{page} is missing");
    }
    let decisions = pages.iter().filter(|page| page.starts_with("docs/decisions/0")).count();
    assert!(decisions > 0, "docs/decisions/ has no decision");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut dead = Vec::new();
    let mut seen = 0;
    for page in files::ending(".md") {
        for link in links(&files::read(&page)) {
            if link.target.contains("://") || link.target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            if let Err(why) = follow(&page, &link.target) {
                dead.push(format!("{page}:{}: `{}`: {why}", link.line, link.target));
            }
        }
    }
    assert!(seen > 0, "no link was found: the reader of this check is broken");
    assert!(dead.is_empty(), "dead links:\n  {}", dead.join("\n  "));
}

#[test]
fn every_page_that_the_code_names_is_there() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for file in files::ending(".rs") {
        for (n, line) in files::read(&file).lines().enumerate() {
            for page in pages_named(line) {
                seen += 1;
                if !files::root().join(page).is_file() {
                    missing.push(format!("{file}:{}: {page}", n + 1));
                }
            }
        }
    }
    assert!(seen > 0, "no page was found: the reader of this check is broken");
    assert!(missing.is_empty(), "pages that are named and not there:\n  {}", missing.join("\n  "));
}

#[test]
fn the_page_of_errors_is_what_the_catalogue_says() {
    let page = files::read("docs/errors.md");
    let fix = "run `cargo xtask docs`";
    assert!(
        page == mainstay_core::catalogue::errors_page(),
        "docs/errors.md is not current: {fix}"
    );
}

/// A page of a policy has the parts that readers of another one expect.
#[test]
fn every_policy_has_its_page_with_all_parts() {
    const PARTS: [&[&str]; 7] = [
        &["**Promise.**"],
        &["```text"],
        &["## Settings", "## Setting them"],
        &["## Case by case"],
        &["## Events", "## Metrics"],
        &["## With the other policies"],
        &["## Mistakes people make"],
    ];
    let pages = policy_pages();
    let lacks = |(page, text): &(String, String)| {
        let has = |part: &&[&str]| part.iter().any(|name| text.contains(name));
        let missing: Vec<&str> =
            PARTS.iter().filter(|part| !has(part)).map(|part| part[0]).collect();
        (!missing.is_empty()).then(|| format!("{page} has no {}", missing.join(", ")))
    };
    let lacking: Vec<String> = pages.iter().filter_map(lacks).collect();
    assert!(pages.len() >= 8 && lacking.is_empty(), "{}", lacking.join("\n"));
}

/// Whoever looks for a key of `[policy.*]` finds it on a page that says what it is for.
#[test]
fn every_key_of_a_policy_is_in_a_table_of_its_page() {
    let mut pages = policy_pages();
    pages.push(("docs/validation.md".to_owned(), files::read("docs/validation.md")));
    let keys = mainstay_gateway::config::KEYS.iter();
    let keys: Vec<_> = keys.filter(|key| key.section.starts_with("policy.")).collect();
    let tells = |key: &mainstay_gateway::config::Key, text: &str| {
        let section = format!("[{}]", key.section);
        let rows = [format!("| `{}` |", key.name), format!("| `{section} {}` |", key.name)];
        let in_row = text.lines().any(|line| rows.iter().any(|row| line.starts_with(row.as_str())));
        text.contains(&section) && (in_row || key.section == "policy.validate")
    };
    let missing: Vec<String> = keys
        .iter()
        .filter(|key| !pages.iter().any(|(_, text)| tells(key, text)))
        .map(|key| format!("[{}] {}", key.section, key.name))
        .collect();
    assert!(keys.len() > 30 && missing.is_empty(), "on no page: {}", missing.join(", "));
}

fn policy_pages() -> Vec<(String, String)> {
    let pages = files::ending(".md").into_iter();
    let pages = pages.filter(|page| page.starts_with("docs/policies/"));
    pages.map(|page| (page.clone(), files::read(&page))).collect()
}

/// `docs/….md` as they stand in a line of code or comment.
fn pages_named(line: &str) -> Vec<&str> {
    let path = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let words = line.split(|c: char| !path(c));
    words.filter(|word| word.starts_with("docs/") && is_page(word)).collect()
}

fn is_page(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|kind| kind == "md")
}

fn follow(page: &str, target: &str) -> Result<(), String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { PathBuf::from(page) } else { beside(page, path)? };
    let full = files::root().join(&file);
    if !full.exists() {
        return Err("no such file".to_owned());
    }
    if anchor.is_empty() || full.is_dir() || file.extension().is_none_or(|e| e != "md") {
        return Ok(());
    }
    let known = anchors(&files::read(&file.to_string_lossy()));
    if known.iter().any(|one| one == anchor) { Ok(()) } else { Err("no such heading".to_owned()) }
}

/// The path of `target` as seen from `page`, both relative to the root.
fn beside(page: &str, target: &str) -> Result<PathBuf, String> {
    let mut path = Path::new(page).parent().map(Path::to_path_buf).unwrap_or_default();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return Err("leads out of the project".to_owned());
                }
            }
            Component::RootDir | Component::Prefix(_) => return Err("not relative".to_owned()),
        }
    }
    Ok(path)
}
