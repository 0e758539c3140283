//! A provider with a bill of its own: it counts what it hands out, as a vendor would, and knows
//! nothing of ledgers. What goes wrong is asked for in the request's `user`: `cut:3`, `stall:3`,
//! `fail`, `drop` or `hang`, each at the first attempt only, so that another one can succeed.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// Tokens handed out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bill {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) answers: u64,
    pub(crate) broken: u64,
}

#[derive(Debug, Default)]
struct Desk {
    bill: Bill,
    /// Requests that went wrong once.
    wronged: HashSet<String>,
}

pub(crate) struct Billing {
    pub(crate) addr: SocketAddr,
    desk: Arc<Mutex<Desk>>,
}

impl Billing {
    pub(crate) fn start() -> Billing {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let desk = Arc::new(Mutex::new(Desk::default()));
        let kept = Arc::clone(&desk);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = Arc::clone(&kept);
                std::thread::spawn(move || while serve(&stream, &desk).is_some() {});
            }
        });
        Billing { addr, desk }
    }

    pub(crate) fn bill(&self) -> Bill {
        self.desk.lock().expect("no panic").bill
    }
}

/// One exchange; `None` ends the connection.
fn serve(stream: &TcpStream, desk: &Mutex<Desk>) -> Option<()> {
    let mut stream = stream;
    stream.set_nodelay(true).ok()?;
    let body = request(stream)?;
    let input = body["messages"][0]["content"].as_str()?.split_whitespace().count() as u64;
    let output = body["max_tokens"].as_u64()?.div_ceil(2);
    let user = body["user"].as_str().unwrap_or("").to_owned();
    let trouble = user.split('/').next().unwrap_or("").to_owned();
    let first = desk.lock().expect("no panic").wronged.insert(user);
    let trouble = if first { trouble.as_str() } else { "" };
    let (name, count) = trouble.split_once(':').unwrap_or((trouble, "0"));
    let count: u64 = count.parse().ok()?;
    match name {
        "fail" => {
            let error = json!({"error": {"message": "overloaded", "type": "server_error", "param": null, "code": null}});
            whole(stream, "500 Internal Server Error", &error)
        }
        "drop" => None,
        "hang" => {
            // Until the caller leaves.
            let _ = stream.read(&mut [0; 1]);
            None
        }
        _ if body["stream"] == true => {
            let told = if name.is_empty() { output } else { count.min(output) };
            let whole = pieces(stream, input, told, output, name).is_some() && name.is_empty();
            let mut desk = desk.lock().expect("no panic");
            charge(&mut desk.bill, input, told, whole);
            drop(desk);
            if name == "stall" {
                let _ = stream.read(&mut [0; 1]);
            }
            whole.then_some(())
        }
        _ => {
            charge(&mut desk.lock().expect("no panic").bill, input, output, true);
            let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
            let choice = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "w ".repeat(usize::try_from(output).ok()?)}});
            whole(
                stream,
                "200 OK",
                &json!({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}),
            )
        }
    }
}

fn charge(bill: &mut Bill, input: u64, output: u64, whole: bool) {
    bill.input += input;
    bill.output += output;
    bill.answers += u64::from(whole);
    bill.broken += u64::from(!whole);
}

fn request(mut stream: &TcpStream) -> Option<Value> {
    let mut data = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some(end) = data.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&data[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
            let length: usize = length.trim().parse().ok()?;
            if data.len() >= end + 4 + length {
                return serde_json::from_slice(&data[end + 4..end + 4 + length]).ok();
            }
        }
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        data.extend_from_slice(&buffer[..read]);
    }
}

fn whole(mut stream: &TcpStream, status: &str, body: &Value) -> Option<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}

/// A stream whose every piece tells the usage so far, as some servers do when asked.
fn pieces(mut stream: &TcpStream, input: u64, told: u64, all: u64, trouble: &str) -> Option<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    let mut send = |text: String| {
        let text = format!("data: {text}\n\n");
        stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).ok()
    };
    for number in 1..=told {
        let usage = json!({"prompt_tokens": input, "completion_tokens": number, "total_tokens": input + number});
        let word = if number == told && trouble == "stall" {
            "STALLED".to_owned()
        } else {
            format!("w{number} ")
        };
        let choice = json!({"index": 0, "delta": {"content": word}, "finish_reason": null});
        send(json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": usage}).to_string())?;
    }
    if !trouble.is_empty() {
        return Some(());
    }
    let usage =
        json!({"prompt_tokens": input, "completion_tokens": all, "total_tokens": input + all});
    let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    send(
        json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": usage})
            .to_string(),
    )?;
    send("[DONE]".to_owned())?;
    stream.write_all(b"0\r\n\r\n").ok()
}
