//! A live attempt, and what goes on record of it.

use http::{HeaderName, HeaderValue};
use mainstay_core::classify::Verdict;
use mainstay_core::failure::Kind;
use mainstay_core::plan::Plan;
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Group;
use mainstay_core::wire::notes::Told;
use mainstay_core::wire::traceparent::TraceContext;

use crate::call::{AttemptRecord, Call, Trace, Used};
use crate::flow::Flow;
use crate::targets::Shared;
use crate::upstream::AttemptRequest;

/// A live attempt.
pub(super) struct Live<A> {
    pub(super) attempt: A,
    pub(super) flow: Flow,
    /// The candidate it was made on.
    pub(super) track: usize,
    /// Its place in the trace.
    pub(super) record: Option<usize>,
    /// It has told its end, and is not asked again.
    pub(super) ended: bool,
}

impl<A> Live<A> {
    /// Tokens used so far.
    pub(super) fn used(&self, plan: &Plan<Shared>) -> Option<Used> {
        self.flow.used(plan.handle(self.track).0.model.as_deref())
    }

    /// Tokens of the answer when this attempt goes on with what another had told of it: that part
    /// is output for the caller, though the provider counts it as input.
    pub(super) fn used_after(&self, told: Option<Used>, plan: &Plan<Shared>) -> Option<Used> {
        let used = self.used(plan);
        let Some(told) = told.filter(|_| self.flow.goes_on()) else { return used };
        let Some(mut used) = used else { return Some(told) };
        used.usage.input = used.usage.input.saturating_sub(told.usage.output);
        used.usage.output = used.usage.output.saturating_add(told.usage.output);
        used.counted |= told.counted;
        Some(used)
    }
}

/// Whether a target refused because the tokens used were asked for. Older servers do not know the
/// option and name it in their refusal.
pub(super) fn refuses_usage(verdict: &Verdict) -> bool {
    let said = verdict.failure.provider.message.as_deref().unwrap_or_default();
    let param = verdict.failure.provider.param.as_deref().unwrap_or_default();
    let named = |text: &str| text.contains("stream_options") || text.contains("include_usage");
    matches!(verdict.failure.provider.status, Some(400 | 422)) && (named(said) || named(param))
}

/// Where what an answer tells of itself is kept: for calls that are traced, of models.
pub(super) fn notes(call: &Call) -> Option<Box<Told>> {
    let answers = match call.endpoint.group() {
        Group::Chat
        | Group::Responses
        | Group::Completions
        | Group::Embeddings
        | Group::Moderations
        | Group::Images
        | Group::Audio
        | Group::Runs => true,
        Group::Threads | Group::Batches | Group::Models | Group::Files | Group::Other => false,
    };
    (answers && call.traced.is_some_and(|context| context.sampled)).then(Box::default)
}

/// Puts the attempt's own span into its request, in place of the caller's.
pub(super) fn trace_context(
    request: &mut AttemptRequest,
    call: Option<TraceContext>,
    number: usize,
) {
    let Some(call) = call else { return };
    let span = call.attempt(u32::try_from(number).unwrap_or(u32::MAX));
    if let Ok(value) = HeaderValue::try_from(span.header()) {
        request.headers.insert(TRACEPARENT, value);
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(super) fn note(
    trace: &mut Trace,
    record: Option<usize>,
    change: impl FnOnce(&mut AttemptRecord),
) {
    if let Some(record) = record.and_then(|at| trace.records.get_mut(at)) {
        change(record);
    }
}

/// The time to the first content, or to the end for an attempt without any.
pub(super) fn note_time(trace: &mut Trace, record: Option<usize>, now: Moment) {
    note(trace, record, |record| {
        if record.took.is_zero() {
            record.took = now.since(record.started);
        }
    });
}

pub(super) fn note_end<A>(
    trace: &mut Trace,
    live: &Live<A>,
    plan: &Plan<Shared>,
    now: Moment,
    kind: Option<Kind>,
) {
    let (bytes, dropped, used) = (live.flow.bytes, live.flow.dropped(), live.used(plan));
    note_time(trace, live.record, now);
    note(trace, live.record, |record| {
        record.ended = Some(now);
        record.bytes = bytes;
        record.dropped = dropped;
        record.kind = kind;
        record.used = used;
        record.sound_ms = live.flow.sound_ms;
        record.told.clone_from(&live.flow.notes);
    });
}

/// `content-length` of an answer that passes unchanged.
pub(super) fn content_length(head: &crate::upstream::AnswerHead, flow: &Flow) -> Option<u64> {
    if flow.is_events() {
        return None;
    }
    head.headers.text("content-length")?.parse().ok()
}
