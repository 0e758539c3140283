//! Reads a request body: the facts an answer depends on, or what is wrong with it.

mod diagnose;
mod media;
mod task;
mod wire;

use crate::provider::audio::Sound;
use crate::provider::form::Form;
use crate::provider::images;
use crate::provider::refusal::Refusal;
use crate::provider::shelf::Place;

pub(crate) use task::task_of_run;

/// What a path under `/v1` is about: first the endpoints that run a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Chat,
    Responses,
    Completions,
    Embeddings,
    Moderations,
    Images,
    ImageEdits,
    ImageVariations,
    Speech,
    Transcriptions,
    Translations,
    /// Runs of assistants; their paths hold ids, and what they answer to is on the shelf.
    Runs,
    /// What is stored.
    Stored(Family),
}

/// The families of what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Assistants,
    Threads,
    Files,
    Uploads,
    Batches,
    VectorStores,
    Conversations,
    KeptChats,
    KeptResponses,
    FineTuning,
    Voices,
}

/// The endpoints that are about what is stored: how their paths begin, with how many segments.
const STORED: [(&str, Family, usize); 12] = [
    ("assistants", Family::Assistants, 1),
    ("threads", Family::Threads, 1),
    ("files", Family::Files, 1),
    ("uploads", Family::Uploads, 1),
    ("batches", Family::Batches, 1),
    ("vector_stores", Family::VectorStores, 1),
    ("conversations", Family::Conversations, 1),
    ("chat/completions", Family::KeptChats, 2),
    ("responses", Family::KeptResponses, 1),
    ("fine_tuning", Family::FineTuning, 1),
    ("audio/voices", Family::Voices, 1),
    ("audio/voice_consents", Family::Voices, 1),
];

impl Api {
    /// Those that run a model.
    const MODELS: [Api; 12] = [
        Api::Chat,
        Api::Responses,
        Api::Completions,
        Api::Embeddings,
        Api::Moderations,
        Api::Images,
        Api::ImageEdits,
        Api::ImageVariations,
        Api::Speech,
        Api::Transcriptions,
        Api::Translations,
        Api::Runs,
    ];

    /// Every one.
    pub(crate) fn all() -> impl Iterator<Item = Api> {
        let stored = STORED.iter().map(|(_, family, _)| Api::Stored(*family));
        Api::MODELS.into_iter().chain(stored)
    }

    /// The endpoint a path under `/v1` names.
    pub(crate) fn at(path: &str) -> Option<Api> {
        match path {
            "/v1/chat/completions" => Some(Api::Chat),
            "/v1/responses" => Some(Api::Responses),
            "/v1/completions" => Some(Api::Completions),
            "/v1/embeddings" => Some(Api::Embeddings),
            "/v1/moderations" => Some(Api::Moderations),
            "/v1/images/generations" => Some(Api::Images),
            "/v1/images/edits" => Some(Api::ImageEdits),
            "/v1/images/variations" => Some(Api::ImageVariations),
            "/v1/audio/speech" => Some(Api::Speech),
            "/v1/audio/transcriptions" => Some(Api::Transcriptions),
            "/v1/audio/translations" => Some(Api::Translations),
            _ => None,
        }
    }

    /// The stored family that a path under `/v1` is about.
    pub(crate) fn stored_at(path: &str) -> Option<Family> {
        let path = path.strip_prefix("/v1/")?;
        let is_below = |start: &str| {
            path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        STORED.iter().find(|(start, ..)| is_below(start)).map(|(_, family, _)| *family)
    }

    /// The name in scenarios and statistics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Api::Chat => "chat",
            Api::Responses => "responses",
            Api::Completions => "completions",
            Api::Embeddings => "embeddings",
            Api::Moderations => "moderations",
            Api::Images => "images",
            Api::ImageEdits => "image_edits",
            Api::ImageVariations => "image_variations",
            Api::Speech => "speech",
            Api::Transcriptions => "transcriptions",
            Api::Translations => "translations",
            Api::Runs => "runs",
            Api::Stored(family) => family.name(),
        }
    }
}

impl Family {
    /// How many segments of its paths tell nothing more.
    pub(crate) fn skipped(self) -> usize {
        STORED.iter().find(|(_, family, _)| *family == self).map_or(0, |(.., depth)| *depth)
    }

    fn name(self) -> &'static str {
        match self {
            Family::Assistants => "assistants",
            Family::Threads => "threads",
            Family::Files => "files",
            Family::Uploads => "uploads",
            Family::Batches => "batches",
            Family::VectorStores => "vector_stores",
            Family::Conversations => "conversations",
            Family::KeptChats => "kept_chats",
            Family::KeptResponses => "kept_responses",
            Family::FineTuning => "fine_tuning",
            Family::Voices => "voices",
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
    /// Whether the answer is to be kept, so that it can be asked for again.
    pub(crate) keep: bool,
}

impl Call {
    /// A field of the request that a response repeats.
    pub(crate) fn repeats(&self, name: &str) -> Option<&serde_json::Value> {
        match &self.special {
            Special::Repeat(fields) => fields.get(name),
            Special::None
            | Special::Partial(_)
            | Special::Run(_)
            | Special::Echo(_)
            | Special::Vectors { .. }
            | Special::Judged(_)
            | Special::Pictures(_)
            | Special::Sound(_) => None,
        }
    }

    /// Whether the answer is made while nobody waits for it.
    pub(crate) fn is_background(&self) -> bool {
        self.repeats("background").and_then(serde_json::Value::as_bool).unwrap_or(false)
    }
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
    /// Moderations: the texts.
    Judged(Vec<String>),
    /// Images.
    Pictures(images::Wanted),
    /// Audio.
    Sound(Sound),
    /// Responses: fields that the answer repeats, as JSON.
    Repeat(serde_json::Map<String, serde_json::Value>),
}

/// Reads a body.
///
/// # Errors
///
/// What the provider would say of it, with status 400.
pub(crate) fn read(api: Api, body: &[u8], form: Option<&Form>) -> Result<Call, Refusal> {
    let call = match api {
        Api::Chat => wire::chat(body),
        Api::Responses => wire::responses(body),
        Api::Completions => wire::completions(body),
        Api::Embeddings => wire::embeddings(body),
        Api::Moderations => media::moderations(body),
        Api::Images => media::images(body, None, false),
        Api::ImageEdits => media::images(body, form, true),
        Api::ImageVariations => media::variations(form),
        Api::Speech => media::speech(body),
        Api::Transcriptions => media::heard(form, false),
        Api::Translations => media::heard(form, true),
        // Read where threads are kept.
        Api::Runs | Api::Stored(_) => Err(Refusal::new(400, "Nothing here calls a model.").into()),
    };
    call.map_err(|failure| match failure {
        wire::Failure::Refused(refusal) => *refusal,
        wire::Failure::Unreadable => diagnose::explain(api, body),
    })
}

#[cfg(test)]
mod tests;
