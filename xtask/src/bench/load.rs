//! A closed loop of wrk on core 0.

use crate::process::{Show, run};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What wrk has done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) requests: f64,
    pub(super) per_second: f64,
    /// Answers that were no success, and one more when connections broke.
    pub(super) failed: f64,
}

/// Where its script is written, and with whose key it calls.
pub(super) struct Load {
    script: PathBuf,
    key: String,
}

/// A chat with so many bytes of prompt.
pub(crate) fn chat(bytes: usize, stream: bool) -> String {
    let prompt: String =
        "Explain this to me briefly, please. ".chars().cycle().take(bytes).collect();
    let rest = if stream { r#""max_tokens":2000,"stream":true"# } else { r#""max_tokens":16"# };
    // A model whose window has room for a megabyte of text.
    format!(
        r#"{{"model":"gpt-4.1-mini","messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{prompt}"}}],"temperature":0.7,{rest}}}"#
    )
}

impl Load {
    pub(super) fn new(directory: &Path, key: &str) -> Load {
        Load { script: directory.join("chat.lua"), key: key.to_owned() }
    }

    /// So many connections that send this body again and again.
    pub(super) fn run(
        &self,
        address: SocketAddr,
        body: &str,
        secs: u64,
        connections: u32,
    ) -> Result<Done, String> {
        self.run_with_pauses(address, body, (secs, connections), Duration::ZERO)
    }

    /// The same, each connection with this pause before each call.
    pub(super) fn run_with_pauses(
        &self,
        address: SocketAddr,
        body: &str,
        (secs, connections): (u64, u32),
        pause: Duration,
    ) -> Result<Done, String> {
        let lua = format!(
            "wrk.method = \"POST\"\nwrk.body = [[{body}]]\nwrk.headers[\"content-type\"] = \"application/json\"\nwrk.headers[\"authorization\"] = \"Bearer {}\"\n",
            self.key
        );
        let lua = match pause.as_millis() {
            0 => lua,
            millis => format!("{lua}function delay() return {millis} end\n"),
        };
        fs::write(&self.script, lua)
            .map_err(|e| format!("write {}: {e}", self.script.display()))?;
        let mut wrk = Command::new("taskset");
        let (many, time) = (format!("-c{connections}"), format!("-d{secs}s"));
        wrk.args(["-c", "0", "wrk", "-t1", &many, &time, "--timeout", "30s", "-s"]);
        wrk.arg(&self.script).arg(format!("http://{address}/v1/chat/completions"));
        let ran = run(&mut wrk, Show::OnFailure, Duration::from_secs(secs + 60));
        if !ran.ok {
            return Err(format!("wrk: {}", ran.end));
        }
        told(&ran.lines.join("\n"))
    }
}

fn told(text: &str) -> Result<Done, String> {
    let requests = number_before(text, " requests in").ok_or("wrk printed no count")?;
    let per_second = number_after(text, "Requests/sec:").ok_or("wrk printed no rate")?;
    let refused = number_after(text, "Non-2xx or 3xx responses:").unwrap_or(0.0);
    let broken = if text.contains("Socket errors:") { 1.0 } else { 0.0 };
    Ok(Done { requests, per_second, failed: refused + broken })
}

fn number_before(text: &str, mark: &str) -> Option<f64> {
    text[..text.find(mark)?].rsplit(char::is_whitespace).next()?.parse().ok()
}

fn number_after(text: &str, mark: &str) -> Option<f64> {
    text[text.find(mark)? + mark.len()..].split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_wrk_prints_them() {
        let text = "  164050 requests in 3.00s, 30.1MB read\n  Non-2xx or 3xx responses: 12\nRequests/sec:  54683.2";
        let done = told(text).unwrap();
        assert_eq!((done.requests, done.per_second, done.failed), (164_050.0, 54_683.2, 12.0));
        assert!(told("nothing").is_err());
    }

    #[test]
    fn a_prompt_has_the_length_asked_for() {
        assert_eq!(chat(1024, false).len() - chat(0, false).len(), 1024);
        assert!(chat(1, true).contains(r#""stream":true"#));
    }
}
