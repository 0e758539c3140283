//! Scenarios: what goes wrong when, and changing them while they play.

use crate::faults::until;
use crate::raw::{End, KEY, begun, chat, chat_body, read, request, send, start, stats};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Most rounds until the machine was quick enough for one.
const ROUNDS: usize = 5;

#[tokio::test]
async fn faults_strike_by_count_and_by_time() {
    const FROM: Duration = Duration::from_millis(300);
    let scenario =
        "[[fault]]\nkind = \"overloaded\"\nevery = 2\n[[fault]]\nstatus = 529\nfrom = \"300ms\"";
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let sim = start(scenario).await;
        let mut early = Vec::new();
        for _ in 0..4 {
            early.push(chat(sim.addr(), "m", false, &[]).await.status());
        }
        let in_time = began.elapsed() < FROM;
        tokio::time::sleep(FROM + Duration::from_millis(50)).await;
        assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 529);
        if in_time {
            assert_eq!(early, [200, 503, 200, 503]);
            return;
        }
    }
    panic!("the machine has no time for four calls");
}

#[tokio::test]
async fn a_scenario_can_be_changed_while_it_plays_in_toml_and_in_json() {
    let sim = start("").await;
    assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 200);
    for scenario in ["[[fault]]\nstatus = 500", r#"{"fault":[{"status":500}]}"#] {
        assert_eq!(send(sim.addr(), "PUT /sim/scenario", &[], scenario).await.status(), 200);
        assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 500);
        // Counting starts anew with the scenario.
        assert_eq!(stats(sim.addr()).await["attempts"], 1);
    }
    let wrong = send(sim.addr(), "PUT /sim/scenario", &[], "seed = 1\nsede = 2").await;
    assert_eq!(wrong.status(), 400);
    assert_eq!(wrong.json()["error"]["fix"], "did you mean `seed`?");
    assert_eq!(wrong.json()["error"]["line"], 2);
    assert_eq!(
        chat(sim.addr(), "m", false, &[]).await.status(),
        500,
        "a wrong scenario changes nothing"
    );
}

#[tokio::test]
async fn a_reset_starts_counts_and_limits_anew() {
    let sim = start("limits = { rpm = 1, burst = \"60s\" }").await;
    assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 200);
    assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 429);
    assert_eq!(send(sim.addr(), "POST /sim/reset", &[], "").await.status(), 200);
    assert_eq!(stats(sim.addr()).await["attempts"], 0);
    assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_call_of_an_earlier_scenario_gives_back_no_place_in_this_one() {
    let sim = start("limits = { concurrency = 1 }\nlatency = { token = \"10s\" }").await;
    let begin = async || {
        let mut stream = TcpStream::connect(sim.addr()).await.unwrap();
        let text = request("POST /v1/chat/completions", &[KEY], &chat_body("m", true), true);
        stream.write_all(text.as_bytes()).await.unwrap();
        begun(&mut stream).await;
        stream
    };
    let early = begin().await;
    assert_eq!(send(sim.addr(), "POST /sim/reset", &[], "").await.status(), 200);
    let late = begin().await;
    drop(early);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let counted = stats(sim.addr()).await;
    assert_eq!(
        (counted["in_flight"].as_u64(), counted["client_gone"].as_u64()),
        (Some(1), Some(0))
    );
    assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 429);
    drop(late);
}

#[tokio::test]
async fn connections_are_really_refused_in_their_window_and_accepted_after_it() {
    let window = "[[fault]]\nfault = \"refuse\"\nfrom = 0\nto = \"400ms\"";
    for _ in 0..ROUNDS {
        let sim = start("").await;
        let mut kept = TcpStream::connect(sim.addr()).await.unwrap();
        let began = Instant::now();
        assert_eq!(send(sim.addr(), "PUT /sim/scenario", &[], window).await.status(), 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let text = request("POST /v1/chat/completions", &[KEY], &chat_body("m", false), true);
        kept.write_all(text.as_bytes()).await.unwrap();
        let of_kept = read(&mut kept, Duration::from_secs(30)).await.end;
        let refused = TcpStream::connect(sim.addr()).await.map(drop).map_err(|error| error.kind());
        let in_time = began.elapsed() < Duration::from_millis(400);
        until(async || TcpStream::connect(sim.addr()).await.is_ok()).await;
        assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 200);
        if in_time {
            assert_eq!(of_kept, End::Reset, "a kept connection is no way around");
            assert_eq!(refused, Err(std::io::ErrorKind::ConnectionRefused));
            return;
        }
    }
    panic!("the machine has no time for three connections");
}

#[tokio::test]
async fn latencies_are_kept() {
    let sim =
        start("latency = { headers = \"60ms\", first_token = \"60ms\", token = \"10ms\" }").await;
    let whole = chat(sim.addr(), "m", false, &[]).await;
    assert!(whole.took >= Duration::from_millis(120), "{:?}", whole.took);
    let streamed = chat(sim.addr(), "m", true, &[]).await;
    assert!(streamed.took >= Duration::from_millis(120 + 7 * 10), "{:?}", streamed.took);
}

#[tokio::test]
async fn a_stopped_simulator_leaves_nothing_behind() {
    let sim = start("").await;
    let addr = sim.addr();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    assert_eq!(send(addr, "GET /healthz", &[], "").await.status(), 200);
    sim.stop().await;
    assert!(TcpStream::connect(addr).await.is_err());
    let seen = read(&mut stream, Duration::from_secs(2)).await;
    assert_ne!(seen.end, End::Open);
}

#[tokio::test]
async fn a_taken_port_is_said_with_what_to_do() {
    let sim = start("").await;
    let config =
        mainstay_sim::SimConfig { listen: sim.addr(), ..mainstay_sim::SimConfig::default() };
    let error = mainstay_sim::Sim::start(config).await.unwrap_err().to_string();
    assert!(error.contains(&sim.addr().to_string()) && error.contains("fix:"), "{error}");
}
