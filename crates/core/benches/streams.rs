//! What one content event of a stream costs between the socket and the caller: cut out, judged, noted.

use bytes::Bytes;
use divan::{Bencher, black_box};
use mainstay_core::wire::sse::Splitter;
use mainstay_core::wire::stream::{Event, Family, Judge};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

const CHAT: &str = "data: {\"id\":\"chatcmpl-AbC123\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"aBcDeF\"}\n\n";
const RESPONSES: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":7,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\" word\",\"logprobs\":[],\"obfuscation\":\"aBcDeF\"}\n\n";
const RUN: &str = "event: thread.message.delta\ndata: {\"id\":\"msg_1\",\"object\":\"thread.message.delta\",\"delta\":{\"content\":[{\"index\":0,\"type\":\"text\",\"text\":{\"value\":\" word\"}}]}}\n\n";

/// Events of one stream before the next begins, so that what is kept of a stream stays as small as
/// that of an answer.
const EVENTS: u32 = 1000;

fn relay(bencher: Bencher<'_, '_>, family: Family, event: &str) {
    let event = Bytes::copy_from_slice(event.as_bytes());
    let (mut splitter, mut events) = (Splitter::default(), Vec::new());
    let mut judge = Judge::new(family).with_transcript();
    let mut seen = 0;
    bencher.bench_local(|| {
        seen += 1;
        if seen % EVENTS == 0 {
            judge = Judge::new(family).with_transcript();
        }
        if splitter.feed(black_box(&event), &mut events).is_ok() {
            for event in events.drain(..) {
                assert_eq!(black_box(judge.see(&event)), Event::Content);
            }
        }
    });
}

#[divan::bench]
fn chat(bencher: Bencher<'_, '_>) {
    relay(bencher, Family::Completions, CHAT);
}

#[divan::bench]
fn responses(bencher: Bencher<'_, '_>) {
    relay(bencher, Family::Responses, RESPONSES);
}

#[divan::bench]
fn run_of_an_assistant(bencher: Bencher<'_, '_>) {
    relay(bencher, Family::Assistants, RUN);
}

/// The cutting alone.
#[divan::bench]
fn splitter(bencher: Bencher<'_, '_>) {
    let event = Bytes::from_static(CHAT.as_bytes());
    let (mut splitter, mut events) = (Splitter::default(), Vec::new());
    bencher.bench_local(|| {
        let fed = splitter.feed(black_box(&event), &mut events);
        events.clear();
        fed
    });
}
