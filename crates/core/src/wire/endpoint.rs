//! Which operation of the API a method and path mean.
//!
//! Paths are what follows `/v1`. A path that is not named here is [`Endpoint::Other`]: it is not an
//! error, new paths appear every month.

/// An operation that this project knows something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `POST /chat/completions`.
    Chat,
    /// `POST /responses`.
    Responses,
    /// `POST /completions`.
    Completions,
    /// `POST /embeddings`.
    Embeddings,
    /// `POST /moderations`.
    Moderations,
    /// `POST /images/generations`.
    Images,
    /// `POST /images/edits`: multipart or JSON.
    ImageEdits,
    /// `POST /images/variations`: multipart.
    ImageVariations,
    /// `POST /audio/speech`.
    Speech,
    /// `POST /audio/transcriptions`: multipart.
    Transcriptions,
    /// `POST /audio/translations`: multipart.
    Translations,
    /// `POST /assistants`.
    Assistants,
    /// `POST /assistants/{id}`.
    AssistantUpdate,
    /// `POST /threads`.
    Threads,
    /// `POST /threads/{id}`.
    ThreadUpdate,
    /// `POST /threads/{id}/messages`.
    ThreadMessages,
    /// `POST /threads/{id}/runs`.
    Runs,
    /// `POST /threads/runs`.
    ThreadAndRun,
    /// `POST /threads/{id}/runs/{id}/submit_tool_outputs`.
    ToolOutputs,
    /// Anything under `/files`.
    Files,
    /// Anything under `/batches`.
    Batches,
    /// Anything under `/models`.
    Models,
    /// Every other path or method.
    Other,
}

/// What kind of body an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// A JSON object is required.
    Json,
    /// A JSON object, or no body at all.
    JsonOrNothing,
    /// A multipart form.
    Multipart,
    /// Either, or not known: pass it on.
    Any,
}

/// Operations that are alike in what they take and give: the one list that other tables build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Chat completions.
    Chat,
    /// Responses.
    Responses,
    /// Legacy completions.
    Completions,
    /// Embeddings.
    Embeddings,
    /// Moderations.
    Moderations,
    /// Making and changing pictures.
    Images,
    /// Speech and what is heard in it.
    Audio,
    /// Assistants, threads and messages: what is kept.
    Threads,
    /// Runs on threads: what is answered.
    Runs,
    /// Files.
    Files,
    /// Batches.
    Batches,
    /// Models.
    Models,
    /// Everything else.
    Other,
}

impl Group {
    /// Whether an answer is billed by the tokens of a text that is in the request.
    pub const fn counts_tokens(self) -> bool {
        match self {
            Group::Chat
            | Group::Responses
            | Group::Completions
            | Group::Embeddings
            | Group::Moderations => true,
            Group::Images
            | Group::Audio
            | Group::Threads
            | Group::Runs
            | Group::Files
            | Group::Batches
            | Group::Models
            | Group::Other => false,
        }
    }
}

/// Names as the command line takes them, with the method-less path that Batch lines use.
const NAMES: &[(Endpoint, &str)] = &[
    (Endpoint::Chat, "chat"),
    (Endpoint::Responses, "responses"),
    (Endpoint::Completions, "completions"),
    (Endpoint::Embeddings, "embeddings"),
    (Endpoint::Moderations, "moderations"),
    (Endpoint::Images, "images"),
    (Endpoint::ImageEdits, "image_edits"),
    (Endpoint::ImageVariations, "image_variations"),
    (Endpoint::Speech, "speech"),
    (Endpoint::Transcriptions, "transcriptions"),
    (Endpoint::Translations, "translations"),
    (Endpoint::Assistants, "assistants"),
    (Endpoint::AssistantUpdate, "assistant_update"),
    (Endpoint::Threads, "threads"),
    (Endpoint::ThreadUpdate, "thread_update"),
    (Endpoint::ThreadMessages, "thread_messages"),
    (Endpoint::Runs, "runs"),
    (Endpoint::ThreadAndRun, "thread_and_run"),
    (Endpoint::ToolOutputs, "tool_outputs"),
    (Endpoint::Files, "files"),
    (Endpoint::Batches, "batches"),
    (Endpoint::Models, "models"),
    (Endpoint::Other, "other"),
];

impl Endpoint {
    /// Every operation, in the order of the declaration.
    pub const ALL: [Endpoint; 23] = [
        Endpoint::Chat,
        Endpoint::Responses,
        Endpoint::Completions,
        Endpoint::Embeddings,
        Endpoint::Moderations,
        Endpoint::Images,
        Endpoint::ImageEdits,
        Endpoint::ImageVariations,
        Endpoint::Speech,
        Endpoint::Transcriptions,
        Endpoint::Translations,
        Endpoint::Assistants,
        Endpoint::AssistantUpdate,
        Endpoint::Threads,
        Endpoint::ThreadUpdate,
        Endpoint::ThreadMessages,
        Endpoint::Runs,
        Endpoint::ThreadAndRun,
        Endpoint::ToolOutputs,
        Endpoint::Files,
        Endpoint::Batches,
        Endpoint::Models,
        Endpoint::Other,
    ];

    /// The operation of `method` on `path`, the part after `/v1`. A query and one slash at the end
    /// are looked past. Methods and paths are case-sensitive, as they are for providers.
    pub fn of(method: &str, path: &str) -> Endpoint {
        let path = path.split(['?', '#']).next().unwrap_or("");
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let parts = [next(), next(), next(), next(), next(), next()];
        match parts[0] {
            Some("files") => return Endpoint::Files,
            Some("batches") => return Endpoint::Batches,
            Some("models") => return Endpoint::Models,
            _ if method != "POST" => return Endpoint::Other,
            _ => {}
        }
        match parts {
            [Some("chat"), Some("completions"), None, ..] => Endpoint::Chat,
            [Some("responses"), None, ..] => Endpoint::Responses,
            [Some("completions"), None, ..] => Endpoint::Completions,
            [Some("embeddings"), None, ..] => Endpoint::Embeddings,
            [Some("moderations"), None, ..] => Endpoint::Moderations,
            [Some("images"), Some("generations"), None, ..] => Endpoint::Images,
            [Some("images"), Some("edits"), None, ..] => Endpoint::ImageEdits,
            [Some("images"), Some("variations"), None, ..] => Endpoint::ImageVariations,
            [Some("audio"), Some("speech"), None, ..] => Endpoint::Speech,
            [Some("audio"), Some("transcriptions"), None, ..] => Endpoint::Transcriptions,
            [Some("audio"), Some("translations"), None, ..] => Endpoint::Translations,
            [Some("assistants"), None, ..] => Endpoint::Assistants,
            [Some("assistants"), Some(_), None, ..] => Endpoint::AssistantUpdate,
            [Some("threads"), None, ..] => Endpoint::Threads,
            [Some("threads"), Some("runs"), None, ..] => Endpoint::ThreadAndRun,
            [Some("threads"), Some(_), None, ..] => Endpoint::ThreadUpdate,
            [Some("threads"), Some(_), Some("messages"), None, ..] => Endpoint::ThreadMessages,
            [Some("threads"), Some(_), Some("runs"), None, ..] => Endpoint::Runs,
            [
                Some("threads"),
                Some(_),
                Some("runs"),
                Some(_),
                Some("submit_tool_outputs"),
                None,
            ] => Endpoint::ToolOutputs,
            _ => Endpoint::Other,
        }
    }

    /// The stable name, as `mainstay check --endpoint` takes it.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(endpoint, _)| *endpoint == self).map_or("other", |(_, name)| name)
    }

    /// The operation with this [`name`](Endpoint::name), or `None`.
    pub fn from_name(name: &str) -> Option<Endpoint> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(endpoint, _)| *endpoint)
    }

    /// The group of operations that this one belongs to.
    pub const fn group(self) -> Group {
        match self {
            Endpoint::Chat => Group::Chat,
            Endpoint::Responses => Group::Responses,
            Endpoint::Completions => Group::Completions,
            Endpoint::Embeddings => Group::Embeddings,
            Endpoint::Moderations => Group::Moderations,
            Endpoint::Images | Endpoint::ImageEdits | Endpoint::ImageVariations => Group::Images,
            Endpoint::Speech | Endpoint::Transcriptions | Endpoint::Translations => Group::Audio,
            Endpoint::Assistants
            | Endpoint::AssistantUpdate
            | Endpoint::Threads
            | Endpoint::ThreadUpdate
            | Endpoint::ThreadMessages => Group::Threads,
            Endpoint::Runs | Endpoint::ThreadAndRun | Endpoint::ToolOutputs => Group::Runs,
            Endpoint::Files => Group::Files,
            Endpoint::Batches => Group::Batches,
            Endpoint::Models => Group::Models,
            Endpoint::Other => Group::Other,
        }
    }

    /// What kind of body the operation takes.
    pub const fn body_form(self) -> BodyForm {
        match self {
            Endpoint::Chat
            | Endpoint::Responses
            | Endpoint::Completions
            | Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::Images
            | Endpoint::Speech
            | Endpoint::Assistants
            | Endpoint::AssistantUpdate
            | Endpoint::ThreadMessages
            | Endpoint::Runs
            | Endpoint::ThreadAndRun
            | Endpoint::ToolOutputs => BodyForm::Json,
            Endpoint::Threads | Endpoint::ThreadUpdate => BodyForm::JsonOrNothing,
            Endpoint::ImageVariations | Endpoint::Transcriptions | Endpoint::Translations => {
                BodyForm::Multipart
            }
            Endpoint::ImageEdits
            | Endpoint::Files
            | Endpoint::Batches
            | Endpoint::Models
            | Endpoint::Other => BodyForm::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_and_path_name_one_operation() {
        let cases = [
            ("POST", "/chat/completions", Endpoint::Chat),
            ("POST", "/chat/completions/", Endpoint::Chat),
            ("POST", "/chat/completions?x=1", Endpoint::Chat),
            ("GET", "/chat/completions", Endpoint::Other),
            ("POST", "/chat/completions/chatcmpl-1", Endpoint::Other),
            ("post", "/chat/completions", Endpoint::Other),
            ("POST", "/responses", Endpoint::Responses),
            ("POST", "/responses/input_tokens", Endpoint::Other),
            ("POST", "/responses/resp_1/cancel", Endpoint::Other),
            ("POST", "/audio/speech", Endpoint::Speech),
            ("POST", "/threads", Endpoint::Threads),
            ("POST", "/threads/runs", Endpoint::ThreadAndRun),
            ("POST", "/threads/thread_1", Endpoint::ThreadUpdate),
            ("POST", "/threads/thread_1/runs", Endpoint::Runs),
            ("POST", "/threads/thread_1/messages", Endpoint::ThreadMessages),
            ("POST", "/threads/t/runs/r/submit_tool_outputs", Endpoint::ToolOutputs),
            ("POST", "/threads/t/runs/r/submit_tool_outputs/x", Endpoint::Other),
            ("GET", "/models/ft:gpt/4o", Endpoint::Models),
            ("DELETE", "/files/file-1", Endpoint::Files),
            ("POST", "/batches", Endpoint::Batches),
            ("POST", "", Endpoint::Other),
            ("POST", "/", Endpoint::Other),
            ("POST", "//chat/completions", Endpoint::Other),
        ];
        for (method, path, expected) in cases {
            assert_eq!(Endpoint::of(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn every_operation_is_found_again_by_its_name() {
        for (endpoint, name) in NAMES {
            assert_eq!(endpoint.name(), *name);
            assert_eq!(Endpoint::from_name(name), Some(*endpoint));
        }
        assert_eq!(Endpoint::from_name("chats"), None);
    }
}
