//! What a key may be used for: families of endpoints, models, and paths that nobody knows.

use http::Method;
use mainstay_core::failure::{Kind, Scope as FailureScope};
use mainstay_core::store::Scope;

use crate::auth::Caller;
use crate::refused::Refused;
use crate::routes::ApiPath;

/// Whether the caller's key allows the path and the method.
pub(crate) fn check(caller: &Caller, path: &ApiPath<'_>, method: &Method) -> Result<(), Refused> {
    if path.unknown {
        return if caller.may_pass_through() { Ok(()) } else { Err(unknown_path(path.rest)) };
    }
    let Some(key) = &caller.key else { return Ok(()) };
    let scopes = key.record.scopes;
    if scopes.allows(Scope::ReadOnly) && !matches!(*method, Method::GET | Method::HEAD) {
        return Err(lacks(Scope::ReadOnly, "it may only read (GET)"));
    }
    let scope = family(path.rest);
    if scope.is_none_or(|scope| scopes.allows(scope)) {
        return Ok(());
    }
    let scope = scope.unwrap_or(Scope::Passthrough);
    Err(lacks(scope, "its scopes do not name this family of endpoints"))
}

/// Whether the caller's key allows the model.
pub(crate) fn check_model(caller: &Caller, model: Option<&str>) -> Result<(), Refused> {
    match (&caller.key, model) {
        (Some(key), Some(model)) if !key.record.allows_model(model) => {
            let allowed = key.record.models.join(", ");
            let message =
                format!("This key may not use the model `{model}`; it may use: {allowed}.");
            Err(Refused {
                scope: FailureScope::Model,
                param: Some("model".to_owned()),
                ..Refused::key(Kind::ModelAccessDenied, message)
            })
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// Whether the caller's key may make a call whose model is not seen: it stands behind a large file.
pub(crate) fn check_unseen_model(caller: &Caller, unseen: bool) -> Result<(), Refused> {
    match &caller.key {
        Some(key) if unseen && !key.record.models.is_empty() => Err(Refused {
            scope: FailureScope::Model,
            param: Some("model".to_owned()),
            ..Refused::key(
                Kind::ModelAccessDenied,
                "This key may use certain models only, and the form does not name one before its large file. Put the \
                 field `model` in front of the file.",
            )
        }),
        Some(_) | None => Ok(()),
    }
}

/// The scope that a family of paths needs; none for families without one.
fn family(rest: &str) -> Option<Scope> {
    let first = rest.trim_start_matches('/').split(['/', '?']).next().unwrap_or("");
    match first {
        "chat" => Some(Scope::Chat),
        "responses" | "conversations" => Some(Scope::Responses),
        "completions" => Some(Scope::Completions),
        "embeddings" => Some(Scope::Embeddings),
        "images" | "videos" => Some(Scope::Images),
        "audio" | "realtime" => Some(Scope::Audio),
        "moderations" => Some(Scope::Moderations),
        "models" => Some(Scope::Models),
        "files" | "uploads" | "batches" => Some(Scope::Files),
        "assistants" | "threads" | "vector_stores" => Some(Scope::Assistants),
        _ => None,
    }
}

fn lacks(scope: Scope, why: &str) -> Refused {
    Refused::key(
        Kind::PermissionDenied,
        format!(
            "This key lacks the right to this call: {why} (scope `{}`). Use another key.",
            scope.name()
        ),
    )
}

fn unknown_path(rest: &str) -> Refused {
    if rest.starts_with("/organization") || rest.starts_with("/projects") {
        return lacks(Scope::Passthrough, "this path administers the provider's account");
    }
    Refused::caller(
        Kind::NotFound,
        "There is no such path here. Unknown paths are passed on to the provider only for keys with the scope \
         `passthrough`: check the path, or use such a key.",
    )
}
