//! Files, and uploads that become files.
//!
//! Source: OpenAI API description of 2026-08, files and uploads; the helper of the official SDKs for
//! large files sends parts of 64 MB.

use super::table::{Query, Table, page};
use super::{OBJECTS_MAX, Shelf, Visit};
use crate::provider::answer::{Answer, BINARY};
use crate::provider::chat::CREATED;
use crate::provider::form::{Form, KEPT_MAX};
use crate::provider::refusal::Refusal;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// The most bytes of all files together; the contents of the oldest go first.
const CONTENT_MAX: usize = 256 << 20;
/// The largest file. Source: OpenAI API reference, files, 512 MB, read 2026-11.
pub(crate) const FILE_MAX: u64 = 512 << 20;
/// The largest upload. Source: OpenAI API reference, uploads, 8 GB, read 2026-11.
const UPLOAD_MAX: u64 = 8 << 30;
/// Most parts of one upload.
const PARTS_MAX: usize = 10_000;

/// Files and their contents.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) table: Table,
    contents: BTreeMap<String, Bytes>,
    order: VecDeque<String>,
    together: usize,
    uploads: Table,
    parts: BTreeMap<String, Part>,
}

#[derive(Debug)]
struct Part {
    upload: String,
    kept: Bytes,
    size: u64,
}

impl Files {
    pub(crate) fn new() -> Files {
        Files {
            table: Table::new(OBJECTS_MAX),
            contents: BTreeMap::new(),
            order: VecDeque::new(),
            together: 0,
            uploads: Table::new(OBJECTS_MAX),
            parts: BTreeMap::new(),
        }
    }

    /// The content that is kept of a file.
    pub(crate) fn content(&self, id: &str) -> Option<&Bytes> {
        self.contents.get(id)
    }

    /// Stores a file.
    pub(crate) fn add(&mut self, file: Value, content: Bytes) -> Value {
        let id = file["id"].as_str().unwrap_or_default().to_owned();
        self.together += content.len();
        self.contents.insert(id.clone(), content);
        self.order.push_back(id);
        while self.together > CONTENT_MAX || self.order.len() > OBJECTS_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.drop_content(&oldest);
        }
        self.table.push(file.clone());
        file
    }

    fn drop_content(&mut self, id: &str) {
        if let Some(gone) = self.contents.remove(id) {
            self.together = self.together.saturating_sub(gone.len());
        }
    }
}

/// A file as it is told.
pub(crate) fn file_object(id: &str, name: &str, purpose: &str, size: u64) -> Value {
    json!({
        "id": id, "object": "file", "bytes": size, "created_at": CREATED, "expires_at": null,
        "filename": name, "purpose": purpose, "status": "processed", "status_details": null,
    })
}

const PURPOSES: [&str; 6] = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

impl Shelf {
    /// Answers a request below `/files`.
    pub(super) fn files_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Answer, Refusal> {
        match (visit.method, parts) {
            ("POST", []) => self.make_file(visit.form).map(Answer::told),
            ("GET", []) => Ok(Answer::told(self.list_files(visit.query))),
            ("GET", [id]) => self.file(id).map(|file| Answer::told(file.clone())),
            ("DELETE", [id]) => {
                self.file(id)?;
                self.files.drop_content(id);
                self.files.table.delete(id, "file", "file").map(Answer::told)
            }
            ("GET", [id, "content"]) => self.file_content(id, visit.range),
            _ => Err(visit.unknown()),
        }
    }

    pub(super) fn file(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let made_up = self.invents.then(|| file_object(id, "made-up.txt", "assistants", 7));
        self.files.table.open(id, "file", made_up)
    }

    fn list_files(&self, query: Query<'_>) -> Value {
        let purpose = query.get("purpose");
        let fits = |file: &&Value| purpose.is_none_or(|purpose| file["purpose"] == purpose);
        page(self.files.table.iter().filter(fits).collect(), query, true)
    }

    fn make_file(&mut self, form: Option<&Form>) -> Result<Value, Refusal> {
        let form = form.ok_or_else(|| Refusal::missing("file"))?;
        let purpose = form.text("purpose").ok_or_else(|| Refusal::missing("purpose"))?;
        let file = form.file("file").ok_or_else(|| Refusal::missing("file"))?;
        if !PURPOSES.contains(&purpose) {
            return Err(Refusal::no_choice("purpose", purpose, &PURPOSES));
        }
        if file.size > FILE_MAX {
            return Err(Refusal::too_large(FILE_MAX, file.size));
        }
        let id = self.id("file-");
        let name = file.filename.as_deref().unwrap_or("file");
        let mut object = file_object(&id, name, purpose, file.size);
        if let Some(seconds) =
            form.text("expires_after[seconds]").and_then(|s| s.parse::<u64>().ok())
        {
            object["expires_at"] = json!(CREATED.saturating_add(seconds));
        }
        Ok(self.files.add(object, file.kept.clone()))
    }

    /// The content of a file, or the range of it that is asked for (RFC 9110, 14).
    fn file_content(&mut self, id: &str, range: Option<&str>) -> Result<Answer, Refusal> {
        let size = self.file(id)?["bytes"].as_u64().unwrap_or(0);
        if size > KEPT_MAX as u64 {
            let message = format!(
                "The simulator keeps the first {KEPT_MAX} bytes of a file and cannot give back the {size} of '{id}'."
            );
            return Err(Refusal::new(400, message));
        }
        let made_up = Bytes::from_static(b"made up");
        let content = self.files.content(id).cloned();
        let content = content.or_else(|| self.invents.then_some(made_up));
        let content = content.ok_or_else(|| {
            Refusal::new(404, format!("The content of '{id}' is no longer kept: 256 MiB are."))
        })?;
        Ok(ranged(content, range))
    }

    /// Answers a request below `/uploads`.
    pub(super) fn uploads_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("POST", []) => self.make_upload(&visit.body),
            ("POST", [id, "parts"]) => self.add_part(id, visit.form),
            ("POST", [id, "complete"]) => self.complete_upload(id, &visit.body),
            ("POST", [id, "cancel"]) => {
                self.pending_upload(id)?["status"] = "cancelled".into();
                self.files.parts.retain(|_, part| part.upload != *id);
                Ok(self.upload(id)?.clone())
            }
            _ => Err(visit.unknown()),
        }
    }

    fn upload(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let made_up = self.invents.then(|| upload_object(id, "made-up.txt", "assistants", 0));
        self.files.uploads.open(id, "upload", made_up)
    }

    fn pending_upload(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let lenient = self.invents;
        let upload = self.upload(id)?;
        if upload["status"] != "pending" && !lenient {
            let message = format!("Upload '{id}' is {}, not pending.", upload["status"]);
            return Err(Refusal::new(400, message));
        }
        Ok(upload)
    }

    fn make_upload(&mut self, body: &Value) -> Result<Value, Refusal> {
        let text = |name: &str| body[name].as_str().ok_or_else(|| Refusal::missing(name));
        let (name, purpose) = (text("filename")?, text("purpose")?);
        text("mime_type")?;
        let size = body["bytes"].as_u64().ok_or_else(|| Refusal::missing("bytes"))?;
        if size > UPLOAD_MAX {
            return Err(Refusal::too_large(UPLOAD_MAX, size));
        }
        let upload = upload_object(&self.id("upload_"), name, purpose, size);
        self.files.uploads.push(upload.clone());
        Ok(upload)
    }

    fn add_part(&mut self, upload: &str, form: Option<&Form>) -> Result<Value, Refusal> {
        self.pending_upload(upload)?;
        let data =
            form.and_then(|form| form.file("data")).ok_or_else(|| Refusal::missing("data"))?;
        let parts = &mut self.files.parts;
        if parts.len() >= PARTS_MAX {
            parts.pop_first();
        }
        let had: usize =
            parts.values().filter(|p| p.upload == upload).map(|part| part.kept.len()).sum();
        // Of a large upload, too, only the beginning is kept.
        let kept = data.kept.slice(..data.kept.len().min(KEPT_MAX.saturating_sub(had)));
        let part = Part { upload: upload.to_owned(), kept, size: data.size };
        let id = self.id("part_");
        self.files.parts.insert(id.clone(), part);
        Ok(json!({
            "id": id, "object": "upload.part", "created_at": CREATED, "upload_id": upload,
        }))
    }

    fn complete_upload(&mut self, id: &str, body: &Value) -> Result<Value, Refusal> {
        let lenient = self.invents;
        let upload = self.pending_upload(id)?.clone();
        let ids = body["part_ids"].as_array().ok_or_else(|| Refusal::missing("part_ids"))?;
        let (mut content, mut size) = (Vec::new(), 0);
        for part_id in ids.iter().filter_map(Value::as_str) {
            match self.files.parts.get(part_id).filter(|part| part.upload == id) {
                Some(part) => {
                    content.extend_from_slice(&part.kept);
                    size += part.size;
                }
                None if lenient => {}
                None => return Err(super::table::absent("part", part_id)),
            }
        }
        if upload["bytes"] != size && !lenient {
            let message = format!(
                "The parts have {size} bytes together, but the upload was announced with {}.",
                upload["bytes"]
            );
            return Err(Refusal::new(400, message));
        }
        let text = |name: &str| upload[name].as_str().unwrap_or_default();
        let file = file_object(&self.id("file-"), text("filename"), text("purpose"), size);
        let file = self.files.add(file, content.into());
        self.files.parts.retain(|_, part| part.upload != id);
        let upload = self.upload(id)?;
        upload["status"] = "completed".into();
        upload["file"] = file;
        Ok(upload.clone())
    }

    /// Adds a file that the provider made.
    pub(super) fn add_made_file(&mut self, name: &str, purpose: &str, content: String) -> String {
        let id = self.id("file-");
        let size = content.len() as u64;
        self.files.add(file_object(&id, name, purpose, size), content.into());
        id
    }
}

fn upload_object(id: &str, name: &str, purpose: &str, size: u64) -> Value {
    json!({
        "id": id, "object": "upload", "bytes": size, "created_at": CREATED,
        "expires_at": CREATED + 3_600, "filename": name, "purpose": purpose, "status": "pending",
        "file": null,
    })
}

/// Bytes as they are, or the one range of them that a `Range` header names.
pub(crate) fn ranged(content: Bytes, range: Option<&str>) -> Answer {
    let length = content.len() as u64;
    let whole = |content| Answer::bytes(200, BINARY, content);
    let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")) else {
        return whole(content);
    };
    let Some((from, to)) = range.split_once('-') else { return whole(content) };
    let found = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => Some((from, to)),
        (Ok(from), Err(_)) if to.is_empty() => Some((from, u64::MAX)),
        (Err(_), Ok(last)) if from.is_empty() => Some((length.saturating_sub(last), u64::MAX)),
        _ => None,
    };
    let Some((from, to)) = found else { return whole(content) };
    let to = to.min(length.saturating_sub(1));
    if from >= length {
        let mut answer = Answer::bytes(416, BINARY, Bytes::new());
        answer.headers.push(("content-range", format!("bytes */{length}")));
        return answer;
    }
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    let mut answer = Answer::bytes(206, BINARY, content.slice(at(from)..=at(to)));
    answer.headers.push(("content-range", format!("bytes {from}-{to}/{length}")));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::answer::Content;

    #[test]
    fn a_range_is_answered_by_its_part() {
        let check = |range, status, want: &[u8], told: Option<&str>| {
            let answer = ranged(Bytes::from_static(b"0123456789"), Some(range));
            let Content::Whole(bytes) = &answer.content else { panic!("not whole") };
            assert_eq!((answer.status, &bytes[..]), (status, want), "{range}");
            let found = answer.headers.iter().find(|(name, _)| *name == "content-range");
            assert_eq!(found.map(|(_, value)| value.as_str()), told, "{range}");
        };
        check("bytes=2-4", 206, b"234", Some("bytes 2-4/10"));
        check("bytes=8-", 206, b"89", Some("bytes 8-9/10"));
        check("bytes=-3", 206, b"789", Some("bytes 7-9/10"));
        check("bytes=5-99", 206, b"56789", Some("bytes 5-9/10"));
        check("bytes=10-", 416, b"", Some("bytes */10"));
        check("bytes=4-2", 200, b"0123456789", None);
        check("lines=1-2", 200, b"0123456789", None);
    }
}
