//! `mainstay check`: what a provider would refuse, before it is sent.

use std::io::Read;
use std::path::{Path, PathBuf};

use mainstay_core::validate::Level;
use mainstay_core::validate::check::{Row, excerpt, rows};
use mainstay_core::wire::endpoint::Endpoint;
use serde_json::{Value, json};

use crate::args::{CheckArgs, LevelArg};
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

/// Largest input, in bytes: it is held whole.
const INPUT_MAX: u64 = 4 << 30;

pub(super) fn run(args: &CheckArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let endpoint = match args.endpoint.as_deref() {
        None => None,
        Some(name) => Some(Endpoint::from_name(name).ok_or_else(|| {
            let fix = "use one of chat, responses, completions, embeddings, moderations, images, \
                       speech, assistants, threads, runs";
            Trouble::usage(format!("there is no endpoint `{name}`"), "its rules are not known", fix)
        })?),
    };
    let level = match args.level {
        LevelArg::Lenient => Level::Lenient,
        LevelArg::Strict => Level::Strict,
    };
    let mut sums = Sums::default();
    let files = if args.file.is_dir() { folder(&args.file)? } else { vec![args.file.clone()] };
    let many = args.file.is_dir();
    for file in &files {
        let text = read(file)?;
        let rows = rows(&text, endpoint, level);
        if rows.is_empty() && !many {
            let what = format!("`{}` is empty", file.display());
            let fix = "give a JSON body, or one a line";
            return Err(Trouble::new(Exit::Failed, what, "there is no request in it", fix));
        }
        for row in &rows {
            sums.requests += 1;
            sums.bad += usize::from(!row.ok());
            if show.json() {
                show.line(&object(row, many.then_some(file)).to_string())?;
            } else if !row.ok() {
                let style = Style::of(show.colours());
                show.line(&told(row, file, &text, &style))?;
            }
        }
    }
    if !show.json() {
        show.line(&sums.told(many.then_some(files.len())))?;
    }
    Ok(if sums.bad == 0 { Exit::Worked } else { Exit::Failed })
}

/// What was checked.
#[derive(Default)]
struct Sums {
    requests: usize,
    bad: usize,
}

impl Sums {
    fn told(&self, files: Option<usize>) -> String {
        let Sums { requests, bad } = self;
        let many = if *requests == 1 { "request" } else { "requests" };
        let place = match files {
            None => String::new(),
            Some(1) => " in 1 file".to_owned(),
            Some(files) => format!(" in {files} files"),
        };
        format!("{requests} {many}{place} checked, {bad} not sound")
    }
}

/// Deepest folder that is looked into.
const DEPTH_MAX: usize = 64;
/// Most files of one folder and those in it.
const FILES_MAX: usize = 100_000;

/// Every `.json` and `.jsonl` in a folder and the folders in it, by name. Links to folders are not
/// followed: they may lead in a circle.
fn folder(path: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let (mut files, mut left) = (Vec::new(), vec![(path.to_path_buf(), 0)]);
    while let Some((folder, depth)) = left.pop() {
        let failed = |error: std::io::Error| Trouble::file("read", &folder, &error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (kind, path) = (entry.file_type().map_err(failed)?, entry.path());
            let fits = path.extension().is_some_and(|end| end == "json" || end == "jsonl");
            if kind.is_dir() && depth < DEPTH_MAX {
                left.push((path, depth + 1));
            } else if fits && path.is_file() {
                files.push(path);
            }
        }
        if files.len() > FILES_MAX {
            let what = format!("`{}` has more than {FILES_MAX} files", path.display());
            let fix = "check its folders one by one";
            return Err(Trouble::new(Exit::Surroundings, what, "their names are held", fix));
        }
    }
    files.sort();
    if files.is_empty() {
        let what = format!("`{}` has no `.json` or `.jsonl`", path.display());
        return Err(Trouble::new(
            Exit::Failed,
            what,
            "there is no request in it",
            "name another folder",
        ));
    }
    Ok(files)
}

/// Reads a file, or standard input for `-`, whole.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    let failed = |error: &std::io::Error| Trouble::file("read", path, error);
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(INPUT_MAX + 1).read_to_end(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        file.take(INPUT_MAX + 1).read_to_end(&mut text)
    };
    read.map_err(|error| failed(&error))?;
    if text.len() as u64 > INPUT_MAX {
        let what = format!("`{}` has more than {INPUT_MAX} bytes", path.display());
        return Err(Trouble::new(Exit::Surroundings, what, "it is held whole", "split it"));
    }
    Ok(text)
}

fn object(row: &Row, file: Option<&PathBuf>) -> Value {
    let faults: Vec<Value> = row
        .faults
        .iter()
        .map(|fault| json!({"code": fault.code(), "param": fault.param, "message": fault.message}))
        .collect();
    let mut object =
        json!({"line": row.line, "custom_id": row.custom_id, "ok": row.ok(), "faults": faults});
    if let Some(file) = file {
        object["file"] = json!(file.to_string_lossy());
    }
    object
}

/// Marks of a terminal around words, or nothing.
struct Style {
    bad: &'static str,
    dim: &'static str,
    end: &'static str,
}

impl Style {
    fn of(colours: bool) -> Style {
        if colours {
            Style { bad: "\x1b[1;31m", dim: "\x1b[36m", end: "\x1b[0m" }
        } else {
            Style { bad: "", dim: "", end: "" }
        }
    }
}

fn told(row: &Row, file: &Path, text: &[u8], style: &Style) -> String {
    let Style { bad, dim, end } = style;
    let mut lines = Vec::new();
    for fault in &row.faults {
        let near = excerpt(text, fault.offset);
        let (message, code) = (&fault.message, fault.code());
        lines.push(format!("{bad}error{end}: {message} {dim}({code}){end}"));
        lines.push(format!("   {dim}at:{end} {}:{}", file.display(), near.place));
        lines.push(format!("     {dim}|{end} {}", near.text));
        lines.push(format!("     {dim}|{end} {}{bad}^{end}", " ".repeat(near.mark)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_marks_around_the_same_words() {
        let text = br#"{"model":"m","messages":7}"#;
        let rows = rows(text, Some(Endpoint::Chat), Level::Lenient);
        let told = |colours| told(&rows[0], Path::new("a.json"), text, &Style::of(colours));
        let plain = told(false);
        assert!(
            plain.contains("\n     |                         ^") && !plain.contains('\x1b'),
            "{plain}"
        );
        let bright = told(true);
        assert!(
            bright.starts_with("\x1b[1;31merror\x1b[0m: ")
                && bright.ends_with("\x1b[1;31m^\x1b[0m")
        );
        let mut stripped = bright;
        for mark in ["\x1b[1;31m", "\x1b[36m", "\x1b[0m"] {
            stripped = stripped.replace(mark, "");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn a_folder_gives_its_requests_and_those_below_by_name() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().join("b").join("c");
        std::fs::create_dir_all(&deep).unwrap();
        for (folder, name) in [
            (place.path(), "z.json"),
            (place.path(), "a.jsonl"),
            (&deep, "x.json"),
            (&deep, "x.txt"),
        ] {
            std::fs::write(folder.join(name), "{}").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(place.path(), deep.join("circle")).unwrap();
        let found = folder(place.path()).unwrap();
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(place.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a.jsonl"), Path::new("b/c/x.json"), Path::new("z.json")]);
        std::fs::create_dir(place.path().join("empty")).unwrap();
        assert!(folder(&place.path().join("empty")).is_err());
    }
}
