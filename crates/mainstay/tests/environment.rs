//! A client of the environment: what the official SDKs' variables say, it does. The environment of a
//! process cannot be changed while others read it, so each case is a process: this test again.
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

use mainstay::Client;
use serde_json::json;

/// Set in the process that is the client.
const PART: &str = "MAINSTAY_TEST_PART";
const TEST: &str = "the_environment_names_provider_key_and_owner";

#[test]
fn the_environment_names_provider_key_and_owner() {
    if std::env::var_os(PART).is_some() {
        ask();
        return;
    }
    let (url, provider) = provider();
    let ran = client(&[
        ("OPENAI_BASE_URL", &url),
        ("OPENAI_API_KEY", "sk-of-the-environment"),
        ("OPENAI_ORG_ID", "org-mine"),
        ("OPENAI_PROJECT_ID", "proj_mine"),
    ]);
    assert!(ran.status.success(), "{ran:?}");
    let head = provider.join().unwrap();
    for line in [
        "POST /v1/chat/completions HTTP/1.1",
        "authorization: Bearer sk-of-the-environment",
        "openai-organization: org-mine",
        "openai-project: proj_mine",
    ] {
        assert!(head.lines().any(|told| told.eq_ignore_ascii_case(line)), "{line}\n{head}");
    }

    let ran = client(&[]);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(said.contains("OPENAI_API_KEY is not set") && said.contains("fix: "), "{said}");
    let ran = client(&[("OPENAI_API_KEY", "sk-secret with blanks")]);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(said.contains("the key has a blank") && !said.contains("secret"), "{said}");
}

/// What the client's process does; failures are its output.
#[expect(clippy::print_stdout, reason = "what it finds is read by the test that started it")]
fn ask() {
    let client = match Client::from_env() {
        Ok(client) => client,
        Err(error) => {
            println!("{error}");
            return;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    let answer = runtime.block_on(async { client.chat().create(&request).await }).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
}

fn client(environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).env_clear().env(PART, "client");
    command.envs(environment.iter().copied()).output().unwrap()
}

/// Answers one request; its head is what the thread gives.
fn provider() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        answer(stream)
    });
    (url, thread)
}

fn answer(mut stream: TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(told) = lower.strip_prefix("content-length:") {
            length = told.trim().parse().unwrap();
        }
        head += &line;
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let body = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    })
    .to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).unwrap();
    head
}
