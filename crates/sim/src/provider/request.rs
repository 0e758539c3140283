//! Reads a request body: the facts an answer depends on, or what is wrong with it.

mod diagnose;
mod task;
mod wire;

use crate::provider::refusal::Refusal;
use crate::provider::shelf::Place;

/// The endpoints that run a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Chat,
    Responses,
    Completions,
    Embeddings,
    /// Runs of assistants; their paths hold ids, and what they answer to is on the shelf.
    Runs,
}

impl Api {
    /// The endpoint a path under `/v1` names.
    pub(crate) fn at(path: &str) -> Option<Api> {
        match path {
            "/v1/chat/completions" => Some(Api::Chat),
            "/v1/responses" => Some(Api::Responses),
            "/v1/completions" => Some(Api::Completions),
            "/v1/embeddings" => Some(Api::Embeddings),
            _ => None,
        }
    }

    /// The name in scenarios and statistics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Api::Chat => "chat",
            Api::Responses => "responses",
            Api::Completions => "completions",
            Api::Embeddings => "embeddings",
            Api::Runs => "runs",
        }
    }
}

/// What a request wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// Answers wanted, 1 to 128.
    pub(crate) n: u32,
    /// The most tokens an answer may have.
    pub(crate) max_tokens: Option<u32>,
    /// Whose request it is, as it says itself.
    pub(crate) user: Option<String>,
    /// Tokens of the prompt: a quarter of its bytes of text, rounded up, at least 1.
    pub(crate) prompt_tokens: u64,
    pub(crate) ask: Ask,
    pub(crate) task: Task,
    /// What only one endpoint asks for.
    pub(crate) special: Special,
}

/// The last message of the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) text: String,
    /// Its size in bytes.
    pub(crate) heard: usize,
}

/// What kind of answer is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Text,
    /// JSON, ready made.
    Json(String),
    /// A call of this tool with these arguments.
    Tool {
        name: String,
        arguments: String,
    },
}

/// What only one endpoint asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Special {
    None,
    /// Chat: what the assistant is to go on with, the last message of the request.
    Partial(String),
    /// Runs: where the answer goes.
    Run(Box<Place>),
    /// Completions: the prompt, if it is to be repeated.
    Echo(Option<String>),
    /// Embeddings.
    Vectors {
        inputs: Vec<String>,
        base64: bool,
        dimensions: Option<u32>,
    },
    /// Responses: fields that the answer repeats, as JSON.
    Repeat(serde_json::Map<String, serde_json::Value>),
}

/// Reads a body.
///
/// # Errors
///
/// What the provider would say of it, with status 400.
pub(crate) fn read(api: Api, body: &[u8]) -> Result<Call, Refusal> {
    let call = match api {
        Api::Chat => wire::chat(body),
        Api::Responses => wire::responses(body),
        Api::Completions => wire::completions(body),
        Api::Embeddings => wire::embeddings(body),
        // Read where threads are kept.
        Api::Runs => Err(Refusal::new(400, "A run needs its thread.").into()),
    };
    call.map_err(|failure| match failure {
        wire::Failure::Refused(refusal) => *refusal,
        wire::Failure::Unreadable => diagnose::explain(api, body),
    })
}

#[cfg(test)]
mod tests;
