//! Looks at an answer as it goes by, for the ids of objects that it names. What goes by is not changed,
//! and an id is on record before the caller has the byte that ends it.

use std::borrow::Cow;
use std::sync::Arc;

use mainstay_core::store::{ObjectRecord, UnixMillis};
use serde::Deserialize;
use serde_json::Value;

use super::desk::Objects;

/// Most bytes of an answer that are kept to be looked at.
const KEEP_MAX: usize = 4 << 20;

/// Whose an answer's object is going to be.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(super) objects: Arc<Objects>,
    pub(super) project: Box<str>,
    pub(super) family: &'static str,
    pub(super) what: What,
}

/// What the answer tells.
#[derive(Debug)]
pub(super) enum What {
    /// An object was made; this field is its id.
    Made { field: &'static str },
    /// An object was deleted.
    Deleted { id: Box<str> },
    /// An object that may name others.
    Read,
}

/// An answer that is looked at.
#[derive(Debug)]
pub(crate) struct Watch {
    mark: Mark,
    provider: Box<str>,
    credential: u32,
    now: UnixMillis,
    events: bool,
    kept: Vec<u8>,
    done: bool,
}

impl Mark {
    /// Looks at the answer of this provider; `events`: it is a stream of events. A deletion is done
    /// with its head.
    pub(crate) fn watch(
        self,
        provider: &str,
        credential: usize,
        events: bool,
        now: UnixMillis,
    ) -> Option<Watch> {
        if let What::Deleted { id } = &self.what {
            self.objects.forget(self.family, id);
            return None;
        }
        Some(Watch {
            mark: self,
            provider: provider.into(),
            credential: u32::try_from(credential).unwrap_or(0),
            now,
            events,
            kept: Vec::new(),
            done: false,
        })
    }
}

impl Watch {
    /// Bytes go by.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        if self.done {
            return;
        }
        let room = KEEP_MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.events {
            self.read_events();
        } else if bytes.len() > room {
            // The id stands before what is long, as a rule; the beginning tells it.
            self.end();
        }
    }

    /// The answer is over.
    pub(crate) fn end(&mut self) {
        if std::mem::replace(&mut self.done, true) || self.events {
            return;
        }
        let kept = std::mem::take(&mut self.kept);
        match self.mark.what {
            What::Made { field } => {
                let read = serde_json::from_slice::<Ids<'_>>(&kept).ok();
                let id = read.and_then(|ids| ids.named(field)).or_else(|| leading_id(&kept));
                self.remember(self.mark.family, id.as_deref(), false);
                self.adopt(&kept);
            }
            What::Read => self.adopt(&kept),
            What::Deleted { .. } => {}
        }
    }

    /// Reads whole events until one names the object.
    fn read_events(&mut self) {
        let What::Made { field } = self.mark.what else { return self.done = true };
        while let Some(end) = memchr::memchr(b'\n', &self.kept) {
            let line: Vec<u8> = self.kept.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data:") else { continue };
            let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { continue };
            let id = event.response.and_then(|inner| inner.named("id"));
            let id = id.or_else(|| Ids { id: event.id, thread_id: event.thread_id }.named(field));
            if let Some(id) = id {
                self.remember(self.mark.family, Some(&id), false);
                self.done = true;
                self.kept = Vec::new();
                return;
            }
        }
        self.done = self.kept.len() >= KEEP_MAX;
    }

    /// Remembers the objects that came of another one.
    fn adopt(&self, body: &[u8]) {
        let Ok(answer) = serde_json::from_slice::<Value>(body) else { return };
        let page = answer.get("data").and_then(Value::as_array).map(Vec::as_slice);
        for thing in page.unwrap_or_else(|| std::slice::from_ref(&answer)) {
            for (family, id) in born_of(self.mark.family, thing) {
                self.remember(family, Some(id), true);
            }
        }
    }

    fn remember(&self, family: &str, id: Option<&str>, adopted: bool) {
        const LONGEST: usize = 512;
        let Some(id) = id.filter(|id| !id.is_empty() && id.len() <= LONGEST) else {
            if !adopted {
                tracing::warn!(family, "an answer names no id, so nobody can use what was made");
            }
            return;
        };
        self.mark.objects.remember(ObjectRecord {
            family: family.into(),
            id: id.into(),
            project: self.mark.project.clone(),
            provider: self.provider.clone(),
            credential: self.credential,
            made_at: self.now,
            adopted,
        });
    }
}

#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thread_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thread_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    response: Option<Ids<'a>>,
}

impl Ids<'_> {
    fn named(self, field: &str) -> Option<String> {
        let id = if field == "thread_id" { self.thread_id } else { self.id };
        id.map(Cow::into_owned)
    }
}

/// The id in the beginning of an object that is too long to be kept: its first field `id`, if no
/// other object or list begins before it.
fn leading_id(body: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(body, b"\"id\"")?;
    let nested = body.get(1..at)?.iter().any(|byte| matches!(byte, b'{' | b'['));
    let rest = body[at + 4..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', rest).filter(|_| !nested)?;
    String::from_utf8(rest[..end].to_vec()).ok().filter(|id| !id.contains('\\'))
}

/// The objects that the provider made of this one, by the fields that name them. Only such fields:
/// `metadata` and the like are the caller's own words. Source: the vendor's OpenAPI description,
/// 2026-08.
fn born_of<'v>(family: &str, thing: &'v Value) -> Vec<(&'static str, &'v str)> {
    let text = |value: &'v Value, field: &str| value.get(field).and_then(Value::as_str);
    let files =
        |ids: Vec<Option<&'v str>>| ids.into_iter().flatten().map(|id| ("files", id)).collect();
    match family {
        "batches" => files(vec![text(thing, "output_file_id"), text(thing, "error_file_id")]),
        "uploads" => files(vec![thing.get("file").and_then(|file| text(file, "id"))]),
        "fine_tuning/jobs" => {
            let results = thing.get("result_files").and_then(Value::as_array);
            files(results.into_iter().flatten().map(Value::as_str).collect())
        }
        "threads" if text(thing, "role") == Some("assistant") => {
            let parts = thing.get("content").and_then(Value::as_array).into_iter().flatten();
            files(
                parts
                    .flat_map(|part| {
                        let image = part.get("image_file").and_then(|file| text(file, "file_id"));
                        let notes = part.pointer("/text/annotations").and_then(Value::as_array);
                        let paths = notes.into_iter().flatten().map(move |note| {
                            note.get("file_path").and_then(|path| text(path, "file_id"))
                        });
                        std::iter::once(image).chain(paths).collect::<Vec<_>>()
                    })
                    .collect(),
            )
        }
        "responses" => {
            let items = thing.get("output").and_then(Value::as_array).into_iter().flatten();
            items
                .filter_map(|item| text(item, "container_id"))
                .map(|id| ("containers", id))
                .collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_at_the_front_is_read_from_a_beginning() {
        for (body, want) in [
            (&br#"{"id": "resp_1", "output": [{"id": "x"#[..], Some("resp_1")),
            (br#"{"output": [{"id": "msg_1"}], "id": "resp_1"#, None),
            (br#"{"object":"response","id":"resp_2"#, None),
            (br#"{"object":"response","id":"resp_2","#, Some("resp_2")),
        ] {
            assert_eq!(leading_id(body).as_deref(), want, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn only_fields_of_the_providers_own_name_what_came_of_an_object() {
        let batch = serde_json::json!({
            "id": "b", "output_file_id": "file-o", "error_file_id": null,
            "metadata": {"output_file_id": "file-foreign"},
        });
        assert_eq!(born_of("batches", &batch), [("files", "file-o")]);
        let message = serde_json::json!({"role": "assistant", "content": [
            {"image_file": {"file_id": "file-i"}},
            {"text": {"annotations": [{"file_path": {"file_id": "file-p"}}, {"file_citation": {"file_id": "file-c"}}]}},
        ]});
        assert_eq!(born_of("threads", &message), [("files", "file-i"), ("files", "file-p")]);
        let mut his = message.clone();
        his["role"] = "user".into();
        assert_eq!(born_of("threads", &his), [], "what a caller wrote makes nothing his");
        assert_eq!(born_of("uploads", &serde_json::json!({"file": {"id": "f"}})), [("files", "f")]);
    }
}
