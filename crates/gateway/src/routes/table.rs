//! The paths under `/v1` that are known, and the methods each takes.

/// What is known about a path.
pub(super) struct Found {
    /// Whether its family is known; others need the scope `passthrough`.
    pub(super) known: bool,
    /// The methods it takes, when the exact path is known.
    pub(super) methods: Option<&'static str>,
}

/// First segments of known families. Source: the vendor's OpenAPI description, 2026-08.
/// `organization` and `projects` are administration and left out on purpose.
const FAMILIES: &[&str] = &[
    "assistants",
    "audio",
    "batches",
    "chat",
    "completions",
    "containers",
    "conversations",
    "embeddings",
    "evals",
    "files",
    "fine_tuning",
    "images",
    "models",
    "moderations",
    "responses",
    "threads",
    "uploads",
    "vector_stores",
    "videos",
];

const LIST: &str = "GET, POST";
const MAKE: &str = "POST";
const READ: &str = "GET";
const OBJECT: &str = "GET, DELETE";
const OBJECT_UPDATE: &str = "GET, POST, DELETE";

/// Exact paths, `{}` for one segment, and their methods. Source: as above.
const PATHS: &[(&str, &str)] = &[
    ("/chat/completions", LIST),
    ("/chat/completions/{}", OBJECT_UPDATE),
    ("/chat/completions/{}/messages", READ),
    ("/completions", MAKE),
    ("/embeddings", MAKE),
    ("/moderations", MAKE),
    ("/responses", MAKE),
    ("/responses/input_tokens", MAKE),
    ("/responses/compact", MAKE),
    ("/responses/{}", OBJECT),
    ("/responses/{}/cancel", MAKE),
    ("/responses/{}/input_items", READ),
    ("/images/generations", MAKE),
    ("/images/edits", MAKE),
    ("/images/variations", MAKE),
    ("/audio/speech", MAKE),
    ("/audio/transcriptions", MAKE),
    ("/audio/translations", MAKE),
    ("/models", READ),
    ("/models/{}", OBJECT),
    ("/files", LIST),
    ("/files/{}", OBJECT),
    ("/files/{}/content", READ),
    ("/uploads", MAKE),
    ("/batches", LIST),
    ("/batches/{}", READ),
    ("/batches/{}/cancel", MAKE),
];

/// Looks a path up: what follows `/v1`, without query and without a slash at the end.
pub(super) fn find(path: &str) -> Found {
    // Patterns come behind the paths that fit them word by word, which most calls name.
    let exact = PATHS.iter().find(|(pattern, _)| *pattern == path);
    let found = exact.or_else(|| PATHS.iter().find(|(pattern, _)| fits(pattern, path)));
    let methods = found.map(|(_, methods)| *methods);
    let family = path.strip_prefix('/').unwrap_or(path).split('/').next().unwrap_or("");
    Found { known: methods.is_some() || FAMILIES.contains(&family), methods }
}

fn fits(pattern: &str, path: &str) -> bool {
    if !pattern.contains('{') {
        return pattern == path;
    }
    let (mut want, mut have) = (pattern.split('/'), path.split('/'));
    loop {
        match (want.next(), have.next()) {
            (None, None) => return true,
            (Some("{}"), Some(segment)) if !segment.is_empty() => {}
            (Some(a), Some(b)) if a == b => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}
