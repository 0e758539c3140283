//! Whether a prompt fits its model, known before it is sent.
//!
//! Near a caller's limit on tokens, too, the prompt is counted before the call is refused.
//!
//! On the hot path nothing is counted: the bytes of a body are a bound on its tokens, and only what may
//! fill a known window is estimated. Within 15 % of the window the texts are counted with the model's
//! vocabulary, away from the thread that serves calls. What is not certain is the provider's to say.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use std::time::Duration;

use bytes::Bytes;
use mainstay::call::{Call, CallBody};
use mainstay::{Edition, Engine, Reach};
use mainstay_core::failure::{Kind, Scope};
use mainstay_core::validate::{Fault, Level, Report};
use mainstay_core::wire::endpoint::{Endpoint, Group};
use mainstay_tokens::estimate;
use mainstay_tokens::fits::{TooLong, certainly_too_long};
use mainstay_tokens::models::{self, Vocabulary, Window};
use mainstay_tokens::request::weigh;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::recent::Recent;
use crate::refused::Refused;

/// Most counts at once, over all workers, and never more than half the processors: a flood of long
/// prompts cannot take them from other calls.
const COUNTS_MAX: usize = 4;
static COUNTS: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, std::num::NonZero::get);
    Semaphore::new((processors / 2).clamp(1, COUNTS_MAX))
});
/// Calls that wait for their count, over all workers. What comes beyond them is left to the provider.
const WAITING_MAX: usize = 64;
static WAITING: Semaphore = Semaphore::const_new(WAITING_MAX);
/// Longest wait for a count's turn, small beside what an answer to a long prompt takes; then the
/// provider decides.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Largest body that is counted, in bytes; no window known is as long.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// What is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Prompt<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) model: &'a str,
    pub(crate) body: &'a Bytes,
    /// The most output asked for in one answer, and the field that says so.
    pub(crate) asked: Option<u64>,
    pub(crate) level: Level,
    /// The whole time that the caller gives his call.
    pub(crate) time: Option<Duration>,
}

/// A place among the counts; `None` when there is none in time.
async fn place(time: Option<Duration>) -> Option<SemaphorePermit<'static>> {
    if let Ok(place) = COUNTS.try_acquire() {
        return Some(place);
    }
    let _waits = WAITING.try_acquire().ok()?;
    let longest = time.map_or(WAIT_MAX, |time| time.min(WAIT_MAX));
    timeout(longest, COUNTS.acquire()).await.ok()?.ok()
}

/// Refuses a prompt that certainly fits none of the targets it may go to.
pub(crate) async fn check(prompt: Prompt<'_>, engine: &Engine) -> Result<(), Refused> {
    let Some(field) = prompt_field(prompt.endpoint) else { return Ok(()) };
    let strict = match prompt.level {
        Level::Off => return Ok(()),
        Level::Lenient => false,
        Level::Strict => true,
    };
    let asked = prompt.asked.unwrap_or(0);
    // A token is at least a byte.
    let most = (prompt.body.len() as u64).saturating_add(asked);
    if most <= engine.smallest_window() || prompt.body.len() > BODY_MAX {
        return Ok(());
    }
    let Some((target, window)) = widest(engine, prompt.model) else { return Ok(()) };
    if let Some(limit) = window.output_max.filter(|limit| strict && asked > *limit && *limit > 0) {
        return Err(too_much_output(&target, asked, limit));
    }
    if most <= window.context || !may_fill(&prompt, &target, window, asked) {
        return Ok(());
    }
    // Few calls come so far.
    Box::pin(check_counted(prompt, target, window, strict, field)).await
}

/// The same of one that is counted for it.
async fn check_counted(
    prompt: Prompt<'_>,
    target: Arc<str>,
    window: Window,
    strict: bool,
    field: &'static str,
) -> Result<(), Refused> {
    let output_counts =
        counts_output(prompt.endpoint) && (strict || !models::is_reasoning(&target));
    let Some(place) = place(prompt.time).await else { return Ok(()) };
    let body = prompt.body.clone();
    let counting = spawn_blocking(move || {
        // A count goes on when its caller has left, and so keeps its place.
        let _place = place;
        let weighed = weigh(&body, &target, window.context)?;
        certainly_too_long(&weighed, window, output_counts, strict).map(|much| (target, much))
    });
    match counting.await {
        Ok(Some((target, much))) => Err(too_long(&target, &much, field)),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// A prompt that can be counted, and the model that counts it: the first target it may go to.
pub(crate) struct Countable {
    body: Bytes,
    target: String,
    time: Option<Duration>,
}

impl Countable {
    /// `None` where a call has no prompt of text in memory.
    pub(crate) fn of(call: &Call, engine: &Engine) -> Option<Countable> {
        let CallBody::Buffered(body) = &call.body else { return None };
        let model = call.model.as_deref()?;
        if prompt_field(call.endpoint).is_none() || body.len() > BODY_MAX {
            return None;
        }
        let first = engine.reach(model).into_iter().next();
        let target = first.map_or_else(|| model.to_owned(), |first| first.model);
        Some(Countable { body: body.clone(), target, time: call.timeout })
    }

    /// Its tokens; `None` while too many others are counted.
    pub(crate) async fn count(self) -> Option<u64> {
        let Countable { body, target, time } = self;
        let place = place(time).await?;
        let counting = spawn_blocking(move || {
            let _place = place;
            mainstay_tokens::request::count(&body, Some(&target))
        });
        counting.await.ok()?.ok().map(|count| count.prompt())
    }
}

/// A target and its window.
type Wide = (Arc<str>, Window);

thread_local! {
    /// By the edition of the places: the widest of the models that this thread's calls have named of late.
    static WIDEST: RefCell<(Option<Edition>, Recent<Option<Wide>>)> = RefCell::default();
}

/// The target with the largest window; `None` when nobody knows the window of one of them.
fn widest(engine: &Engine, model: &str) -> Option<Wide> {
    WIDEST.with_borrow_mut(|(of, widest)| {
        if !of.as_ref().is_some_and(|of| engine.is_edition(of)) {
            widest.forget();
            *of = Some(engine.edition());
        }
        widest.get(model, || widest_of(engine.reach(model)))
    })
}

fn widest_of(reach: Vec<Reach>) -> Option<Wide> {
    let known: Option<Vec<(String, Window)>> =
        reach.into_iter().map(|one| Some((one.model, one.window?))).collect();
    let (target, window) = known?.into_iter().max_by_key(|(_, window)| window.context)?;
    Some((target.into(), window))
}

/// Whether the estimate is within 15 % of the window or beyond it.
fn may_fill(prompt: &Prompt<'_>, target: &str, window: Window, asked: u64) -> bool {
    let asked = if counts_output(prompt.endpoint) { asked } else { 0 };
    let estimate = estimate::tokens(Vocabulary::of(target), prompt.body);
    estimate.saturating_add(asked) >= window.context - window.context / 100 * 15
}

/// The field that holds the prompt, where a window is known to bound it.
fn prompt_field(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint.group() {
        Group::Chat => Some("messages"),
        Group::Responses | Group::Embeddings => Some("input"),
        Group::Completions => Some("prompt"),
        Group::Moderations
        | Group::Images
        | Group::Audio
        | Group::Threads
        | Group::Runs
        | Group::Files
        | Group::Batches
        | Group::Models
        | Group::Other => None,
    }
}

/// Whether providers add the asked output to the prompt; a response may end early instead.
fn counts_output(endpoint: Endpoint) -> bool {
    matches!(endpoint.group(), Group::Chat | Group::Completions)
}

fn too_long(target: &str, much: &TooLong, field: &str) -> Refused {
    let fault = Fault {
        kind: Kind::ContextLengthExceeded,
        openai_code: Some("context_length_exceeded"),
        param: Some(field.to_owned()),
        message: format!("{much} Or use a model with a larger window than `{target}`."),
        offset: 0,
    };
    Refused { scope: Scope::Model, ..Refused::from(fault) }
}

fn too_much_output(target: &str, asked: u64, limit: u64) -> Refused {
    let fault = Fault {
        kind: Kind::InvalidValue,
        openai_code: Some("invalid_value"),
        param: Some("max_tokens".to_owned()),
        message: format!(
            "This request asks for up to {asked} tokens of output, the model `{target}` gives at most {limit}. Ask for \
             {limit} or less."
        ),
        offset: 0,
    };
    Refused::unsound(Report { faults: vec![fault], more: 0 })
}
