//! `mainstay check`: what a provider would refuse, before it is sent.

use std::path::Path;

use mainstay_core::validate::Level;
use mainstay_core::validate::check::{Row, excerpt, rows};
use mainstay_core::wire::endpoint::Endpoint;
use serde_json::{Value, json};

use super::inputs::{Inputs, read};
use crate::args::{CheckArgs, LevelArg};
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

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
    let Inputs { files, many } = Inputs::of(&args.files)?;
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
                show.line(&object(row, many.then_some(file.as_path())).to_string())?;
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

fn object(row: &Row, file: Option<&Path>) -> Value {
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
}
