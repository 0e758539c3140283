//! The families of objects, and what a path does with them.
//! Source: the vendor's OpenAPI description, 2026-08.

use http::Method;
use mainstay::call::CallBody;
use mainstay_core::wire::quoted::Words;

/// What a request does with objects.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Use<'p> {
    /// Nothing.
    Free,
    /// It reaches what belongs to no project.
    Operator,
    /// Makes one; the answer's field with this name is its id.
    Create { family: &'static str, id: &'static str },
    /// Lists them.
    List { family: &'static str },
    /// Is about one; `whole`: about the object itself and nothing below it.
    Object { family: &'static str, id: &'p str, whole: bool },
}

/// A family: its path, what one of it is called, whether it can be listed.
const FAMILIES: &[(&str, &str, bool)] = &[
    ("files", "file", true),
    ("uploads", "upload", false),
    ("batches", "batch", true),
    ("assistants", "assistant", true),
    ("threads", "thread", false),
    ("vector_stores", "vector store", true),
    ("conversations", "conversation", false),
    ("responses", "response", false),
    ("chat/completions", "chat completion", true),
    ("fine_tuning/jobs", "fine-tuning job", true),
    ("containers", "container", true),
    ("videos", "video", true),
];

/// Paths in the place of an id that are operations.
const OPERATIONS: &[(&str, Use<'static>)] = &[
    ("/responses/input_tokens", Use::Free),
    ("/responses/compact", Use::Free),
    ("/threads/runs", Use::Create { family: "threads", id: "thread_id" }),
    ("/videos/characters", Use::Operator),
    ("/videos/edits", Use::Operator),
    ("/videos/extensions", Use::Operator),
];

/// What a request does, by method and what follows `/v1` in its path.
pub(super) fn of<'p>(method: &Method, rest: &'p str) -> Use<'p> {
    let path = rest.split('?').next().unwrap_or(rest);
    let path = path.strip_suffix('/').unwrap_or(path);
    for (start, found) in OPERATIONS {
        if path == *start {
            return match found {
                Use::Create { family, id } => Use::Create { family, id },
                Use::Operator => Use::Operator,
                Use::Free | Use::List { .. } | Use::Object { .. } => Use::Free,
            };
        }
    }
    for (family, _, listed) in FAMILIES {
        let Some(below) = path.strip_prefix('/').and_then(|path| path.strip_prefix(family)) else {
            continue;
        };
        let mut segments = match below.strip_prefix('/') {
            Some(below) => below.split('/'),
            None if below.is_empty() => return top(method, family, *listed),
            None => continue,
        };
        let id = segments.next().unwrap_or_default();
        return Use::Object { family, id, whole: segments.next().is_none() };
    }
    elsewhere(method, path)
}

fn top(method: &Method, family: &'static str, listed: bool) -> Use<'static> {
    match *method {
        Method::POST => Use::Create { family, id: "id" },
        Method::GET | Method::HEAD if listed => Use::List { family },
        _ => Use::Operator,
    }
}

/// Known paths that are about no object, and those that reach what all share.
fn elsewhere(method: &Method, path: &str) -> Use<'static> {
    let free = [
        "/completions",
        "/embeddings",
        "/moderations",
        "/images/",
        "/audio/speech",
        "/audio/transcriptions",
        "/audio/translations",
    ];
    let models = path == "/models" || path.starts_with("/models/");
    if free.iter().any(|start| path.starts_with(start)) || (models && *method != Method::DELETE) {
        return Use::Free;
    }
    Use::Operator
}

/// What one of a family is called.
pub(super) fn thing(family: &str) -> &'static str {
    FAMILIES.iter().find(|(name, ..)| *name == family).map_or("object", |(_, thing, _)| thing)
}

/// Whether bodies under this path may name objects.
pub(super) fn has_references(rest: &str) -> bool {
    const NONE: [&str; 5] = ["/embeddings", "/moderations", "/audio/", "/completions", "/models"];
    !NONE.iter().any(|start| rest.starts_with(start))
}

/// Whether the answers about one of a family may name objects that came of it.
pub(super) fn names_others(family: &str) -> bool {
    matches!(family, "batches" | "uploads" | "fine_tuning/jobs" | "threads" | "responses")
}

/// Whether the provider keeps what this call makes. Chat completions are kept when asked for,
/// responses unless refused; when in doubt they count as kept.
pub(super) fn is_kept(family: &str, body: &CallBody, words: Words) -> bool {
    family != "chat/completions" || !matches!(body, CallBody::Buffered(_)) || words.may_store()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_is_done_with_which_object() {
        let made = |family| Use::Create { family, id: "id" };
        let object = |family, id, whole| Use::Object { family, id, whole };
        let cases = [
            ("POST", "/files", made("files")),
            ("GET", "/files?limit=2", Use::List { family: "files" }),
            ("GET", "/files/file-1", object("files", "file-1", true)),
            ("DELETE", "/files/file-1/", object("files", "file-1", true)),
            ("GET", "/files/file-1/content", object("files", "file-1", false)),
            ("POST", "/uploads/u/parts", object("uploads", "u", false)),
            ("POST", "/threads/runs", Use::Create { family: "threads", id: "thread_id" }),
            ("POST", "/threads/t/runs", object("threads", "t", false)),
            ("GET", "/threads", Use::Operator),
            ("POST", "/fine_tuning/jobs", made("fine_tuning/jobs")),
            ("POST", "/fine_tuning/jobs/j/cancel", object("fine_tuning/jobs", "j", false)),
            ("POST", "/fine_tuning/alpha/graders/run", Use::Operator),
            ("GET", "/fine_tuning/checkpoints/c/permissions", Use::Operator),
            ("POST", "/chat/completions", made("chat/completions")),
            ("GET", "/chat/completions", Use::List { family: "chat/completions" }),
            ("GET", "/chat/completions/c/messages", object("chat/completions", "c", false)),
            ("POST", "/responses/input_tokens", Use::Free),
            ("GET", "/responses", Use::Operator),
            ("GET", "/models", Use::Free),
            ("DELETE", "/models/ft:x", Use::Operator),
            ("GET", "/audio/voices", Use::Operator),
            ("POST", "/audio/speech", Use::Free),
            ("POST", "/realtime/client_secrets", Use::Operator),
            ("POST", "/filesystem", Use::Operator),
            ("GET", "/videos/characters", Use::Operator),
        ];
        for (method, path, want) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(of(&method, path), want, "{method} {path}");
        }
    }
}
