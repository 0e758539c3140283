//! Every kind of end at random places of recorded streams, through a gateway and sockets on both
//! sides: each is a whole answer or a typed error for both SDKs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mainstay_core::dice::Dice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cuts::{self, End, FAULTS, Fault, Recorded, Script, broken, judged};
use crate::gate::Gate;
use crate::world::Api;

/// A provider that answers everything with one script, in pieces of chance sizes.
struct Scripted {
    addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Scripted {
    async fn start(seed: u64) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let script = Arc::new(Mutex::new(Script { body: Vec::new(), end: End::Fin }));
        let playing = Arc::clone(&script);
        let accepting = tokio::spawn(async move {
            let mut connections = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connections += 1;
                let dice = Dice::new(seed + connections);
                tokio::spawn(serve(stream, Arc::clone(&playing), dice));
            }
        });
        Scripted { addr, script, accepting }
    }

    fn play(&self, script: Script) {
        *self.script.lock().expect("no panic holds it") = script;
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>, mut dice: Dice) {
    while take_request(&mut stream).await {
        let Script { body, end } = script.lock().expect("no panic holds it").clone();
        let mut out =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                .to_vec();
        let mut rest = &body[..];
        while !rest.is_empty() {
            let size = usize::try_from(1 + dice.below(700)).expect("small").min(rest.len());
            let (piece, later) = rest.split_at(size);
            out.extend_from_slice(format!("{size:x}\r\n").as_bytes());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
            rest = later;
            // Now and then what was said so far is on its way before the next is.
            if dice.below(4) == 0 {
                if stream.write_all(&std::mem::take(&mut out)).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
        match end {
            End::Fin => out.extend_from_slice(b"0\r\n\r\n"),
            End::Rst => {
                let _ = stream.write_all(&out).await;
                return;
            }
            End::Silence => {}
        }
        if stream.write_all(&out).await.is_err() {
            return;
        }
        if matches!(end, End::Silence) {
            let _ = stream.read(&mut [0; 1]).await;
            return;
        }
    }
}

/// Reads one request with its body; `false` at the end of the connection.
async fn take_request(stream: &mut TcpStream) -> bool {
    let (mut raw, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&raw[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |text| text.trim().parse().expect("a number"));
            if raw.len() >= end + 4 + length {
                return true;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => raw.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => return false,
        }
    }
}

const ATTEMPTS: &str = "[policy.breaker]\nenabled = false\n[policy.retry]\nattempts_max = 2\nattempts_per_call_max = 3\ntransient_base = \"1ms\"\ntransient_cap = \"4ms\"\n";
/// Short silences, so that many of them fit; the rules are the same. Longer where many lanes share a
/// core, so that what is late is seldom taken for silent.
const SILENCES: [&str; 3] =
    if cfg!(feature = "full") { ["1s", "3s", "3s"] } else { ["150ms", "500ms", "500ms"] };
/// What did not end well is played again with these: a busy machine is late by less, and a fault of ours
/// shows again.
const PATIENT: [&str; 3] = ["5s", "15s", "15s"];
/// Plays that may be repeated, so that what fails often is not taken for late.
const AGAIN_MAX: usize = CUTS / 8;

/// A gateway over scripted providers.
struct Lane {
    primary: Scripted,
    fallback: Scripted,
    both: Gate,
    alone: Gate,
}

impl Lane {
    async fn start(seed: u64, [soft, first, idle]: [&str; 3]) -> Lane {
        let (primary, fallback) =
            (Scripted::start(seed).await, Scripted::start(seed + 500_000).await);
        let settings = format!(
            "{ATTEMPTS}[policy.timeouts]\nfirst_content_soft = \"{soft}\"\nfirst_content = \"{first}\"\nidle = \"{idle}\"\n"
        );
        let both = Gate::over(&[primary.addr, fallback.addr], &settings);
        let alone = Gate::over(&[primary.addr], &settings);
        Lane { primary, fallback, both, alone }
    }

    /// What both SDKs make of a fault, with a fallback and alone; how many of the two ended whole.
    ///
    /// # Errors
    ///
    /// One did not end well.
    async fn play(
        &self,
        n: usize,
        recorded: &Recorded,
        at: usize,
        fault: Fault,
    ) -> Result<u32, String> {
        let place = format!("{}, {fault:?} at {at}", recorded.name);
        // Nobody tells a run again, so that damage in it is passed over like garbage.
        let once = recorded.api == Api::Run;
        if once && fault == Fault::Damage {
            return Ok(0);
        }
        self.primary.play(broken(recorded.api, &recorded.primary, at, fault));
        self.fallback.play(Script { body: recorded.fallback.clone(), end: End::Fin });
        let whole = ask(&self.both, n, recorded).await;
        let (whole, end) = whole.map_err(|why| format!("{place}: {why}"))?;
        if !whole && !once {
            return Err(format!("{place}: with a fallback every answer is completed, not {end}"));
        }
        // Alone, damage cannot be told from garbage, which is passed over.
        if fault == Fault::Damage {
            return Ok(u32::from(whole));
        }
        let alone = ask(&self.alone, n, recorded).await;
        let (alone, end) = alone.map_err(|why| format!("{place} alone: {why}"))?;
        if !alone && fault == Fault::Garbage {
            return Err(format!("{place} alone: garbage is passed over, not {end}"));
        }
        Ok(u32::from(whole) + u32::from(alone))
    }
}

/// One call, of a model of its own: what is learnt of one must not meet the next.
/// Whether it was whole, and how it ended.
async fn ask(gate: &Gate, n: usize, recorded: &Recorded) -> Result<(bool, String), String> {
    let model = format!("gpt-{n}");
    let (_, path) = recorded.api.endpoint();
    let body = recorded.api.body(&model, "call the tool in 8 words", true);
    let heard = gate.post(path, "", &body.to_string()).await;
    if heard.status == 200 {
        let whole = judged(recorded, &heard.body, heard.is_cut())?;
        let text = heard.text();
        let end = text.char_indices().nth_back(400).map_or(0, |(at, _)| at);
        return Ok((whole, format!("… {}", &text[end..])));
    }
    heard.error();
    let typed = heard.status >= 500 && heard.header("x-should-retry") == "false";
    let end = format!("{} {}", heard.status, heard.text());
    if typed { Ok((false, end)) } else { Err(end) }
}

/// Cuts that are played: as many as the full profile asks for, or a share that is quick.
const CUTS: usize = if cfg!(feature = "full") { 10_000 } else { 224 };
/// Gateways that are asked side by side.
const LANES: usize = if cfg!(feature = "full") { 32 } else { 8 };

#[tokio::test]
async fn cuts_through_the_gateway_end_in_a_whole_answer_or_a_typed_error() {
    let all = Arc::new(cuts::recorded().await);
    let mut lanes = tokio::task::JoinSet::new();
    for number in 0..LANES {
        let all = Arc::clone(&all);
        lanes.spawn(async move {
            let seed = number as u64 * 1_000_000;
            let lane = Lane::start(seed, SILENCES).await;
            let mut dice = Dice::new(0x5EED + number as u64);
            let (mut whole, mut again) = (0, 0);
            for n in (number..CUTS).step_by(LANES) {
                let recorded = &all[n % all.len()];
                let fault = FAULTS[(n / all.len()) % FAULTS.len()];
                let at = usize::try_from(dice.below(recorded.primary.len() as u64)).expect("small");
                whole += match lane.play(n, recorded, at, fault).await {
                    Ok(whole) => whole,
                    Err(first) => {
                        again += 1;
                        let patient = Lane::start(seed + 250_000, PATIENT).await;
                        let played = patient.play(n, recorded, at, fault).await;
                        played.unwrap_or_else(|second| panic!("{second}; before: {first}"))
                    }
                };
            }
            (whole, again)
        });
    }
    let (mut whole, mut again) = (0, 0);
    while let Some(lane) = lanes.join_next().await {
        let lane = lane.expect("every cut ends well");
        (whole, again) = (whole + lane.0, again + lane.1);
    }
    assert!(again <= AGAIN_MAX, "{again} of {CUTS} did not end well at first");
    println!(
        "{CUTS} cuts through the gateway, {again} played again, {whole} of {} ended whole",
        2 * CUTS
    );
}
