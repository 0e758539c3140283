//! Streams that say nothing for a while, or nothing that ends, through a gateway: comments, start-up
//! frames, the silence of a recovery, an event without end. The provider is a script of pieces and pauses.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gate::{Gate, Heard, gates_with, settings};
use crate::gate_faults::broken;
use crate::sdk::{self, SDKS};
use crate::world::{Api, holds, one_is_good};

/// A pause in milliseconds, and what is said after it.
type Piece = (u64, String);

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn start_up() -> String {
    chunk("{\"role\":\"assistant\",\"content\":\"\"}", "null")
}

fn content(text: &str) -> String {
    chunk(&format!("{{\"content\":\"{text}\"}}"), "null")
}

fn the_end() -> String {
    chunk("{}", "\"stop\"") + "data: [DONE]\n\n"
}

/// A provider that says this to whoever asks.
async fn provider(pieces: Vec<Piece>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(say(stream, pieces.clone()));
        }
    });
    addr
}

async fn say(mut stream: TcpStream, pieces: Vec<Piece>) {
    if !matches!(stream.read(&mut [0; 8192]).await, Ok(1..)) {
        return;
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    for (pause, text) in [(0, head.to_owned())].into_iter().chain(pieces) {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What a caller hears who asks one provider with these settings.
async fn heard(pieces: Vec<Piece>, more: &str) -> Heard {
    Gate::over(&[provider(pieces).await], more).stream(Api::Chat, "hi").await
}

#[track_caller]
fn whole(heard: &Heard, text: &str) {
    for sdk in SDKS {
        let read = sdk::read(sdk, &heard.body, heard.is_cut());
        assert!(read.looks_whole() && read.marker, "{sdk:?}: {}", heard.text());
        assert_eq!(read.text(), text, "{sdk:?}");
    }
}

#[tokio::test]
async fn comments_begin_no_answer_go_on_to_the_caller_and_hold_no_timer_up() {
    let ping = |pause| (pause, ": ping\n\n".to_owned());
    let before = vec![ping(0), (0, start_up()), ping(200), ping(200), (200, content("one"))];
    let fine = [before.clone(), vec![ping(300), ping(300), (300, the_end())]].concat();
    let heard_fine = heard(fine, "[policy.timeouts]\nidle = \"5s\"\n").await;
    whole(&heard_fine, "one");
    assert!(heard_fine.head_after >= Duration::from_millis(590), "{:?}", heard_fine.head_after);
    assert_eq!(heard_fine.text().matches(": ping\n\n").count(), 2, "those after the content");
    // The same comments, and no content any more.
    let endless = [before, (0..30).map(|_| ping(100)).collect()].concat();
    let settings = "[policy.retry]\nattempts_max = 1\n[policy.timeouts]\nidle = \"700ms\"\n";
    one_is_good(async || {
        let dead = heard(endless.clone(), settings).await;
        broken(Api::Chat, &dead);
        let after = dead.took.saturating_sub(dead.head_after);
        let pings = dead.text().matches(": ping\n\n").count();
        let good = after < Duration::from_millis(1800) && pings >= 3;
        holds(good, format_args!("the timer of content ran: {after:?}, {pings} comments"))
    })
    .await;
}

#[tokio::test]
async fn start_up_frames_are_held_back_for_as_long_as_they_are_few() {
    for (frames, held) in [(1, true), (500, true), (4000, false)] {
        let pieces = vec![(0, start_up().repeat(frames)), (1500, content("one")), (0, the_end())];
        one_is_good(async || {
            let heard = heard(pieces.clone(), "").await;
            whole(&heard, "one");
            let size = start_up().len() * frames;
            let after = heard.head_after;
            let so = (after >= Duration::from_millis(1490)) == held;
            holds(so, format_args!("{size} bytes held for {after:?}"))
        })
        .await;
    }
}

/// Frames that promise an answer are no answer: they are held back for no longer than silence is.
#[tokio::test]
async fn start_up_frames_of_a_silent_target_are_never_seen_beside_the_answer_of_another() {
    let silent = provider(vec![(0, start_up().repeat(3)), (20_000, the_end())]).await;
    let other = start_up().replace("c1", "c2") + &content("one").replace("c1", "c2");
    let other = provider(vec![(0, other), (0, the_end().replace("c1", "c2"))]).await;
    let heard = Gate::over(&[silent, other], &settings()).stream(Api::Chat, "hi").await;
    whole(&heard, "one");
    assert_eq!(sdk::read(SDKS[0], &heard.body, false).ids, ["c2"], "{}", heard.text());
    assert_eq!(heard.header("x-mainstay-provider"), "fallback");
}

#[tokio::test]
async fn a_caller_with_little_patience_hears_something_while_another_target_is_waited_for() {
    let cut = "[[fault]]\nfault = \"cut_rst\"\nafter = 4\n";
    let late = "[[fault]]\nfault = \"slow_first_token\"\nfor = \"1700ms\"\n";
    let patient = settings().replace("first_content = ", "first_content = \"20s\" # ");
    one_is_good(async || {
        let gates = gates_with(cut, late, &patient).await;
        let said = "say it in 12 words";
        let (path, body) = gates.gate.streamed(Api::Chat, "gpt-4o", said).await;
        let heard = gates.gate.post(&path, "x-stainless-read-timeout: 2\r\n", &body).await;
        whole(&heard, &format!("Heard {} bytes:{}", said.len(), crate::world::words(12)));
        let waited = Duration::from_millis(1700);
        assert!(heard.took >= waited, "the other was waited for: {:?}", heard.took);
        let signs = heard.text().matches(": mainstay\n\n").count();
        let good = heard.silence < Duration::from_millis(1300) && signs >= 2;
        holds(good, format_args!("{:?} of silence, {signs} signs", heard.silence))
    })
    .await;
}

#[tokio::test]
async fn an_event_that_never_ends_is_a_typed_error_and_takes_no_more_than_its_bound() {
    let endless = content("one") + &content(&"x".repeat(9 << 20));
    let dead = heard(vec![(0, endless)], "[policy.retry]\nattempts_max = 1\n").await;
    broken(Api::Chat, &dead);
    assert!(dead.body.len() < 4096, "{} bytes of it were passed on", dead.body.len());
}
