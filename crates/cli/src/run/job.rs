//! What is sent at once: one line, or the inputs of many lines in one request.

use bytes::Bytes;
use mainstay_core::money::Usd;
use mainstay_core::time::Moment;
use tokio::sync::OwnedSemaphorePermit;

use super::ids::Id;

/// One request.
#[derive(Debug)]
pub(crate) struct Job {
    /// What follows `/v1`.
    pub(crate) path: String,
    /// The body.
    pub(crate) body: Bytes,
    /// The model it names.
    pub(crate) model: Option<String>,
    /// Prompt tokens, estimated, and the most output asked for.
    pub(crate) tokens: (u64, Option<u64>),
    /// The lines it answers: one, or several for packed inputs.
    pub(crate) parts: Vec<Part>,
    /// How often it failed though others got on.
    pub(crate) rounds: u32,
    /// How often it was put off.
    pub(crate) delays: u32,
    /// Money set aside for it.
    pub(crate) held: Usd,
    /// When it was sent, on the engine's clock.
    pub(crate) started: Moment,
    /// Its share of the memory.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// One line.
#[derive(Debug)]
pub(crate) struct Part {
    /// Whose answer it is.
    pub(crate) custom_id: String,
    /// The same in 16 bytes.
    pub(crate) id: Id,
    /// For a packed line: its own body and how many inputs are its own.
    pub(crate) packed: Option<(Bytes, usize)>,
}

impl Job {
    /// A request for one line.
    pub(crate) fn single(path: String, body: Bytes, model: Option<String>, part: Part) -> Job {
        let tokens = ((body.len() as u64).div_ceil(4), None);
        Job {
            path,
            body,
            model,
            tokens,
            parts: vec![part],
            rounds: 0,
            delays: 0,
            held: Usd::ZERO,
            started: Moment::ZERO,
            room: None,
        }
    }
}
