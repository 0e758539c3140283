//! `mainstay classify`: what answers mean, line by line.

use std::io::{BufRead, Read};

use mainstay_core::classify::jsonl;

use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

/// Longest line, in bytes: the largest body with what stands around it.
const LINE_MAX: u64 = 128 << 20;

pub(super) fn run(mut input: impl BufRead, show: &mut Show) -> Result<Exit, Trouble> {
    let mut exit = Exit::Worked;
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        let length = read.map_err(|error| {
            let why = error.to_string();
            Trouble::new(Exit::Surroundings, "could not read standard input", why, "check the pipe")
        })?;
        if length == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let text = std::str::from_utf8(&line).map_err(|error| error.to_string());
        match text.and_then(|text| jsonl::line(text.trim()).map_err(|fault| fault.to_string())) {
            Ok(answer) => show.line(&answer)?,
            Err(why) => {
                exit = Exit::Failed;
                let fix =
                    "send one object a line, such as {\"id\":1,\"status\":429,\"body\":\"…\"}";
                let what = format!("line {number} is no answer to classify");
                show.warn(&Trouble::new(exit, what, why, fix));
            }
        }
    }
    Ok(exit)
}
