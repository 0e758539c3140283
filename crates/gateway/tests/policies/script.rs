//! Providers that answer by a script, and a gateway before them.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_gateway::config::{Config, Environment, parse};

use crate::support::provider::{COMPLETION, Provider, Seen, json};
use crate::support::{Front, Reply, start};

/// What a stream begins with: long enough to be gone on from.
pub(crate) const OPENING: &str =
    "There was once a sentence that went on and on, until somebody cut it; ";

/// What a provider does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// 200, whole or as a stream, as was asked.
    Well,
    /// The same, so many milliseconds later.
    Slow(u64),
    /// 500.
    Failed,
    /// 503, and the wait in milliseconds that it asks for.
    Away(Option<u64>),
    /// 429, and the wait in milliseconds that it asks for.
    Refused(Option<u64>),
    /// 400 for the request.
    Faulted,
    /// 400 for the length of the prompt.
    TooLong,
    /// 401: our key is refused.
    Locked,
    /// A stream that stands still for so many milliseconds after its first content.
    Stalls(u64),
    /// A stream that is cut after its first content.
    Cut,
}

/// A provider's letter, what it said, and when.
pub(crate) type Told = (char, Say, Instant);

/// Providers `a`, `b`, … by their scripts; after its script each answers well.
pub(crate) struct Cast {
    pub(crate) providers: Vec<Provider>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Cast {
    pub(crate) fn new(scripts: &[&[Say]]) -> Cast {
        let told = Arc::new(Mutex::new(Vec::new()));
        let provider = |(index, script): (usize, &&[Say])| {
            let letter = char::from(b'a' + u8::try_from(index).expect("few providers"));
            let (script, told) = (Mutex::new(script.to_vec()), Arc::clone(&told));
            Provider::new(move |seen, stream| {
                let mut script = script.lock().expect("no panic");
                let say = if script.is_empty() { Say::Well } else { script.remove(0) };
                drop(script);
                told.lock().expect("no panic").push((letter, say, Instant::now()));
                play(say, seen, stream)
            })
        };
        Cast { providers: scripts.iter().enumerate().map(provider).collect(), told }
    }

    /// The letters of the providers in the order in which they were asked.
    pub(crate) fn order(&self) -> String {
        self.told().iter().map(|(letter, ..)| *letter).collect()
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().expect("no panic").clone()
    }

    /// A configuration: what is given, then the providers (with `more` lines in each), then one
    /// route for the model `m` over all of them.
    pub(crate) fn config(&self, policy: &str, more: &str) -> Config {
        sound(&format!("{policy}\n{}{}", self.sections(more), self.route()))
    }

    pub(crate) fn sections(&self, more: &str) -> String {
        let section = |(letter, provider): (char, &Provider)| {
            format!(
                "[[provider]]\nname = \"{letter}\"\nbase_url = \"http://{}/v1\"\napi_key = \"sk-up-{letter}\"\n{more}\n",
                provider.addr
            )
        };
        ('a'..).zip(&self.providers).map(section).collect()
    }

    fn route(&self) -> String {
        let names: Vec<String> =
            ('a'..).zip(&self.providers).map(|(letter, _)| format!("\"{letter}\"")).collect();
        format!("[[route]]\nmodel = \"m\"\ntargets = [{}]\n", names.join(", "))
    }
}

/// A configuration without faults.
pub(crate) fn sound(text: &str) -> Config {
    parse("test.toml", text, &Environment::default())
        .unwrap_or_else(|faults| panic!("{faults:?}\n{text}"))
}

/// A gateway of a configuration.
pub(crate) fn gateway(config: &Config) -> Front {
    start(config, |_| {})
}

/// A chat call for the model `m`.
pub(crate) fn chat(front: &Front, stream: bool) -> Reply {
    front.post("/v1/chat/completions", &body(stream))
}

pub(crate) fn body(stream: bool) -> String {
    format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#)
}

pub(crate) fn play(say: Say, seen: &Seen, stream: &mut TcpStream) -> bool {
    let wants_stream = seen.body.windows(13).any(|part| part == b"\"stream\":true");
    match say {
        Say::Well => well(wants_stream, stream),
        Say::Slow(millis) => {
            std::thread::sleep(Duration::from_millis(millis));
            well(wants_stream, stream)
        }
        Say::Failed => refuse(stream, "500 Internal Server Error", None, "server_error", "null"),
        Say::Away(wait) => refuse(
            stream,
            "503 Service Unavailable",
            wait,
            "server_error",
            "\"service_unavailable\"",
        ),
        Say::Refused(wait) => {
            refuse(stream, "429 Too Many Requests", wait, "requests", "\"rate_limit_exceeded\"")
        }
        Say::Faulted => refuse(stream, "400 Bad Request", None, "invalid_request_error", "null"),
        Say::TooLong => refuse(
            stream,
            "400 Bad Request",
            None,
            "invalid_request_error",
            "\"context_length_exceeded\"",
        ),
        Say::Locked => {
            refuse(stream, "401 Unauthorized", None, "invalid_request_error", "\"invalid_api_key\"")
        }
        Say::Stalls(millis) => {
            let began = head(stream) && event(stream, &chunk(OPENING, "null"));
            std::thread::sleep(Duration::from_millis(millis));
            began && the_rest(stream)
        }
        Say::Cut => {
            head(stream);
            event(stream, &chunk(OPENING, "null"));
            std::thread::sleep(Duration::from_millis(30));
            false
        }
    }
}

fn well(wants_stream: bool, stream: &mut TcpStream) -> bool {
    if wants_stream {
        return head(stream) && event(stream, &chunk(OPENING, "null")) && the_rest(stream);
    }
    stream.write_all(json("200 OK", "", COMPLETION).as_bytes()).is_ok()
}

fn the_rest(stream: &mut TcpStream) -> bool {
    event(stream, &chunk("two", "null"))
        && event(stream, &chunk("", "\"stop\""))
        && event(stream, "[DONE]")
        && stream.write_all(b"0\r\n\r\n").is_ok()
}

fn head(stream: &mut TcpStream) -> bool {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).is_ok()
}

fn event(stream: &mut TcpStream, data: &str) -> bool {
    let event = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).is_ok()
}

fn chunk(text: &str, finish: &str) -> String {
    let delta = if text.is_empty() {
        "{}".to_owned()
    } else {
        format!(r#"{{"role":"assistant","content":"{text}"}}"#)
    };
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}

fn refuse(stream: &mut TcpStream, status: &str, wait: Option<u64>, kind: &str, code: &str) -> bool {
    let wait = wait.map_or(String::new(), |millis| {
        format!("retry-after: {}\r\nretry-after-ms: {millis}\r\n", millis.div_ceil(1000))
    });
    let body = format!(
        r#"{{"error":{{"message":"as the script says","type":"{kind}","param":null,"code":{code}}}}}"#
    );
    stream.write_all(json(status, &wait, &body).as_bytes()).is_ok()
}
