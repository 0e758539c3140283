//! The client: calls in a line each, with every policy behind them.
//!
//! ```
//! use mainstay::{Client, Error};
//! use serde_json::json;
//! # use mainstay_sim::{Sim, SimConfig};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listen = "127.0.0.1:0".parse()?;
//! # let sim = Sim::start(SimConfig { listen, ..SimConfig::default() }).await?;
//! # let url = sim.base_url();
//! // With a real provider: `Client::from_env()?`.
//! let client = Client::builder().base_url(&url).key("sk-any").build()?;
//! let request = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]});
//! let answer = client.chat().create(&request).await?;
//! assert!(answer["choices"][0]["message"]["content"].is_string());
//!
//! let broke = json!({"model": "sim-insufficient_quota", "messages": request["messages"]});
//! match client.chat().create(&broke).await {
//!     Err(error @ Error::RateLimit(_)) => assert!(!error.retryable(), "{error}"),
//!     other => panic!("{other:?}"),
//! }
//! # Ok(())
//! # }
//! ```

mod builder;
mod events;
mod form;
mod resources;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use mainstay_core::dice::Dice;
use mainstay_core::failure::{Kind, Origin};
use mainstay_core::validate::{Level, validate};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use builder::{ClientBuilder, SetupError};
pub use events::{Chunk, Events};
pub use form::Form;
pub use resources::{Audio, Batches, Files, Generation, Images, Models, Objects, Responses};

use crate::call::{Call, CallBody, Trace};
use crate::compose::call_id;
use crate::error::Error;
use crate::http::HttpUpstream;
use crate::upstream::Upstream;
use crate::{Engine, Walk};

/// Longest answer that is kept in memory, bytes. Streams have no such bound.
const ANSWER_MAX: usize = 256 << 20;

/// A client. Clones share connections and what was learnt about limits.
pub struct Client<U: Upstream = HttpUpstream> {
    shared: Arc<Shared<U>>,
    timeout: Option<Duration>,
}

struct Shared<U: Upstream> {
    engine: Arc<Engine>,
    upstream: Arc<U>,
    headers: Vec<(HeaderName, HeaderValue)>,
    validate: Level,
    dice: Mutex<Dice>,
}

/// The body of a raw call.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// JSON, sent byte for byte.
    Json(Bytes),
    /// A form with files.
    Form(Form),
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status: 2xx or 3xx.
    pub status: StatusCode,
    /// The provider's headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
    /// Who answered, what it took, and the tokens used.
    pub trace: Trace,
}

impl Answer {
    /// The provider's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.headers.get("x-request-id")?.to_str().ok()
    }

    /// The body as JSON of any type.
    ///
    /// # Errors
    ///
    /// The body is not JSON of that type: [`Error::InternalServer`] of the kind
    /// `malformed_response`. The body itself is not told.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let at = format!("line {} column {}", error.line(), error.column());
            let message = format!("the answer does not have the form asked for, see {at} of it");
            let origin = Origin::Provider;
            Error::own(Kind::MalformedResponse, origin, message, self.trace.clone())
        })
    }
}

impl Client {
    /// A builder with nothing set.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client for the provider that the environment names: `OPENAI_API_KEY`, `OPENAI_BASE_URL`,
    /// `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID`, `HTTPS_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    ///
    /// There is no key, or one of the variables cannot be used.
    pub fn from_env() -> Result<Client, SetupError> {
        ClientBuilder::from_env()?.build()
    }
}

impl<U: Upstream> Client<U> {
    /// The same client with a total time limit of its own for each call; it may only shorten the
    /// policy's.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Client<U> {
        Client { shared: Arc::clone(&self.shared), timeout: Some(timeout) }
    }

    /// The engine behind the client: what was learnt about limits, circuits and models.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Any call. `path` is what follows `/v1`, with the query.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn raw(&self, method: Method, path: &str, body: Body) -> Result<Answer, Error> {
        let walk = self.walk(method, path, body)?;
        let whole = walk.whole(ANSWER_MAX).await.map_err(|refusal| Error::from(*refusal))?;
        let crate::Whole { status, headers, body, trace } = whole;
        Ok(Answer { status, headers, body, trace })
    }

    /// A call with a JSON body, answered by JSON.
    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &(impl Serialize + ?Sized),
    ) -> Result<T, Error> {
        self.raw(Method::POST, path, Body::Json(json_of(request)?)).await?.json()
    }

    /// A call whose answer is a stream of events.
    async fn events(
        &self,
        path: &str,
        request: &(impl Serialize + ?Sized),
    ) -> Result<Events<U>, Error> {
        let mut request = serde_json::to_value(request).map_err(|error| unwritable(&error))?;
        if let Value::Object(fields) = &mut request {
            fields.insert("stream".to_owned(), Value::Bool(true));
        }
        let walk = self.walk(Method::POST, path, Body::Json(json_of(&request)?))?;
        let (head, body) = walk.answer().await.map_err(|refusal| Error::from(*refusal))?;
        Ok(Events::new(head, body))
    }

    fn walk(&self, method: Method, path: &str, body: Body) -> Result<Walk<U>, Error> {
        let shared = &self.shared;
        let id = call_id(&mut shared.dice.lock().unwrap_or_else(PoisonError::into_inner));
        let (arrived, path) = (shared.engine.now(), path.to_owned());
        let mut call = match body {
            Body::Empty => Call::bare(id, method, path, arrived),
            Body::Json(bytes) => {
                let call = Call::json(id, method, path, bytes.clone(), arrived)?;
                self.check(&call, &bytes)?;
                call
            }
            Body::Form(form) => {
                let (kind, bytes) = form.encode();
                let mut call = Call::bare(id, method, path, arrived);
                call.headers.insert(CONTENT_TYPE, kind);
                call.body = CallBody::Buffered(bytes);
                call
            }
        };
        for (name, value) in &shared.headers {
            call.headers.append(name.clone(), value.clone());
        }
        call.timeout = self.timeout;
        Ok(shared.engine.call(&shared.upstream, call))
    }

    /// What a provider would refuse is not sent.
    fn check(&self, call: &Call, body: &[u8]) -> Result<(), Error> {
        let report = validate(call.endpoint, self.shared.validate, body);
        report.faults.into_iter().next().map_or(Ok(()), |fault| Err(fault.into()))
    }
}

fn json_of(request: &(impl Serialize + ?Sized)) -> Result<Bytes, Error> {
    serde_json::to_vec(request).map(Bytes::from).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> Error {
    let message = format!("the request was not sent: it cannot be written as JSON ({error})");
    Error::own(Kind::InvalidRequest, Origin::Caller, message, Trace::default())
}

impl<U: Upstream> Clone for Client<U> {
    fn clone(&self) -> Client<U> {
        Client { shared: Arc::clone(&self.shared), timeout: self.timeout }
    }
}

impl<U: Upstream> fmt::Debug for Client<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
