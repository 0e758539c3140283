//! The one file that prints. Data goes to standard output, everything else to standard error.

#![expect(clippy::print_stderr, reason = "this is the file that prints")]

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use mainstay_gateway::config::ConfigFault;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::trouble::Trouble;

/// Where a command's output goes, as text or as JSON.
pub(crate) struct Show {
    json: bool,
    out: BufWriter<Stdout>,
    /// The reader of our output left; nobody needs the rest.
    gone: bool,
}

impl Show {
    pub(crate) fn new(json: bool) -> Show {
        Show { json, out: BufWriter::new(io::stdout()), gone: false }
    }

    /// Whether output is for programs.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether a person sees the output, in colours: a terminal, and `NO_COLOR` is not set.
    pub(crate) fn colours(&self) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        !self.json && io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
    }

    /// A line of data.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Trouble> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.write_all(b"\n"));
        self.wrote(written)
    }

    /// Data as it is, without a line's end.
    pub(crate) fn raw(&mut self, text: &[u8]) -> Result<(), Trouble> {
        let written = self.out.write_all(text);
        self.wrote(written)
    }

    /// One object for programs, or text for people.
    pub(crate) fn either(&mut self, value: &Value, text: &str) -> Result<(), Trouble> {
        if self.json { self.line(&value.to_string()) } else { self.line(text) }
    }

    /// Hands over what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), Trouble> {
        let written = self.out.flush();
        self.wrote(written)
    }

    /// A word to people beside the data.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// Writes over the line that was written so before; for terminals.
    #[expect(clippy::unused_self, reason = "printing is asked of whoever shows")]
    pub(crate) fn moving(&mut self, text: &str) {
        // Carriage return, the text, and the rest of the line erased.
        eprint!("\r{text}\x1b[K");
    }

    /// Tells of trouble that does not end the command.
    pub(crate) fn warn(&mut self, trouble: &Trouble) {
        // What was written before must come before.
        let _ = self.out.flush();
        if self.json {
            let Trouble { what, why, fix, faults, .. } = trouble;
            let faults: Vec<Value> = faults.iter().map(fault_object).collect();
            let error = json!({"message": what, "why": why, "fix": fix, "faults": faults});
            eprintln!("{}", json!({"error": error}));
            return;
        }
        for fault in &trouble.faults {
            eprintln!("{fault}");
        }
        eprintln!("error: {}\n  why: {}\n  fix: {}", trouble.what, trouble.why, trouble.fix);
    }

    /// Ends the command: what is left is written, trouble is told.
    pub(crate) fn end(mut self, done: Result<Exit, Trouble>) -> Exit {
        let done = done.and_then(|exit| self.flush().map(|()| exit));
        match done {
            Ok(exit) => exit,
            Err(_) if self.gone => Exit::Worked,
            Err(trouble) => {
                self.warn(&trouble);
                trouble.exit
            }
        }
    }

    fn wrote(&mut self, written: io::Result<()>) -> Result<(), Trouble> {
        written.map_err(|error| {
            self.gone = error.kind() == io::ErrorKind::BrokenPipe;
            let fix = "check where the output goes, and the space there";
            Trouble::new(Exit::Surroundings, "could not write the output", error.to_string(), fix)
        })
    }
}

/// Standard error, for what a gateway says while it runs.
pub(crate) fn aside() -> impl Write {
    io::stderr()
}

/// Whether a person sees what is said aside.
pub(crate) fn aside_is_seen() -> bool {
    io::stderr().is_terminal()
}

/// A finding about a configuration.
pub(crate) fn fault_object(fault: &ConfigFault) -> Value {
    let ConfigFault { severity, file, line, what, why, fix } = fault;
    let severity = severity.name();
    json!({"severity": severity, "file": file, "line": line, "what": what, "why": why, "fix": fix})
}
