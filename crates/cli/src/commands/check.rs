//! `mainstay check`: what a provider would refuse, before it is sent.

use std::io::Read;
use std::path::Path;

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
    let text = read(&args.file)?;
    let rows = rows(&text, endpoint, level);
    if rows.is_empty() {
        let what = format!("`{}` is empty", args.file.display());
        let fix = "give a JSON body, or one a line";
        return Err(Trouble::new(Exit::Failed, what, "there is no request in it", fix));
    }
    let bad = rows.iter().filter(|row| !row.ok()).count();
    for row in &rows {
        if show.json() {
            show.line(&object(row).to_string())?;
        } else if !row.ok() {
            show.line(&told(row, &args.file, &text))?;
        }
    }
    if !show.json() {
        let all = rows.len();
        let many = if all == 1 { "request" } else { "requests" };
        show.line(&format!("{all} {many} checked, {bad} not sound"))?;
    }
    Ok(if bad == 0 { Exit::Worked } else { Exit::Failed })
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

fn object(row: &Row) -> Value {
    let faults: Vec<Value> = row
        .faults
        .iter()
        .map(|fault| json!({"code": fault.code(), "param": fault.param, "message": fault.message}))
        .collect();
    json!({"line": row.line, "custom_id": row.custom_id, "ok": row.ok(), "faults": faults})
}

fn told(row: &Row, file: &Path, text: &[u8]) -> String {
    let mut lines = Vec::new();
    for fault in &row.faults {
        let near = excerpt(text, fault.offset);
        lines.push(format!("error: {} ({})", fault.message, fault.code()));
        lines.push(format!("   at: {}:{}", file.display(), near.place));
        lines.push(format!("     | {}", near.text));
        lines.push(format!("     | {}^", " ".repeat(near.mark)));
    }
    lines.join("\n")
}
