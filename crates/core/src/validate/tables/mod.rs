//! The rules themselves, one table for each endpoint.
//!
//! They follow the vendor's public API description (openai-openapi, commit f85dbe2, 2026-08-21), the
//! field lists of openai-python 3.52.0 and bounds that only the descriptions or the answers of the
//! service tell; the latter carry their own note. Read 2026-11. A new value of an enum is a word more
//! in a list here, and until then `lenient` lets it pass.

mod assistants;
mod chat;
mod common;
mod forms;
mod items;
mod response_tools;
mod responses;
mod small;

use super::schema::{Fields, FormRules};
use crate::wire::endpoint::Endpoint;

/// The fields of an endpoint's body; `None` where nothing is known about it.
pub(super) fn of(endpoint: Endpoint) -> Option<&'static Fields> {
    Some(match endpoint {
        Endpoint::Chat => &chat::CHAT,
        Endpoint::Responses => &responses::RESPONSES,
        Endpoint::Completions => &small::COMPLETIONS,
        Endpoint::Embeddings => &small::EMBEDDINGS,
        Endpoint::Moderations => &small::MODERATIONS,
        Endpoint::Images => &small::IMAGES,
        Endpoint::ImageEdits => &small::IMAGE_EDITS,
        Endpoint::ImageVariations => &small::IMAGE_VARIATIONS,
        Endpoint::Speech => &small::SPEECH,
        Endpoint::Transcriptions => &small::TRANSCRIPTIONS,
        Endpoint::Translations => &small::TRANSLATIONS,
        Endpoint::Assistants => &assistants::CREATE,
        Endpoint::AssistantUpdate => &assistants::UPDATE,
        Endpoint::Threads => &assistants::THREAD,
        Endpoint::ThreadUpdate => &assistants::THREAD_UPDATE,
        Endpoint::ThreadMessages => &assistants::MESSAGE,
        Endpoint::Runs => &assistants::RUN,
        Endpoint::ThreadAndRun => &assistants::THREAD_AND_RUN,
        Endpoint::ToolOutputs => &assistants::TOOL_OUTPUTS,
        Endpoint::Files | Endpoint::Batches | Endpoint::Models | Endpoint::Other => return None,
    })
}

/// What an endpoint's multipart form holds; `None` where it takes none or nothing is known.
pub(super) fn of_form(endpoint: Endpoint) -> Option<&'static FormRules> {
    Some(match endpoint {
        Endpoint::ImageEdits => &forms::IMAGE_EDITS,
        Endpoint::ImageVariations => &forms::IMAGE_VARIATIONS,
        Endpoint::Transcriptions => &forms::TRANSCRIPTIONS,
        Endpoint::Translations => &forms::TRANSLATIONS,
        Endpoint::Files => &forms::FILES,
        Endpoint::Chat
        | Endpoint::Responses
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Images
        | Endpoint::Speech
        | Endpoint::Assistants
        | Endpoint::AssistantUpdate
        | Endpoint::Threads
        | Endpoint::ThreadUpdate
        | Endpoint::ThreadMessages
        | Endpoint::Runs
        | Endpoint::ThreadAndRun
        | Endpoint::ToolOutputs
        | Endpoint::Batches
        | Endpoint::Models
        | Endpoint::Other => return None,
    })
}
