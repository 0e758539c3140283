//! A provider that is away for all its callers while they go on calling: over real sockets, at a
//! tenth of the time and an eighth of the calls a second, or at full length with `MAINSTAY_TEST_FULL=1` (`cargo xtask test --full`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_sim::{Scenario, Sim, SimConfig};

use crate::script::{body, gateway, sound};

/// What is played.
struct Run {
    /// Calls a second.
    rate: u32,
    /// Seconds of peace before, of outage, and after.
    before: u32,
    away: u32,
    after: u32,
    patience: u32,
    /// How long after the return everything must be as it was.
    settled: u32,
}

const SHORT: Run = Run { rate: 25, before: 3, away: 6, after: 8, patience: 12, settled: 5 };
const FULL: Run = Run { rate: 200, before: 10, away: 60, after: 15, patience: 90, settled: 5 };

/// Most rounds until one is as fast as promised.
const ROUNDS: usize = 3;

/// A call: when it was made and when it was answered, in seconds since the start, and its status.
#[derive(Clone, Copy, Debug)]
struct Ended {
    made: f64,
    answered: f64,
    status: u16,
}

#[test]
fn an_outage_loses_no_call_and_costs_no_storm() {
    let full = std::env::var("MAINSTAY_TEST_FULL").is_ok_and(|value| !value.is_empty());
    let run = if full { FULL } else { SHORT };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    // No round loses a call. How fast all is as it was says nothing of us where the machine has no time
    // for us; where it is our doing, every round is slow.
    let mut slow = Vec::new();
    while slow.len() < ROUNDS {
        match runtime.block_on(play(&run)) {
            Ok(()) => return,
            Err(why) => slow.push(why),
        }
    }
    panic!("each round: {slow:?}");
}

async fn play(run: &Run) -> Result<(), String> {
    let back = f64::from(run.before + run.away);
    let scenario = format!(
        "[latency]\nheaders = [\"20ms\", \"60ms\"]\n\
         [[fault]]\nkind = \"service_unavailable\"\nfrom = \"{}s\"\nto = \"{back}s\"\n",
        run.before
    );
    let scenario = Scenario::from_toml(&scenario).expect("a sound scenario");
    let sim = Sim::start(SimConfig { listen: ([127, 0, 0, 1], 0).into(), scenario })
        .await
        .expect("a port");
    let config = sound(&format!(
        "[policy.retry]\npatience = \"{}s\"\n[[provider]]\nname = \"up\"\nbase_url = \"{}\"\napi_key = \"sk-up\"\n",
        run.patience,
        sim.base_url()
    ));
    let front = tokio::task::spawn_blocking(move || gateway(&config)).await.expect("a gateway");
    let key = Arc::new(format!("Bearer {}", front.key));
    let (start, calls) = (Instant::now(), run.rate * (run.before + run.away + run.after));
    let mut lanes = Vec::new();
    for _ in 0..64 {
        lanes.push(connect(front.gateway.addr()).await);
    }
    let ended = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..calls {
        let due = Duration::from_secs_f64(f64::from(number) / f64::from(run.rate));
        tokio::time::sleep_until((start + due).into()).await;
        let mut lane = lanes[number as usize % lanes.len()].clone();
        let (key, ended) = (Arc::clone(&key), Arc::clone(&ended));
        tasks.spawn(async move {
            let made = start.elapsed().as_secs_f64();
            let status = call(&mut lane, &key).await;
            let answered = start.elapsed().as_secs_f64();
            ended.lock().expect("no panic").push(Ended { made, answered, status });
        });
    }
    let all = async { while tasks.join_next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("every call ends");
    let attempts = attempts(sim.addr());
    judge(run, back, &ended.lock().expect("no panic"), attempts)
}

/// Holds what came of it to the promises, and prints it. An error is one about time.
#[expect(clippy::print_stdout, reason = "the figures are part of what is asked for")]
fn judge(run: &Run, back: f64, ended: &[Ended], attempts: u64) -> Result<(), String> {
    let lost = ended.iter().filter(|one| one.status != 200).count();
    let settled = back + f64::from(run.settled);
    let came = ended.iter().filter(|one| one.made < settled).count() as f64;
    let caught_up = ended.iter().filter(|one| one.answered < settled).count() as f64 / came;
    let last = ended
        .iter()
        .filter(|one| one.made < back)
        .map(|one| one.answered - back)
        .fold(0.0, f64::max);
    let share = attempts as f64 / ended.len() as f64;
    let goodput = goodput(run, settled, ended);
    println!(
        "{} s away at {} calls a second: {} calls, {lost} lost, {share:.3} attempts a call; goodput {:.1} % of normal \
         from {} s after the return on; the last of those that waited was answered after {last:.2} s, and {:.2} % of \
         all that had come after {} s",
        run.away,
        run.rate,
        ended.len(),
        goodput * 100.0,
        run.settled,
        caught_up * 100.0,
        run.settled,
    );
    assert_eq!(lost, 0, "no call is lost");
    assert!(share <= 1.1, "{share} attempts a call");
    if goodput < 0.99 {
        return Err(format!("goodput {goodput}"));
    }
    // Twelve thousand at once are more than a build for tests answers in five seconds.
    let quick = run.away == SHORT.away || !cfg!(debug_assertions);
    if quick && last > f64::from(run.settled) {
        return Err(format!("answered {last} s after the return"));
    }
    if quick && caught_up < 0.99 {
        return Err(format!("{caught_up} of all had been answered"));
    }
    Ok(())
}

/// Answers from `settled` until calls end, as a share of the calls that came meanwhile: on a busy
/// machine those are fewer than were meant to.
fn goodput(run: &Run, settled: f64, ended: &[Ended]) -> f64 {
    /// Answers that fall behind the end because a call takes a moment.
    const UNDER_WAY: f64 = 5.0;
    let end = f64::from(run.before + run.away + run.after);
    let time = settled..end;
    let came = ended.iter().filter(|one| time.contains(&one.made)).count() as f64;
    let answered = |one: &&Ended| time.contains(&one.answered) && one.status == 200;
    (ended.iter().filter(answered).count() as f64 + UNDER_WAY) / came
}

async fn connect(addr: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(addr).await.expect("the gateway listens");
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (lane, driver) = shaken.expect("HTTP/2 is spoken");
    tokio::spawn(driver);
    lane
}

/// The status of one call; 0 when the connection failed.
async fn call(lane: &mut SendRequest<Full<Bytes>>, key: &str) -> u16 {
    let request = Request::post("http://gateway/v1/chat/completions")
        .header("authorization", key)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body(false))))
        .expect("a sound request");
    let Ok(answer) = lane.send_request(request).await else { return 0 };
    let status = answer.status().as_u16();
    if answer.into_body().collect().await.is_ok() { status } else { 0 }
}

/// Attempts that the simulator has counted.
fn attempts(addr: SocketAddr) -> u64 {
    stats(addr)["attempts"].as_u64().expect("a number")
}

/// What the simulator has counted.
pub(crate) fn stats(addr: SocketAddr) -> serde_json::Value {
    let mut socket = TcpStream::connect(addr).expect("it listens");
    let ask = b"GET /sim/stats HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n";
    socket.write_all(ask).expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    let (_, json) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(json).expect("JSON")
}
