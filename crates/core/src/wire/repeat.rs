//! Which requests may be done twice. A request whose answer is lost may have been carried out; to send it
//! again then costs a second answer where answers are all it makes, and does a second piece of work, or
//! says a second thing in the same place, where it does more.

use crate::wire::endpoint::Endpoint;

/// Posts that start work of their own or add to what is read again, as segments of what follows `/v1`;
/// `*` is any one segment. Those that make an object nobody works on (a file, a thread, a vector store) are not
/// among them: a second one harms nobody.
///
/// Source: the vendor's OpenAPI description and official SDK (Python 3.52), 2026-11; `batch/jobs`: Mistral's API
/// reference, 2026-11.
const ONCE: &[&str] = &[
    "batches",
    "batch/jobs",
    "fine_tuning/jobs",
    "evals/*/runs",
    "videos",
    "videos/*",
    "videos/*/remix",
    "threads/runs",
    "threads/*/runs",
    "threads/*/runs/*/submit_tool_outputs",
    "threads/*/messages",
    "conversations/*/items",
    "agents/sessions/*/events",
];

/// Below these every post counts as one: keys, invitations and projects are made there.
const ADMINISTRATION: [&str; 2] = ["organization", "projects"];

/// Whether doing a request twice does no more than doing it once, a second answer's bill aside. `path` is
/// what follows `/v1`; a query and one slash at the end are looked past. What is not known counts as an
/// answer.
pub fn is_repeatable(method: &str, path: &str) -> bool {
    // Source: RFC 9110 9.2.2: the other methods are idempotent, PATCH by RFC 5789 2 is not.
    if !matches!(method, "POST" | "PATCH") {
        return true;
    }
    let path = path.split(['?', '#']).next().unwrap_or("");
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = path.strip_prefix('/').unwrap_or(path);
    let first = path.split('/').next().unwrap_or("");
    !ADMINISTRATION.contains(&first) && !ONCE.iter().any(|once| fits(path, once))
}

/// Whether a post to this endpoint makes an answer and nothing else, so that nobody need look at its path.
pub fn only_answers(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Chat
        | Endpoint::Responses
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Moderations => true,
        Endpoint::Images
        | Endpoint::ImageEdits
        | Endpoint::ImageVariations
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::Assistants
        | Endpoint::AssistantUpdate
        | Endpoint::Threads
        | Endpoint::ThreadUpdate
        | Endpoint::ThreadMessages
        | Endpoint::Runs
        | Endpoint::ThreadAndRun
        | Endpoint::ToolOutputs
        | Endpoint::Files
        | Endpoint::Batches
        | Endpoint::Models
        | Endpoint::Other => false,
    }
}

fn fits(path: &str, pattern: &str) -> bool {
    let (mut segments, mut wanted) = (path.split('/'), pattern.split('/'));
    loop {
        match (segments.next(), wanted.next()) {
            (None, None) => return true,
            (Some(segment), Some("*")) if !segment.is_empty() => {}
            (Some(segment), Some(wanted)) if segment == wanted => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_that_only_make_an_answer_are_repeatable_by_their_path_too() {
        for path in
            ["/chat/completions", "/responses", "/completions/", "/embeddings?a=b", "/moderations"]
        {
            let endpoint = Endpoint::of("POST", path);
            assert!(only_answers(endpoint) && is_repeatable("POST", path), "{path}");
        }
        for path in ["/batches", "/threads/t/runs", "/videos"] {
            assert!(!only_answers(Endpoint::of("POST", path)), "{path}");
        }
    }

    #[test]
    fn work_of_its_own_is_done_once_and_answers_as_often_as_it_takes() {
        let cases = [
            ("POST", "/batches", false),
            ("POST", "/batches/?x=1", false),
            ("GET", "/batches", true),
            ("POST", "/batches/batch_1/cancel", true),
            ("POST", "/batch/jobs", false),
            ("POST", "/fine_tuning/jobs", false),
            ("POST", "/fine_tuning/jobs/ftjob-1/cancel", true),
            ("POST", "/fine_tuning/alpha/graders/run", true),
            ("POST", "/evals", true),
            ("POST", "/evals/eval_1/runs", false),
            ("POST", "/evals//runs", true),
            ("POST", "/videos", false),
            ("POST", "/videos/edits", false),
            ("POST", "/videos/video_1/remix", false),
            ("DELETE", "/videos/video_1", true),
            ("POST", "/threads", true),
            ("POST", "/threads/runs", false),
            ("POST", "/threads/thread_1", true),
            ("POST", "/threads/thread_1/runs", false),
            ("POST", "/threads/thread_1/runs/run_1/submit_tool_outputs", false),
            ("POST", "/threads/thread_1/runs/run_1/cancel", true),
            ("POST", "/threads/thread_1/messages", false),
            ("POST", "/conversations", true),
            ("POST", "/conversations/conv_1/items", false),
            ("POST", "/agents/sessions/s/events", false),
            ("POST", "/organization/admin_api_keys", false),
            ("PATCH", "/organization/admin_api_keys/key_1", false),
            ("GET", "/organization/costs", true),
            ("POST", "/projects/proj_1/roles", false),
            ("POST", "/chat/completions", true),
            ("POST", "/responses", true),
            ("POST", "/embeddings", true),
            ("POST", "/images/generations", true),
            ("POST", "/files", true),
            ("POST", "/vector_stores", true),
            ("POST", "/rerank", true),
            ("POST", "", true),
        ];
        for (method, path, expected) in cases {
            assert_eq!(is_repeatable(method, path), expected, "{method} {path}");
        }
    }
}
