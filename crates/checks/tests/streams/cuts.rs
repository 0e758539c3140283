//! Every kind of end at every place of recorded streams, without sockets: each is a whole answer or
//! a typed error for both SDKs, never a half that looks whole, never two answers mixed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use mainstay::upstream::{AnswerHead, Attempt, AttemptEvent, AttemptRequest, Upstream};
use mainstay_core::classify::TransportFault;
use mainstay_core::dice::Dice;
use mainstay_core::policy::Policy;
use mainstay_sim::Sim;

use crate::sdk::{self, Read, SDKS, Sdk};
use crate::world::{Api, World, engine, provider, sim, world};

/// How a stream ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The body ends as HTTP says it must.
    Fin,
    /// The connection breaks.
    Rst,
    /// Nothing comes any more.
    Silence,
    /// An error event after the last whole event, then the end.
    InBand,
    /// The rest of the event is lost, what follows is sound.
    Damage,
    /// An event more that cannot be read, before the one that is hit.
    Garbage,
    /// The events before, then the marker at once.
    Marker,
}

pub(crate) const FAULTS: [Fault; 7] = [
    Fault::Fin,
    Fault::Rst,
    Fault::Silence,
    Fault::InBand,
    Fault::Damage,
    Fault::Garbage,
    Fault::Marker,
];

/// What a provider sends, and how it ends.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Fin,
    Rst,
    Silence,
}

pub(crate) fn broken(api: Api, whole: &[u8], at: usize, fault: Fault) -> Script {
    let at = match fault {
        // An event of which nothing is left was never there: something of it must be.
        Fault::Damage => (at.max(1)..whole.len()).find(|&n| whole[n - 1] != b'\n').unwrap_or(at),
        Fault::Fin
        | Fault::Rst
        | Fault::Silence
        | Fault::InBand
        | Fault::Garbage
        | Fault::Marker => at,
    };
    let before = whole[..at].windows(2).rposition(|two| two == b"\n\n").map_or(0, |end| end + 2);
    let after =
        whole[at..].windows(2).position(|two| two == b"\n\n").map_or(whole.len(), |n| at + n);
    let (body, end) = match fault {
        Fault::Fin => (whole[..at].to_vec(), End::Fin),
        Fault::Rst => (whole[..at].to_vec(), End::Rst),
        Fault::Silence => (whole[..at].to_vec(), End::Silence),
        Fault::InBand => {
            let error = r#"{"message":"overloaded","type":"server_error","code":"server_is_overloaded","param":null}"#;
            let event = match api {
                Api::Chat | Api::ChatTool | Api::Completions => {
                    format!("data: {{\"error\":{error}}}\n\n")
                }
                Api::Responses | Api::ResponsesTool | Api::Run => format!(
                    "event: error\ndata: {{\"type\":\"error\",\"error\":{error},\"sequence_number\":9}}\n\n"
                ),
            };
            ([&whole[..before], event.as_bytes()].concat(), End::Fin)
        }
        Fault::Damage => ([&whole[..at], &whole[after..]].concat(), End::Fin),
        Fault::Garbage => {
            let garbage = b"data: {\"id\":\"x\",\"cho\n\n";
            ([&whole[..before], garbage, &whole[before..]].concat(), End::Fin)
        }
        Fault::Marker => ([&whole[..before], b"data: [DONE]\n\n"].concat(), End::Fin),
    };
    Script { body, end }
}

/// Answers each attempt from the script of its port: 1 the primary's, 2 the fallback's.
struct Scripted {
    scripts: [Script; 2],
    dice: Mutex<Dice>,
}

struct Played {
    events: VecDeque<AttemptEvent>,
}

impl Upstream for Scripted {
    type Attempt = Played;

    fn start(&self, request: AttemptRequest) -> Played {
        let script = &self.scripts[usize::from(request.destination.port) - 1];
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
        let head = AnswerHead { status: StatusCode::OK, headers: headers.into() };
        let mut events = VecDeque::from([AttemptEvent::Head(head)]);
        let mut dice = self.dice.lock().expect("no panic holds it");
        let mut rest = &script.body[..];
        while !rest.is_empty() {
            let size = usize::try_from(1 + dice.below(700)).expect("small").min(rest.len());
            let (piece, later) = rest.split_at(size);
            events.push_back(AttemptEvent::Data(Bytes::copy_from_slice(piece)));
            rest = later;
        }
        match script.end {
            End::Fin => events.push_back(AttemptEvent::End),
            End::Rst => events.push_back(AttemptEvent::Fault(TransportFault::CutMidBody)),
            End::Silence => {}
        }
        Played { events }
    }
}

impl Attempt for Played {
    fn poll_event(&mut self, _cx: &mut Context<'_>) -> Poll<AttemptEvent> {
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// A recorded stream: what the primary tells, and the same answer told by the fallback.
pub(crate) struct Recorded {
    pub(crate) name: &'static str,
    pub(crate) api: Api,
    pub(crate) primary: Vec<u8>,
    pub(crate) fallback: Vec<u8>,
}

pub(crate) async fn recorded() -> Vec<Recorded> {
    let plain = sim("").await;
    let foreign = sim(
        "[answer]\ntext = \"Gr\u{fc}\u{df}e \u{4f60}\u{597d} \\\"so\\\" \u{1f600} \\\\ end\"\n",
    )
    .await;
    for (path, body) in [
        ("assistants", r#"{"model":"gpt-4o"}"#),
        ("threads", r#"{"messages":[{"role":"user","content":"say it in 8 words"}]}"#),
    ] {
        crate::world::post(&plain, path, body).await;
    }
    let mut all = Vec::new();
    for (name, api, from) in [
        ("chat", Api::Chat, &plain),
        ("chat, foreign", Api::Chat, &foreign),
        ("chat, a tool", Api::ChatTool, &plain),
        ("completions", Api::Completions, &plain),
        ("responses", Api::Responses, &plain),
        ("responses, foreign", Api::Responses, &foreign),
        ("responses, a tool", Api::ResponsesTool, &plain),
        ("a run", Api::Run, &plain),
    ] {
        let (primary, fallback) =
            (record(from, api, "gpt-4o").await, record(from, api, "other").await);
        assert_ne!(primary, fallback, "ids and models differ");
        all.push(Recorded { name, api, primary, fallback });
    }
    all
}

async fn record(from: &Sim, api: Api, model: &str) -> Vec<u8> {
    let world = world(vec![provider("primary", from.addr().port())], &Policy::default());
    let call = world.call(api, model, "call the tool in 8 words", true);
    world.run(call).await.expect("a sound answer").body
}

/// What must be equal in two readings of the same answer: everything but ids.
fn texts(read: &Read) -> Vec<(&String, &String)> {
    read.texts.iter().filter(|(place, _)| !place.ends_with(" id")).collect()
}

/// What both SDKs make of one run; `Err` says what is wrong.
async fn outcome(world: &World<Scripted>, recorded: &Recorded) -> Result<bool, String> {
    let call = world.call(recorded.api, "gpt-4o", "call the tool in 8 words", true);
    let Ok(got) = world.run(call).await else { return Ok(false) };
    judged(recorded, &got.body, got.cut.is_some())
}

/// Whether a body is a whole answer for both SDKs; `Err` when it is neither that nor an error.
pub(crate) fn judged(recorded: &Recorded, body: &[u8], cut: bool) -> Result<bool, String> {
    let mut whole = true;
    for sdk in SDKS {
        let read = sdk::read(sdk, body, cut);
        let told = [&recorded.primary, &recorded.fallback].map(|body| sdk::read(sdk, body, false));
        if read.ids.len() > 1 {
            return Err(format!("{sdk:?}: two ids {:?}", read.ids));
        }
        if !read.looks_whole() {
            whole = false;
            if read.raised != Some("APIError") || read.marker || read.finished {
                return Err(format!("{sdk:?}: neither whole nor an error: {read:?}"));
            }
            continue;
        }
        if texts(&read) != texts(&told[0]) {
            return Err(format!("{sdk:?}: another text: {:?}", read.texts));
        }
        let ids = |read: &Read| -> Vec<String> {
            read.texts
                .iter()
                .filter(|(p, _)| p.ends_with(" id"))
                .map(|(_, id)| id.clone())
                .collect()
        };
        if !told.iter().any(|told| ids(told) == ids(&read)) {
            return Err(format!("{sdk:?}: ids of both tellings: {:?}", ids(&read)));
        }
        if recorded.api.has_marker() && !read.marker {
            return Err(format!("{sdk:?}: no marker"));
        }
    }
    Ok(whole)
}

fn scripted(primary: Script, fallback: Option<&[u8]>, seed: u64) -> World<Scripted> {
    let mut providers = vec![provider("primary", 1)];
    providers.extend(fallback.map(|_| provider("fallback", 2)));
    let other = Script { body: fallback.unwrap_or_default().to_vec(), end: End::Fin };
    let upstream = Scripted { scripts: [primary, other], dice: Mutex::new(Dice::new(seed)) };
    World { engine: engine(providers, &Policy::default()), upstream: Arc::new(upstream) }
}

/// Plays a fault at a place, with a fallback and alone; how many of the two ended whole.
async fn play(recorded: &Recorded, at: usize, fault: Fault) -> u32 {
    let script = broken(recorded.api, &recorded.primary, at, fault);
    let place = format!("{}, {fault:?} at {at}", recorded.name);
    // Nobody tells a run again, so that damage in it is passed over like garbage.
    let once = recorded.api == Api::Run;
    if once && fault == Fault::Damage {
        return 0;
    }
    let with = scripted(script.clone(), Some(&recorded.fallback), at as u64);
    let whole = outcome(&with, recorded).await.unwrap_or_else(|why| panic!("{place}: {why}"));
    assert!(whole || once, "{place}: with a fallback every answer is completed");
    // Alone, damage cannot be told from garbage, which is passed over.
    if fault == Fault::Damage {
        return 1;
    }
    let alone = scripted(script, None, at as u64);
    let whole =
        outcome(&alone, recorded).await.unwrap_or_else(|why| panic!("{place} alone: {why}"));
    assert!(whole || fault != Fault::Garbage, "{place} alone: garbage is passed over");
    1 + u32::from(whole)
}

/// Cuts that are played: as many as the full profile asks for, or a share that is quick.
const CUTS: usize = if cfg!(feature = "full") { 10_000 } else { 1_500 };

#[tokio::test]
async fn cuts_anywhere_end_in_a_whole_answer_or_a_typed_error() {
    let all = recorded().await;
    tokio::time::pause();
    let mut dice = Dice::new(0x00C0_FFEE);
    let mut whole = 0;
    for n in 0..CUTS {
        let recorded = &all[n % all.len()];
        let fault = FAULTS[(n / all.len()) % FAULTS.len()];
        let at = usize::try_from(dice.below(recorded.primary.len() as u64)).expect("small");
        whole += play(recorded, at, fault).await;
    }
    println!("{CUTS} cuts, {whole} of {} ended whole", 2 * CUTS);
}

#[test]
fn the_model_of_the_sdks_tells_a_half_from_a_whole() {
    let whole =
        b"data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    let read = sdk::read(Sdk::Python, whole, false);
    assert!(!read.looks_whole() && read.raised.is_none(), "neither: that is what must not happen");
    let tail = [&whole[..], b"data: {\"id\""].concat();
    assert_eq!(sdk::read(Sdk::Python, &tail, false).raised, None, "dropped");
    assert_eq!(sdk::read(Sdk::Node, &tail, false).raised, Some("not JSON"), "flushed");
    assert_eq!(sdk::read(Sdk::Node, whole, true).raised, Some("terminated"));
}
