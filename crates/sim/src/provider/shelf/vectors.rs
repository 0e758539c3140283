//! Vector stores: the files in them, batches of files, search.

use super::table::{Table, absent, deleted, page};
use super::{OBJECTS_MAX, Shelf, Visit, empty, metadata_of, overlay, wished};
use crate::provider::chat::CREATED;
use crate::provider::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most files of one store.
const FILES_MAX: usize = 10_000;
/// The most files of one batch. Source: OpenAI API description of 2026-08.
const BATCH_MAX: usize = 2_000;
/// The most bytes of a file that a search looks at.
const SEARCHED_MAX: usize = 1 << 20;

/// All vector stores and what is in them.
#[derive(Debug)]
pub(crate) struct Vectors {
    stores: Table,
    files: BTreeMap<String, Table>,
    batches: Table,
}

impl Default for Vectors {
    fn default() -> Vectors {
        Vectors {
            stores: Table::new(OBJECTS_MAX),
            files: BTreeMap::new(),
            batches: Table::new(OBJECTS_MAX),
        }
    }
}

impl Shelf {
    /// Answers a request below `/vector_stores`.
    pub(super) fn vectors_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        let body = &visit.body;
        if let [id, ..] = parts {
            self.store_goes_on(id, visit.now);
        }
        match (visit.method, parts) {
            ("POST", []) => {
                let id = self.id("vs_");
                self.vectors.stores.push(store_object(&id, body));
                let ids = body["file_ids"].as_array().map_or(&[][..], Vec::as_slice);
                for file in ids.iter().filter_map(Value::as_str) {
                    self.add_to_store(&id, file, body, None, visit.now)?;
                }
                self.store_told(&id)
            }
            ("GET", []) => Ok(page(self.vectors.stores.iter().collect(), visit.query, true)),
            ("GET", [id]) => self.store_told(id),
            ("POST", [id]) => {
                overlay(self.store(id)?, body, &["name", "metadata", "expires_after"]);
                self.store_told(id)
            }
            ("DELETE", [id]) => {
                self.store(id)?;
                self.vectors.files.remove(*id);
                self.vectors.stores.delete(id, "vector store", "vector_store.deleted")
            }
            ("POST", [id, "search"]) => self.search(id, body),
            (_, [id, "files", rest @ ..]) => self.store_files_at(visit, id, rest),
            (_, [id, "file_batches", rest @ ..]) => self.file_batches_at(visit, id, rest),
            _ => Err(visit.unknown()),
        }
    }

    fn store(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let made_up = self.invents.then(|| store_object(id, &Value::Null));
        self.vectors.stores.open(id, "vector store", made_up)
    }

    /// A store with the counts of its files.
    fn store_told(&mut self, id: &str) -> Result<Value, Refusal> {
        let files = self.vectors.files.get(id);
        let files: Vec<Value> = files.iter().flat_map(|table| table.iter()).cloned().collect();
        let store = self.store(id)?;
        let counts = counts_of(files.iter());
        let working = counts["in_progress"] != 0;
        store["status"] = if working { "in_progress" } else { "completed" }.into();
        store["usage_bytes"] =
            files.iter().filter_map(|file| file["usage_bytes"].as_u64()).sum::<u64>().into();
        store["file_counts"] = counts;
        Ok(store.clone())
    }

    fn files_of(&mut self, store: &str) -> &mut Table {
        let files = &mut self.vectors.files;
        files.entry(store.to_owned()).or_insert_with(|| Table::new(FILES_MAX))
    }

    /// Files are indexed when their time has come.
    fn store_goes_on(&mut self, id: &str, now: Duration) {
        let step = self.step;
        let Some(files) = self.vectors.files.get_mut(id) else { return };
        let due: Vec<String> = files
            .iter()
            .filter(|file| file["status"] == "in_progress" && is_due(file, step, now))
            .filter_map(|file| file["id"].as_str().map(str::to_owned))
            .collect();
        for file in due {
            if let Some(file) = files.get_mut(&file) {
                finish_file(file);
            }
        }
    }

    fn add_to_store(
        &mut self,
        store: &str,
        file: &str,
        asked: &Value,
        batch: Option<&str>,
        now: Duration,
    ) -> Result<Value, Refusal> {
        self.store(store)?;
        let size = self.file(file)?["bytes"].clone();
        let object = json!({
            "id": file, "object": "vector_store.file", "created_at": CREATED, "vector_store_id": store,
            "status": "in_progress", "last_error": null, "usage_bytes": size,
            "attributes": asked.get("attributes").filter(|a| a.is_object()).cloned().unwrap_or_else(empty),
            "chunking_strategy": chunking(asked),
            // Not told: when it was added, and by which batch.
            "sim_at": u64::try_from(now.as_millis()).unwrap_or(u64::MAX), "sim_batch": batch,
        });
        let files = self.files_of(store);
        files.remove(file);
        files.push(object.clone());
        Ok(told(&object))
    }

    fn store_files_at(
        &mut self,
        visit: &Visit<'_>,
        store: &str,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("POST", []) => {
                let file = visit.body["file_id"].as_str();
                let file = file.ok_or_else(|| Refusal::missing("file_id"))?;
                self.add_to_store(store, file, &visit.body, None, visit.now)
            }
            ("GET", []) => {
                self.store(store)?;
                Ok(self.store_page(visit, store, None))
            }
            ("GET", [file]) => self.store_file(store, file).map(|file| told(file)),
            ("POST", [file]) => {
                let file = self.store_file(store, file)?;
                overlay(file, &visit.body, &["attributes"]);
                Ok(told(file))
            }
            ("DELETE", [file]) => {
                self.store_file(store, file)?;
                self.files_of(store).remove(file);
                Ok(deleted(file, "vector_store.file.deleted"))
            }
            ("GET", [file, "content"]) => {
                self.store_file(store, file)?;
                let text = self.text_of_file(file);
                Ok(json!({
                    "object": "vector_store.file_content.page", "has_more": false, "next_page": null,
                    "data": [{ "type": "text", "text": text }],
                }))
            }
            _ => Err(visit.unknown()),
        }
    }

    fn store_page(&mut self, visit: &Visit<'_>, store: &str, batch: Option<&str>) -> Value {
        let filter = visit.query.get("filter");
        let fits = |file: &&Value| {
            filter.is_none_or(|filter| file["status"] == filter)
                && batch.is_none_or(|batch| file["sim_batch"] == batch)
        };
        let files: Vec<Value> = self.files_of(store).iter().filter(fits).map(told).collect();
        page(files.iter().collect(), visit.query, true)
    }

    fn store_file(&mut self, store: &str, file: &str) -> Result<&mut Value, Refusal> {
        self.store(store)?;
        let known = self.files_of(store).get(file).is_some();
        if !known && self.invents {
            self.add_to_store(store, file, &Value::Null, None, Duration::ZERO)?;
        }
        self.files_of(store).get_mut(file).ok_or_else(|| absent("vector store file", file))
    }

    fn file_batches_at(
        &mut self,
        visit: &Visit<'_>,
        store: &str,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        self.store(store)?;
        match (visit.method, parts) {
            ("POST", []) => self.make_file_batch(store, &visit.body, visit.now),
            ("GET", [id]) => {
                self.file_batch(store, id)?;
                self.file_batch_told(store, id)
            }
            ("POST", [id, "cancel"]) => {
                self.file_batch(store, id)?["sim_cancelled"] = true.into();
                let files = self.files_of(store);
                let mine: Vec<String> = files
                    .iter()
                    .filter(|file| file["sim_batch"] == *id && file["status"] == "in_progress")
                    .filter_map(|file| file["id"].as_str().map(str::to_owned))
                    .collect();
                for file in mine {
                    if let Some(file) = files.get_mut(&file) {
                        file["status"] = "cancelled".into();
                    }
                }
                self.file_batch_told(store, id)
            }
            ("GET", [id, "files"]) => {
                self.file_batch(store, id)?;
                Ok(self.store_page(visit, store, Some(id)))
            }
            _ => Err(visit.unknown()),
        }
    }

    fn make_file_batch(
        &mut self,
        store: &str,
        body: &Value,
        now: Duration,
    ) -> Result<Value, Refusal> {
        let ids = body["file_ids"].as_array().into_iter().flatten();
        let mut files: Vec<(String, &Value)> =
            ids.filter_map(|id| Some((id.as_str()?.to_owned(), body))).collect();
        let each = body["files"].as_array().into_iter().flatten();
        files.extend(each.filter_map(|file| Some((file["file_id"].as_str()?.to_owned(), file))));
        if files.is_empty() && !self.invents {
            return Err(Refusal::missing("file_ids"));
        }
        if files.len() > BATCH_MAX {
            let got = files.len() as f64;
            return Err(Refusal::out_of_range("file_ids", got, 1.0, BATCH_MAX as f64, true));
        }
        let id = self.id("vsfb_");
        self.vectors.batches.push(file_batch_object(&id, store));
        for (file, asked) in files {
            self.add_to_store(store, &file, asked, Some(&id), now)?;
        }
        self.file_batch_told(store, &id)
    }

    fn file_batch(&mut self, store: &str, id: &str) -> Result<&mut Value, Refusal> {
        let made_up = self.invents.then(|| file_batch_object(id, store));
        self.vectors.batches.open(id, "file batch", made_up)
    }

    fn file_batch_told(&mut self, store: &str, id: &str) -> Result<Value, Refusal> {
        let counts = counts_of(self.files_of(store).iter().filter(|file| file["sim_batch"] == id));
        let batch = self.file_batch(store, id)?;
        let status = if batch["sim_cancelled"] == true {
            "cancelled"
        } else if counts["in_progress"] != 0 {
            "in_progress"
        } else {
            "completed"
        };
        batch["status"] = status.into();
        batch["file_counts"] = counts;
        Ok(told(batch))
    }

    fn text_of_file(&self, file: &str) -> String {
        let content = self.files.content(file).cloned().unwrap_or_default();
        String::from_utf8_lossy(&content[..content.len().min(SEARCHED_MAX)]).into_owned()
    }

    /// The files that have words of the query, the one with most of them first.
    fn search(&mut self, store: &str, body: &Value) -> Result<Value, Refusal> {
        self.store(store)?;
        let queries: Vec<String> = match &body["query"] {
            Value::String(query) => vec![query.clone()],
            Value::Array(many) => {
                many.iter().filter_map(|q| q.as_str().map(str::to_owned)).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                return Err(Refusal::missing("query"));
            }
        };
        let words: Vec<String> = queries
            .iter()
            .flat_map(|query| query.split_whitespace())
            .map(str::to_lowercase)
            .collect();
        let files: Vec<Value> = self.files_of(store).iter().cloned().collect();
        let mut found: Vec<Value> = Vec::new();
        for file in files.iter().filter(|file| file["status"] == "completed") {
            let id = file["id"].as_str().unwrap_or_default();
            let text = self.text_of_file(id);
            let lower = text.to_lowercase();
            let hits = words.iter().filter(|word| lower.contains(word.as_str())).count();
            if hits > 0 {
                let score = hits as f64 / words.len().max(1) as f64;
                let name = self.file(id).map_or(Value::Null, |file| file["filename"].clone());
                found.push(json!({
                    "file_id": id, "filename": name, "score": score, "attributes": file["attributes"],
                    "content": [{ "type": "text", "text": text }],
                }));
            }
        }
        found.sort_by(|a, b| {
            b["score"].as_f64().unwrap_or(0.0).total_cmp(&a["score"].as_f64().unwrap_or(0.0))
        });
        let most = body["max_num_results"].as_u64().unwrap_or(10).clamp(1, 50);
        found.truncate(usize::try_from(most).unwrap_or(50));
        Ok(json!({
            "object": "vector_store.search_results.page", "search_query": queries, "data": found,
            "has_more": false, "next_page": null,
        }))
    }
}

/// An object without what is only for the simulator.
fn told(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|name, _| !name.starts_with("sim_"));
    }
    object
}

fn is_due(file: &Value, step: Duration, now: Duration) -> bool {
    let at = Duration::from_millis(file["sim_at"].as_u64().unwrap_or(0));
    now >= at.saturating_add(step)
}

/// A file is indexed, or fails as its attributes ask.
///
/// Source of the codes: OpenAI API description of 2026-08, `VectorStoreFileObject.last_error`.
fn finish_file(file: &mut Value) {
    let code = wished(file, "attributes")
        .filter(|code| matches!(*code, "server_error" | "unsupported_file" | "invalid_file"));
    match code.map(str::to_owned) {
        Some(code) => {
            file["status"] = "failed".into();
            file["last_error"] =
                json!({ "code": code, "message": "The file could not be indexed." });
        }
        None => file["status"] = "completed".into(),
    }
}

fn chunking(asked: &Value) -> Value {
    let given = asked.get("chunking_strategy").filter(|strategy| strategy["type"] == "static");
    given.cloned().unwrap_or_else(|| {
        json!({
            "type": "static",
            "static": { "max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400 },
        })
    })
}

fn counts_of<'v>(files: impl Iterator<Item = &'v Value>) -> Value {
    let mut counts =
        json!({ "in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0 });
    for file in files {
        for name in [file["status"].as_str().unwrap_or_default(), "total"] {
            counts[name] = (counts[name].as_u64().unwrap_or(0) + 1).into();
        }
    }
    counts
}

fn store_object(id: &str, body: &Value) -> Value {
    json!({
        "id": id, "object": "vector_store", "created_at": CREATED,
        "name": body["name"].as_str().unwrap_or_default(), "description": body["description"],
        "usage_bytes": 0, "file_counts": counts_of(std::iter::empty()), "status": "completed",
        "expires_after": body["expires_after"], "expires_at": null, "last_active_at": CREATED,
        "metadata": metadata_of(body),
    })
}

fn file_batch_object(id: &str, store: &str) -> Value {
    json!({
        "id": id, "object": "vector_store.files_batch", "created_at": CREATED,
        "vector_store_id": store, "status": "in_progress", "file_counts": counts_of(std::iter::empty()),
    })
}
