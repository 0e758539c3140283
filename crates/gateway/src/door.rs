//! The walk of a request through the gateway: route, key, body, call, answer. In this order, so
//! that nothing is read for a caller who may not call, and nothing is sent that cannot succeed.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use mainstay::Fields;
use mainstay::call::{Asked, Call, CallBody};
use mainstay::cohort::{Cohort, Stage};
use mainstay_core::failure::Kind;
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::{BodyForm, Endpoint};

use crate::admission::{Ask, Denied, Who};
use crate::answer::{self, JSON, ReplyBody};
use crate::auth::{Caller, authenticate};
use crate::body::{self, Arriving, Treatment};
use crate::cors;
use crate::headers::clean_request;
use crate::idempotency::{self, Turn};
use crate::look;
use crate::models;
use crate::money::{self, MoneyAsk, Pledge};
use crate::ownership::{self, After};
use crate::refused::Refused;
use crate::routes::{self, ApiPath, Health, Route};
use crate::scopes;
use crate::settings::{Auth, Settings};
use crate::shared::{Shared, Worker};
use crate::tenancy;
use crate::ticket::Ticket;
use crate::window;

/// A request as its connection hands it over.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    /// Until all of it was taken.
    pub(crate) body: Option<Arriving>,
}

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: Fields,
}

impl From<http::Request<Incoming>> for Request {
    fn from(request: http::Request<Incoming>) -> Request {
        let (parts, body) = request.into_parts();
        let http::request::Parts { method, uri, version, headers, .. } = parts;
        let head = Head { method, uri, version, headers: headers.into() };
        Request { head, body: Some(Arriving::Pieces(body)) }
    }
}

/// Answers one request of a connection from `peer`. Never fails: every end has an answer, whose headers
/// may still have to be [`rewritten`](answer::rewritten). The request stays in memory of its own: it is too
/// much to be moved into what answers it.
// In line, so that whoever gives it memory of its own has it made there and not copied there.
#[inline]
pub(crate) async fn answer(
    worker: Arc<Worker>,
    peer: Option<IpAddr>,
    mut request: Box<Request>,
) -> Result<Response<ReplyBody>, Infallible> {
    let mut ticket = Ticket::open(&worker);
    let Request { head, body: slot } = &mut *request;
    let origin = cors::allowed(&worker.shared.settings().cors, &head.headers);
    let mut response = match prepare(&worker, head, peer, slot, &mut ticket).await {
        Ok(Next::Call(call, after)) => send(&worker, call, after, ticket).await,
        // What few requests need has memory of its own, so that the others do not carry room for it.
        Ok(Next::Models(asked)) => Box::pin(models::answer(&worker, *asked, ticket)).await,
        Ok(Next::Answer(status, headers, bytes)) => answer::plain(ticket, status, headers, bytes),
        Err(refused) => {
            Box::pin(body::drain(slot.take(), &head.headers, &worker.shared.settings().bounds))
                .await;
            answer::refused(ticket, &refused)
        }
    };
    if let Some(origin) = origin {
        response = answer::rewritten(response);
        cors::allow(response.headers_mut(), origin);
    }
    Ok(response)
}

/// What a request that is in order leads to.
enum Next {
    /// A call, and what is to become of its answer.
    Call(Box<Call>, After),
    /// A list of models that no single provider can tell.
    Models(Box<models::Asked>),
    /// An answer of our own.
    Answer(StatusCode, HeaderMap, Bytes),
}

async fn send(
    worker: &Arc<Worker>,
    call: Box<Call>,
    after: After,
    mut ticket: Box<Ticket>,
) -> Response<ReplyBody> {
    match after {
        After::Nothing => {}
        After::Mark(mark) => ticket.mark(mark),
        After::List(listing) => {
            return Box::pin(ownership::serve_list(worker, listing, *call, ticket)).await;
        }
    }
    let received = worker.shared.engine.now();
    let cohort = worker.upstream.cohort();
    let walk = worker.shared.engine.call(&worker.upstream, call);
    cohort.reach(Stage::Plan).await;
    match walk.answer().await {
        Ok((head, body)) => {
            cohort.reach(Stage::Deliver).await;
            answer::delivered(ticket, received, head, body)
        }
        Err(refusal) => answer::failed(ticket, received, *refusal),
    }
}

async fn prepare(
    worker: &Worker,
    head: &mut Head,
    peer: Option<IpAddr>,
    slot: &mut Option<Arriving>,
    ticket: &mut Ticket,
) -> Result<Next, Refused> {
    let (shared, cohort) = (&*worker.shared, worker.upstream.cohort());
    // Not a guard: calls that halt here are many, and guards that are cheap are few.
    let settings = shared.settings.load_full();
    if cors::is_preflight(&head.method, &head.headers) && !settings.cors.is_empty() {
        let (status, headers) = cors::leave(&settings.cors, &head.headers)?;
        return Ok(Next::Answer(status, headers, Bytes::new()));
    }
    // Before the method is looked at: an upgrade is a GET wherever it goes.
    if wants_websocket(&head.headers) && head.uri.path().starts_with("/v1/") {
        return Err(routes::no_websocket());
    }
    let path = match routes::route(&head.method, &head.uri, head.version)? {
        Route::Health(health) => return Ok(healthy(shared, health)),
        Route::Api(path) => path,
    };
    ticket.leads_to(path.endpoint);
    ticket.trace(&settings, &head.headers);
    guard_open_door(settings.auth, &settings.cors, &head.headers, path.endpoint)?;
    cohort.reach(Stage::Caller).await;
    let (caller, who) = {
        let keys = shared.keys.snapshot();
        let caller = authenticate(settings.auth, &head.headers, &keys, shared.wall.now())?;
        let who = Who::of(&caller);
        ticket.called_by(who.clone());
        scopes::check(&caller, &path, &head.method)?;
        tenancy::check(&keys, &settings, &caller, (&head.method, &head.headers), peer)?;
        (caller, who)
    };
    cohort.reach(Stage::Known).await;
    let blank = blank_call(&path, &head.method, (*ticket.id).to_owned(), ticket.arrived);
    let (credential, traced) = (caller.credential.clone(), ticket.context());
    let mut call = Box::write(Box::new_uninit(), Call { credential, traced, ..blank });
    let (caller, who, path) = (&caller, &who, &path);
    let entry = Entry { shared, cohort, settings: &settings, caller, who, path };
    let filled = fill(entry, (&head.method, &mut head.headers), slot, ticket, &mut call).await;
    let after = match filled {
        Ok(Filled::Ready(after)) => after,
        Ok(Filled::Again(answer)) => {
            ticket.asked(asked_for(&mut call));
            return Ok(*answer);
        }
        Err(refused) => {
            ticket.asked(asked_for(&mut call));
            return Err(refused);
        }
    };
    Ok(match models::asked(call, caller, &shared.engine) {
        Ok(asked) => Next::Models(Box::new(asked)),
        Err(call) => Next::Call(call, after),
    })
}

/// Where a request comes in: who calls, and for what.
#[derive(Clone, Copy)]
struct Entry<'a> {
    shared: &'a Shared,
    cohort: &'a Cohort,
    settings: &'a Settings,
    caller: &'a Caller,
    who: &'a Who,
    path: &'a ApiPath<'a>,
}

/// What comes of a request whose caller may call.
enum Filled {
    /// The call is in order and has taken what it needs.
    Ready(After),
    /// It was answered before, and gets the same again.
    Again(Box<Next>),
}

/// What a call asked for that is not going to be made, for its record.
fn asked_for(call: &mut Call) -> Asked {
    Asked { model: call.model.take(), stream: call.stream, sdk_retry: call.sdk_retry }
}

/// Reads the body, looks into it, and takes what the call needs.
async fn fill(
    entry: Entry<'_>,
    (method, head): (&Method, &mut Fields),
    slot: &mut Option<Arriving>,
    ticket: &mut Ticket,
    call: &mut Call,
) -> Result<Filled, Refused> {
    let Entry { shared, cohort, settings, caller, who, path } = entry;
    read_wishes(call, head);
    let treatment = Treatment::of(path, method, head);
    let taken = body::take(slot, head, treatment, &settings.bounds, &shared.held).await?;
    let inflated = taken.inflated;
    cohort.reach(Stage::Check).await;
    let looked = look::into(call, taken, head, &shared.engine).await?;
    cohort.reach(Stage::Looked).await;
    ticket.keep(looked.hold);
    ticket.wishes(&call.body);
    scopes::check_model(caller, call.model.as_deref())?;
    scopes::check_unseen_model(caller, looked.model_unseen)?;
    call.headers = std::mem::take(head);
    clean_request(&mut call.headers, settings.auth == Auth::Pass, inflated);
    let seen = (looked.asked.words, looked.begun.is_some());
    let after = ownership::check(shared, caller, path, call, seen).await?;
    let asked = idempotency::Asked::of(&settings.idempotency, who, call)?;
    if let Some(asked) = asked.filter(|_| looked.begun.is_none()) {
        match Box::pin(shared.idempotency.turn(asked, shared.wall.now())).await? {
            Turn::First(claim) => ticket.claim(claim),
            Turn::Again(status, headers, body) => {
                return Ok(Filled::Again(Box::new(Next::Answer(status, headers, body))));
            }
        }
    }
    cohort.reach(Stage::Admit).await;
    let pledge = admit(entry, call, &looked.asked, ticket).await?;
    // Holds that were taken before it are handed over together.
    cohort.reach(Stage::Begin).await;
    if let Some(pledge) = pledge {
        let hold = pledge.written().await?;
        (call.account, call.add_usage) = (Some(hold.account()), true);
        ticket.hold_money(hold);
    }
    if let Some(begun) = looked.begun {
        call.body = body::pass(slot, begun, &settings.bounds);
    }
    Ok(Filled::Ready(after))
}

/// A call that nothing is known of but where it goes.
pub(crate) fn blank_call(path: &ApiPath<'_>, method: &Method, id: String, arrived: Moment) -> Call {
    Call {
        id,
        method: method.clone(),
        path: path.rest.to_owned(),
        endpoint: path.endpoint,
        headers: Fields::default(),
        credential: None,
        body: CallBody::Empty,
        body_gone: false,
        traced: None,
        model: None,
        model_span: None,
        usage_ask: None,
        stream: false,
        tokens: 0,
        arrived,
        timeout: None,
        read_timeout: None,
        answer_within: None,
        sdk_retry: 0,
        add_usage: false,
        pin: None,
        account: None,
    }
}

/// Times that a call waits for other gateways to be asked: what was granted for it may be taken by a call
/// that came between.
const ROUNDS_MAX: u32 = 3;

/// Takes what the call needs of limits and money, all or nothing; the ticket gives it back at the
/// end. What it may cost is held when the pledge is written.
async fn admit(
    entry: Entry<'_>,
    call: &mut Call,
    asked: &money::Asked,
    ticket: &mut Ticket,
) -> Result<Option<Pledge>, Refused> {
    let Entry { shared, cohort, settings, caller, who, path: _ } = entry;
    let ask = |call: &Call, counted, waited| {
        shared.admission.admit(&Ask {
            who,
            call,
            prompt: look::prompt(call),
            counted,
            count_refused: settings.limits.count_refused,
            waited,
            now: shared.engine.now(),
        })
    };
    let (mut counted, mut rounds) = (None, 0);
    let admitted = loop {
        match ask(call, counted, rounds >= ROUNDS_MAX) {
            Err(Denied::Doubtful) if counted.is_none() => {
                counted = match window::Countable::of(call, &shared.engine) {
                    Some(countable) => Box::pin(countable.count()).await,
                    None => None,
                }
                .or_else(|| Some(look::prompt(call)));
            }
            Err(Denied::Asks) if rounds < ROUNDS_MAX => {
                rounds += 1;
                Box::pin(shared.admission.limits.reply(who)).await;
            }
            other => break other,
        }
    };
    let admitted = admitted.map_err(Denied::into_refused)?;
    call.add_usage |= admitted.counts_tokens();
    ticket.admit(admitted);
    cohort.reach(Stage::Pay).await;
    let (rules, engine) = (&settings.money, &*shared.engine);
    let now = shared.wall.now();
    let account = shared.money.account(&MoneyAsk { caller, call, asked, rules, engine, now })?;
    let Some(account) = account else { return Ok(None) };
    cohort.reach(Stage::Hold).await;
    shared.money.hold(account, now)
}

/// The whole time that the caller gives a call, in milliseconds.
const TIMEOUT_MS: &str = "x-mainstay-timeout-ms";
/// What the official SDKs say of their own time limits, in seconds, and of their tries.
const SDK_READ_TIMEOUT: &str = "x-stainless-read-timeout";
const SDK_TIMEOUT: &str = "x-stainless-timeout";
const SDK_RETRY_COUNT: &str = "x-stainless-retry-count";

/// The time limits that the caller asks for, and how often his SDK has tried.
fn read_wishes(call: &mut Call, headers: &Fields) {
    let wait =
        |number: f64| (number > 0.0).then(|| Duration::try_from_secs_f64(number).ok()).flatten();
    let number = |name| headers.text(name)?.trim().parse::<f64>().ok();
    call.timeout = number(TIMEOUT_MS).and_then(|millis| wait(millis / 1000.0));
    call.read_timeout = number(SDK_READ_TIMEOUT).and_then(wait);
    // Node's word, in seconds, and only where the caller has set one: his clock runs to the head of a
    // stream, else to the body's end (openai-node 7.55 `client.ts`, read 2026-11).
    call.answer_within = number(SDK_TIMEOUT).and_then(wait);
    let tries = headers.text(SDK_RETRY_COUNT).and_then(|text| text.trim().parse().ok());
    call.sdk_retry = tries.unwrap_or(0);
}

fn wants_websocket(headers: &Fields) -> bool {
    headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

/// Without keys, any page that a browser on this machine opens could call: origins are checked, and
/// content types that a page may send without asking are not taken where JSON is expected.
fn guard_open_door(
    auth: Auth,
    cors: &[String],
    headers: &Fields,
    endpoint: Endpoint,
) -> Result<(), Refused> {
    match auth {
        Auth::Keys | Auth::Pass => return Ok(()),
        Auth::Open => {}
    }
    if headers.contains("origin") && cors::allowed(cors, headers).is_none() {
        return Err(cors::not_allowed());
    }
    if endpoint.body_form() == BodyForm::Json && !body::says_json(headers) {
        return Err(Refused::caller(
            Kind::InvalidRequest,
            "This endpoint takes JSON: send it with `content-type: application/json`.",
        )
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    Ok(())
}

fn healthy(shared: &Shared, health: Health) -> Next {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, JSON);
    let (status, body) = match health {
        Health::Live => (StatusCode::OK, Bytes::from_static(br#"{"status":"ok"}"#)),
        Health::Ready if shared.ready() => {
            (StatusCode::OK, shared.degraded.readiness().to_string().into())
        }
        Health::Ready => {
            let stopping = Bytes::from_static(br#"{"status":"stopping"}"#);
            (StatusCode::SERVICE_UNAVAILABLE, stopping)
        }
    };
    Next::Answer(status, headers, body)
}
