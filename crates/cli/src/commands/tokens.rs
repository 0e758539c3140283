//! `mainstay tokens`: what text or requests cost before they are answered.

use mainstay_tokens::request::{Count, count, count_text};
use serde_json::{Value, json};

use crate::args::TokensArgs;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(args: &TokensArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let text = super::check::read(&args.file)?;
    let text = String::from_utf8(text).map_err(|error| {
        let what = format!("`{}` is not UTF-8", args.file.display());
        let why = format!("byte {} does not belong to it", error.utf8_error().valid_up_to());
        Trouble::new(Exit::Failed, what, why, "save it as UTF-8")
    })?;
    let model = args.model.as_deref();
    if !text.trim_start().starts_with('{') {
        let (tokens, exact) = count_text(model.unwrap_or_default(), &text);
        let value = json!({"tokens": tokens, "exact": exact});
        show.either(&value, &format!("{tokens} tokens{}", how(exact)))?;
        return Ok(Exit::Worked);
    }
    if let Ok(whole) = count(text.as_bytes(), model) {
        show.either(&object(None, &whole), &told(&whole))?;
        return Ok(Exit::Worked);
    }
    lines(&text, model, show)
}

fn lines(text: &str, model: Option<&str>, show: &mut Show) -> Result<Exit, Trouble> {
    let mut exit = Exit::Worked;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = index + 1;
        match count(request(line).as_bytes(), model) {
            Ok(found) => {
                show.either(&object(Some(number), &found), &format!("{number}: {}", told(&found)))?;
            }
            Err(error) => {
                exit = Exit::Failed;
                let what = format!("line {number} is not JSON");
                let fix = "`mainstay check` shows the place";
                show.warn(&Trouble::new(exit, what, error.to_string(), fix));
            }
        }
    }
    Ok(exit)
}

/// The body of a Batch line, or the line itself.
fn request(line: &str) -> String {
    let batch = serde_json::from_str::<Value>(line).ok();
    let body = batch.as_ref().filter(|b| b.get("custom_id").is_some()).and_then(|b| b.get("body"));
    body.map_or_else(|| line.to_owned(), Value::to_string)
}

fn how(exact: bool) -> &'static str {
    if exact { "" } else { " (estimated)" }
}

fn told(count: &Count) -> String {
    let asked = count.asked.map_or_else(String::new, |asked| format!(", up to {asked} asked for"));
    format!("{} tokens{}{asked}", count.prompt(), how(count.exact))
}

fn object(line: Option<usize>, count: &Count) -> Value {
    json!({
        "line": line,
        "tokens": count.prompt(),
        "messages": count.messages,
        "tools": count.tools,
        "format": count.format,
        "media": count.media,
        "asked": count.asked,
        "exact": count.exact,
    })
}
