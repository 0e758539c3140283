//! The log of a running gateway: one line for each finished call, at `debug`; what failed is told together,
//! louder; and nothing of what was said in it.
#![expect(clippy::unwrap_used, reason = "in a test, what is absent is a failure")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_store::testing::free_port;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What a caller says and must never be read in a log.
const SECRET: &str = "the-caller's-own-words";
const TOKEN: &str = "0123456789abcdef";
/// Every line, for a program.
const ALL: &str = "format = \"json\"\nlevel = \"debug\"\n";

struct World {
    folder: tempfile::TempDir,
    addr: SocketAddr,
    admin: SocketAddr,
    key: String,
    gateway: Child,
    /// A provider that listens and never answers.
    mute: TcpListener,
}

fn command(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.env_clear().env("MAINSTAY_CONFIG", folder.path().join("m.toml")).stdin(Stdio::null());
    command
}

impl World {
    /// A gateway whose section `[log]` has these lines.
    fn start(log: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = format!(
            "[store]\nurl = \"sqlite:{}\"\n[admin]\ntoken = \"{TOKEN}\"\n[log]\n{log}\n\
             [policy.retry]\nattempts_max = 2\nattempts_per_call_max = 2\ntransient_base = \"1ms\"\n\
             [policy.breaker]\nenabled = false\n\
             [[provider]]\nname = \"up\"\nkind = \"sim\"\n\
             [[provider]]\nname = \"mute\"\nbase_url = \"http://{}/v1\"\napi_key = \"sk-mute\"\nmodels = [\"mute\"]\n",
            folder.path().join("m.db").display(),
            mute.local_addr().unwrap()
        );
        std::fs::write(folder.path().join("m.toml"), config).unwrap();
        let made =
            command(&folder).args(["key", "create", "--name", "k", "--json"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let free = || (Ipv4Addr::LOCALHOST, free_port()).into();
        let (addr, admin): (SocketAddr, SocketAddr) = (free(), free());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let gateway = command(&folder)
            .args(["serve", "--listen", &addr.to_string(), "--admin-listen", &admin.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let key = made["key"].as_str().unwrap().to_owned();
        World { folder, addr, admin, key, gateway, mute }
    }

    fn connection(&self) -> TcpStream {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match TcpStream::connect(self.addr) {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < until, "{error}: {}", self.log()),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a chat, and gives the connection.
    fn send(&self, body: &Value) -> TcpStream {
        let (body, mut stream) = (body.to_string(), self.connection());
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
        stream
    }

    /// The status and the request's id of an answered chat.
    fn chat(&self, body: &Value) -> (u16, String) {
        let mut answer = String::new();
        self.send(body).read_to_string(&mut answer).unwrap();
        let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: "));
        (answer[9..12].parse().unwrap(), id.unwrap().to_owned())
    }

    /// What the administration answers.
    fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The lines about finished calls, once there are so many.
    fn lines(&self, count: usize) -> Vec<Value> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let log = self.log();
            let all = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let calls: Vec<Value> =
                all.filter(|line| line["fields"]["endpoint"].is_string()).collect();
            if calls.len() >= count {
                return calls;
            }
            assert!(Instant::now() < until, "{} lines of {count}:\n{log}", calls.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

fn asking(model: &str) -> Value {
    json!({"model": model, "max_tokens": 3, "messages": [{"role": "user", "content": SECRET}]})
}

#[test]
fn each_call_has_one_line_that_says_how_it_ended_and_nothing_that_was_said() {
    let world = World::start(ALL);
    let (answered, failed) =
        (world.chat(&asking("gpt-4o")), world.chat(&asking("sim-internal_error")));
    let refused = world.chat(&json!({"model": "gpt-4o", "max_tokens": SECRET}));
    assert_eq!((answered.0, failed.0, refused.0), (200, 500, 400));
    let gone = world.send(&asking("mute"));
    let (held, _) = world.mute.accept().unwrap();
    drop(gone);
    let lines = world.lines(4);
    drop(held);
    assert_eq!(lines.len(), 4, "one line a call: {lines:#?}");
    let of = |id: &str| {
        let mut found = lines.iter().filter(|line| line["fields"]["id"] == id);
        let line = found.next().unwrap_or_else(|| panic!("{id}: {lines:#?}"));
        assert!(found.next().is_none(), "{id} has two lines");
        (line["level"].as_str().unwrap(), &line["fields"])
    };
    let (level, line) = of(&answered.1);
    assert_eq!((level, &line["message"]), ("DEBUG", &json!("answered")));
    assert_eq!(
        (&line["status"], &line["attempts"], &line["provider"]),
        (&json!(200), &json!(1), &json!("up"))
    );
    assert!(line["output_tokens"].as_u64().unwrap() > 0, "{line}");
    let (level, line) = of(&failed.1);
    assert_eq!((level, &line["message"]), ("DEBUG", &json!("failed")));
    assert_eq!((&line["kind"], &line["origin"]), (&json!("internal_error"), &json!("provider")));
    assert_eq!(
        (&line["attempts"], &line["retries"], &line["key"]),
        (&json!(2), &json!(1), &json!("k"))
    );
    assert!(line["took_ms"].as_u64() >= line["waited_ms"].as_u64(), "{line}");
    let tried = line["tried"].as_str().unwrap();
    assert_eq!(tried.matches("up/sim-internal_error internal_error").count(), 2, "{tried}");
    let (level, line) = of(&refused.1);
    assert_eq!(
        (level, &line["message"], &line["attempts"]),
        ("DEBUG", &json!("refused"), &json!(0))
    );
    assert_eq!((&line["status"], &line["origin"]), (&json!(400), &json!("caller")));
    let left = lines.iter().find(|line| line["fields"]["message"] == "caller left").unwrap();
    assert_eq!((&left["level"], &left["fields"]["status"]), (&json!("DEBUG"), &json!(499)));
    let log = world.log();
    for secret in [SECRET, &world.key, "sk-mute"] {
        assert!(!log.contains(secret), "`{secret}` is in the log");
    }
}

#[test]
fn log_record_and_metrics_are_of_one_event_and_agree() {
    let world = World::start(ALL);
    for model in ["gpt-4o", "gpt-4o", "sim-internal_error", "sim-invalid_value"] {
        world.chat(&asking(model));
    }
    world.chat(&json!({"model": "gpt-4o", "max_tokens": SECRET}));
    let lines = world.lines(5);
    let (mut attempts, mut output) = (0, 0);
    for line in lines.iter().map(|line| &line["fields"]) {
        let path = format!("/mainstay/requests/{}", line["id"].as_str().unwrap());
        let record: Value = serde_json::from_str(&world.ask(&path)).unwrap();
        for (said, kept) in [
            ("status", "status"),
            ("key", "key_name"),
            ("project", "project"),
            ("attempts", "attempts"),
            ("waited_ms", "waited_ms"),
            ("took_ms", "took_ms"),
        ] {
            assert_eq!(line[said], record[kept], "{said} of {line} and {record}");
        }
        let kind = record["kind"].as_str().unwrap_or("");
        assert_eq!((&line["kind"], line["code"] == ""), (&json!(kind), record["code"].is_null()));
        assert_eq!(line["output_tokens"].as_u64(), record["output_tokens"].as_u64().or(Some(0)));
        attempts += line["attempts"].as_u64().unwrap();
        output += line["output_tokens"].as_u64().unwrap();
        if !kind.is_empty() {
            let count = lines.iter().filter(|other| other["fields"]["kind"] == kind).count();
            let metric = format!("mainstay_failures_total{{kind=\"{kind}\"}} {count}");
            assert!(world.ask("/metrics").contains(&metric), "{metric}");
        }
    }
    let page = world.ask("/metrics");
    for metric in [
        "mainstay_requests_total{endpoint=\"chat\",status=\"2xx\"} 2".to_owned(),
        "mainstay_requests_total{endpoint=\"chat\",status=\"4xx\"} 2".to_owned(),
        "mainstay_requests_total{endpoint=\"chat\",status=\"5xx\"} 1".to_owned(),
        format!("mainstay_attempts_total {attempts}"),
        format!("mainstay_tokens_total{{provider=\"up\",direction=\"output\"}} {output}"),
    ] {
        assert!(page.lines().any(|line| line == metric), "{metric} is not in\n{page}");
    }
}

#[test]
fn bodies_are_logged_as_the_setting_says_and_never_with_a_key() {
    let body_of = |setting: &str| {
        let world = World::start(&format!("{ALL}bodies = \"{setting}\"\n"));
        let words = format!("{SECRET} and {}", world.key);
        let body = json!({"model": "sim-internal_error", "max_tokens": 3, "messages": [{"role": "user", "content": words}]});
        world.chat(&body);
        let body = world.lines(1)[0]["fields"]["body"].as_str().unwrap().to_owned();
        assert!(!world.log().contains(&world.key), "{setting}: {}", world.log());
        body
    };
    assert_eq!(body_of("off"), "");
    let shape = body_of("shape");
    assert!(shape.contains("\"max_tokens\":3") && !shape.contains(SECRET), "{shape}");
    let content = body_of("content");
    assert!(content.contains(SECRET) && content.contains("***"), "{content}");
}

#[test]
fn an_outage_is_a_few_lines_that_count_and_name_a_call_to_look_at() {
    const CALLS: u64 = 40;
    let mut world = World::start("format = \"json\"\nlevel = \"info\"\n");
    let first = world.chat(&asking("sim-internal_error")).1;
    for _ in 1..CALLS {
        assert_eq!(world.chat(&asking("sim-internal_error")).0, 500);
    }
    let refused = world.chat(&json!({"model": "gpt-4o", "max_tokens": SECRET})).1;
    let pid = world.gateway.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    world.gateway.wait().unwrap();
    let log = world.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["fields"]["calls"].is_u64()).collect();
    let of = |message: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["fields"]["message"] == message).collect()
    };
    let failed = of("calls failed");
    // The first at once, then one in ten seconds.
    assert!((2..=6).contains(&failed.len()), "{log}");
    let sum: u64 = failed.iter().map(|line| line["fields"]["calls"].as_u64().unwrap()).sum();
    assert_eq!(sum, CALLS, "{log}");
    let line = &failed[0]["fields"];
    assert_eq!((&failed[0]["level"], &line["first"]), (&json!("WARN"), &json!(first)));
    assert_eq!((&line["kind"], &line["origin"]), (&json!("internal_error"), &json!("provider")));
    assert_eq!((&line["provider"], &line["model"]), (&json!("up"), &json!("sim-internal_error")));
    let line = of("calls were refused")[0];
    assert_eq!((&line["level"], &line["fields"]["first"]), (&json!("INFO"), &json!(refused)));
    assert_eq!(line["fields"]["key"], "k");
    assert!(!log.contains("\"endpoint\""), "nothing about a single call: {log}");
    assert!(!log.contains(SECRET) && !log.contains(&world.key), "{log}");
}

#[test]
fn lines_for_people_have_the_same_fields_and_levels_are_obeyed() {
    let world = World::start("level = \"warn\"\n");
    world.chat(&asking("gpt-4o"));
    let (_, id) = world.chat(&asking("sim-internal_error"));
    let until = Instant::now() + Duration::from_secs(30);
    let line = loop {
        let log = world.log();
        if let Some(line) = log.lines().find(|line| line.contains(&id)) {
            break line.to_owned();
        }
        assert!(Instant::now() < until, "{log}");
        std::thread::sleep(Duration::from_millis(20));
    };
    for part in ["WARN", "calls failed", "kind=\"internal_error\"", "calls=1", "provider=\"up\""] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!world.log().contains("answered id="), "{}", world.log());
}
