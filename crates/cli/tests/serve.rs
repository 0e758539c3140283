//! The main job as a person meets it: start, paste the line, stop.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A gateway in a folder, and what it has said so far.
struct Running {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
    text: String,
}

impl Running {
    fn start(folder: &Path) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.env_clear().current_dir(folder).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let said = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        Running { child, said, text: String::new() }
    }

    /// Reads on until a line has `word`; gives that line.
    fn until(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).expect("stderr can be read");
            self.text += &line;
            assert!(read > 0, "it ended without saying `{word}`:\n{}", self.text);
            if line.contains(word) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args([name, &id]).status().expect("kill runs");
        assert!(killed.success());
    }

    fn stop(self) -> i32 {
        self.signal("-TERM");
        self.ended()
    }

    fn ended(mut self) -> i32 {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("stderr can be read");
        self.child.wait().expect("it ends").code().expect("it ends by itself")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves no gateway behind; one that was stopped is gone already.
        let _ = self.child.kill();
    }
}

#[test]
fn a_first_start_gives_a_line_that_works_as_pasted_and_a_second_makes_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Running::start(folder.path());
    let line = first.until("curl ");
    let answer = do_as_the_line_says(&line);
    assert!(answer.starts_with("HTTP/1.1 200"), "{line}\n{answer}");
    assert!(answer.contains("\"choices\""), "{answer}");
    let wrong = do_as_the_line_says(&line.replace("sk-ms-", "sk-ms-x"));
    assert!(wrong.starts_with("HTTP/1.1 401"), "{wrong}");
    assert_eq!(first.stop(), 0);

    let mut second = Running::start(folder.path());
    let said = second.until("127.0.0.1:");
    assert!(!second.text.contains("sk-ms-"), "{said}");
    assert_eq!(second.stop(), 0);
    assert!(folder.path().join("mainstay.admin-token").exists(), "no terminal: a file");
}

#[test]
fn an_access_rule_about_nobody_is_refused_and_a_shared_store_that_is_away_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mainstay.toml");
    let rule = "[[access]]\norg = \"acme\"\ncidr_deny = [\"192.0.2.0/24\"]\n";
    std::fs::write(&file, rule).unwrap();
    let mut refused = Running::start(folder.path());
    let said = refused.until("does not exist");
    assert!(said.contains("organization `acme`"), "{said}");
    refused.until("fix: ");
    assert_eq!(refused.ended(), 3);

    // A shared store that is away keeps nobody from starting.
    std::fs::write(&file, "[shared]\nurl = \"redis://127.0.0.1:1\"\n").unwrap();
    let mut told = Running::start(folder.path());
    told.until("curl ");
    // It may have been said before that.
    if !told.text.contains("the shared store is away") {
        told.until("the shared store is away");
    }
    assert!(told.text.contains("127.0.0.1:1: "), "{}", told.text);
    assert_eq!(told.stop(), 0);
}

#[test]
fn a_changed_file_is_used_without_a_restart_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mainstay.toml");
    let sound = "[[provider]]\nname = \"NAME\"\nkind = \"sim\"\n";
    std::fs::write(&file, sound.replace("NAME", "first")).unwrap();
    let mut gateway = Running::start(folder.path());
    let line = gateway.until("curl ");
    assert!(do_as_the_line_says(&line).contains("x-mainstay-provider: first"));

    std::fs::write(&file, sound.replace("NAME", "second")).unwrap();
    gateway.until("read again and is in use");
    assert!(do_as_the_line_says(&line).contains("x-mainstay-provider: second"));

    std::fs::write(&file, "[server]\nlisen = 1\n[policy.retry]\nattempts_max = 0\n").unwrap();
    gateway.until("cannot be used; the earlier one stays");
    for fault in ["did you mean `listen`", "`policy.retry.attempts_max` is 0"] {
        assert!(gateway.text.contains(fault), "{}", gateway.text);
    }
    assert!(do_as_the_line_says(&line).contains("x-mainstay-provider: second"));

    std::fs::write(&file, sound.replace("NAME", "second")).unwrap();
    gateway.until("read again: nothing changed");
    gateway.signal("-HUP");
    gateway.until("read again: nothing changed");

    let moved = format!("[server]\nworkers = 3\n{}", sound.replace("NAME", "third"));
    std::fs::write(&file, moved).unwrap();
    gateway.until("`server.workers` changed; it takes effect at the next start");
    gateway.until("read again and is in use");
    assert!(do_as_the_line_says(&line).contains("x-mainstay-provider: third"));
    assert_eq!(gateway.stop(), 0);
}

/// Sends what the `curl` line would: its URL, headers and body.
fn do_as_the_line_says(line: &str) -> String {
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL");
    let (host, path) = url["http://".len()..].split_once('/').expect("a path");
    let quoted: Vec<&str> = line.split('\'').skip(1).step_by(2).collect();
    let (body, headers) = quoted.split_last().expect("a body");
    let mut stream = TcpStream::connect(host).expect("it listens");
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n\r\n{body}",
        body.len(),
        headers.join("\r\n"),
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
