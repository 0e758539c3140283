//! Inputs of embeddings, put together into full requests and taken apart again.
//!
//! Lines go together when everything but `input` is the same. A line's inputs stay together, so
//! each answer still belongs to one request.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ids::{Id, id_of};
use super::job::{Job, Part};

/// Inputs in one request. Source: the vendor's API reference, embeddings, `input`, read 2026-11.
pub(crate) const INPUTS_MAX: usize = 2048;
/// Bytes of a request's inputs. The vendor takes 300,000 tokens a request (same source); a token
/// has two bytes at least in any text that is worth embedding.
const BYTES_MAX: usize = 600_000;
/// Different kinds of requests that are put together at the same time.
const OPEN_MAX: usize = 16;

/// Puts lines together.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    open: BTreeMap<Id, Open>,
}

/// A request that is not full yet.
#[derive(Debug)]
struct Open {
    /// Everything but `input`, ready to follow it.
    rest: String,
    model: Option<String>,
    inputs: String,
    count: usize,
    parts: Vec<Part>,
}

/// The inputs of one line.
struct Inputs<'a> {
    raw: &'a str,
    count: usize,
    /// Everything but `input`.
    rest: String,
    /// Texts and token lists do not go together.
    kind: u8,
}

impl Packer {
    /// Takes a line. Gives back what is full, and the line itself when it cannot be packed.
    pub(crate) fn take(
        &mut self,
        path: &str,
        body: Bytes,
        model: Option<String>,
        part: Part,
    ) -> Vec<Job> {
        let Some(inputs) = std::str::from_utf8(&body).ok().and_then(Inputs::of) else {
            return vec![Job::single(path.to_owned(), body, model, part)];
        };
        let key = id_of(&format!("{}{}", inputs.kind, inputs.rest));
        let mut ready = Vec::new();
        let fits = self.open.get(&key).is_none_or(|open| {
            open.count + inputs.count <= INPUTS_MAX
                && open.inputs.len() + inputs.raw.len() < BYTES_MAX
        });
        if !fits {
            ready.extend(self.open.remove(&key).map(Open::close));
        }
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(&key) {
            let fullest = self.open.iter().max_by_key(|(_, open)| open.inputs.len());
            if let Some(fullest) = fullest.map(|(key, _)| *key) {
                ready.extend(self.open.remove(&fullest).map(Open::close));
            }
        }
        let open = self.open.entry(key).or_insert_with(|| Open {
            rest: inputs.rest.clone(),
            model,
            inputs: String::new(),
            count: 0,
            parts: Vec::new(),
        });
        if !open.inputs.is_empty() {
            open.inputs.push(',');
        }
        open.inputs.push_str(inputs.raw);
        open.count += inputs.count;
        let count = inputs.count;
        open.parts.push(Part { packed: Some((body.clone(), count)), ..part });
        ready
    }

    /// What is left when no more lines come.
    pub(crate) fn end(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.open).into_values().map(Open::close).collect()
    }
}

impl Open {
    fn close(mut self) -> Job {
        const PATH: &str = "/embeddings";
        if self.parts.len() == 1
            && let Some(mut part) = self.parts.pop()
            && let Some((body, _)) = part.packed.take()
        {
            return Job::single(PATH.to_owned(), body, self.model, part);
        }
        let body = format!("{{\"input\":[{}]{}}}", self.inputs, self.rest);
        let first = Part { custom_id: String::new(), id: Id::default(), packed: None };
        let job = Job::single(PATH.to_owned(), Bytes::from(body), self.model, first);
        Job { parts: self.parts, ..job }
    }
}

impl<'a> Inputs<'a> {
    /// `None` for a body that is sent alone: no input, or one of a form that is not known.
    fn of(body: &'a str) -> Option<Inputs<'a>> {
        let members: BTreeMap<String, &'a RawValue> = serde_json::from_str(body).ok()?;
        let input = members.get("input")?.get().trim();
        let (raw, count, kind) = if input.starts_with('"') {
            (input, 1, b't')
        } else {
            let items: Vec<&RawValue> = serde_json::from_str(input).ok()?;
            let inner = input.strip_prefix('[')?.strip_suffix(']')?.trim();
            match items.first()?.get().as_bytes().first()? {
                b'"' => (inner, items.len(), b't'),
                b'[' => (inner, items.len(), b'n'),
                // A list of numbers is one input.
                b'0'..=b'9' => (input, 1, b'n'),
                _ => return None,
            }
        };
        if count > INPUTS_MAX || raw.len() >= BYTES_MAX {
            return None;
        }
        let rest = members.iter().filter(|(name, _)| *name != "input");
        let rest = rest.map(|(name, value)| {
            format!(",{}:{}", serde_json::Value::from(name.as_str()), value.get())
        });
        Some(Inputs { raw, count, rest: rest.collect(), kind })
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
    #[serde(borrow)]
    model: &'a RawValue,
    usage: Usage,
}

#[derive(Deserialize)]
struct Item<'a> {
    index: usize,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Deserialize, Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Each line's own answer, in the order of `parts`; `None` when the answer does not have exactly
/// the inputs that were sent. Tokens are split by the size of inputs and add up to what was told.
pub(crate) fn unpack(body: &[u8], parts: &[Part]) -> Option<Vec<Bytes>> {
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    let sizes: Vec<(usize, u64)> = parts
        .iter()
        .map(|part| part.packed.as_ref().map(|(body, count)| (*count, body.len() as u64)))
        .collect::<Option<_>>()?;
    let count: usize = sizes.iter().map(|(count, _)| count).sum();
    let mut embeddings: Vec<Option<&RawValue>> = vec![None; count];
    for item in &answer.data {
        if embeddings.get_mut(item.index)?.replace(item.embedding).is_some() {
            return None;
        }
    }
    let all: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    let (mut next, mut told, mut seen) = (0, 0, 0);
    let mut bodies = Vec::with_capacity(parts.len());
    for (count, bytes) in sizes {
        let data: Option<Vec<String>> = embeddings[next..next + count]
            .iter()
            .enumerate()
            .map(|(index, embedding)| {
                let embedding = (*embedding)?.get();
                Some(format!(
                    "{{\"object\":\"embedding\",\"index\":{index},\"embedding\":{embedding}}}"
                ))
            })
            .collect();
        next += count;
        seen += bytes;
        let upto =
            u128::from(answer.usage.prompt_tokens) * u128::from(seen) / u128::from(all.max(1));
        let upto = u64::try_from(upto).unwrap_or(u64::MAX);
        let tokens = upto - told;
        told = upto;
        bodies.push(Bytes::from(format!(
            "{{\"object\":\"list\",\"data\":[{}],\"model\":{},\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}}}",
            data?.join(","),
            answer.model.get(),
        )));
    }
    Some(bodies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn part(id: &str) -> Part {
        Part { custom_id: id.to_owned(), id: id_of(id), packed: None }
    }

    fn take(packer: &mut Packer, id: &str, body: &Value) -> Vec<Job> {
        packer.take("/embeddings", Bytes::from(body.to_string()), None, part(id))
    }

    #[test]
    fn lines_that_differ_only_in_their_input_go_together_and_come_apart_again() {
        let mut packer = Packer::default();
        let lines = [
            ("a", json!({"model": "e", "input": "one"})),
            ("b", json!({"model": "e", "input": ["two", "th\"ree"]})),
            ("c", json!({"model": "f", "input": "other model"})),
            ("d", json!({"input": "four", "model": "e"})),
            ("e", json!({"model": "e", "input": [1, 2, 3]})),
            ("f", json!({"model": "e", "input": [[4], [5]]})),
        ];
        for (id, body) in &lines {
            assert!(take(&mut packer, id, body).is_empty());
        }
        let mut jobs = packer.end();
        jobs.sort_by_key(|job| job.parts[0].custom_id.clone());
        let ids = |job: &Job| job.parts.iter().map(|p| p.custom_id.clone()).collect::<String>();
        assert_eq!(jobs.iter().map(ids).collect::<Vec<_>>(), ["abd", "c", "ef"]);
        let sent: Value = serde_json::from_slice(&jobs[0].body).unwrap();
        assert_eq!(sent, json!({"model": "e", "input": ["one", "two", "th\"ree", "four"]}));
        let sent: Value = serde_json::from_slice(&jobs[2].body).unwrap();
        assert_eq!(sent["input"], json!([[1, 2, 3], [4], [5]]));
        assert!(jobs[1].parts[0].packed.is_none(), "alone, it is sent as it was");

        let data: Vec<Value> = (0..4)
            .rev()
            .map(|n| json!({"object": "embedding", "index": n, "embedding": [n]}))
            .collect();
        let answer =
            json!({"data": data, "model": "e", "usage": {"prompt_tokens": 11, "total_tokens": 11}});
        let bodies = unpack(answer.to_string().as_bytes(), &jobs[0].parts).unwrap();
        let bodies: Vec<Value> =
            bodies.iter().map(|b| serde_json::from_slice(b).unwrap()).collect();
        assert_eq!(
            bodies[1]["data"][1],
            json!({"object": "embedding", "index": 1, "embedding": [2]})
        );
        assert_eq!(bodies[2]["data"][0]["embedding"], json!([3]));
        let tokens: u64 = bodies.iter().map(|b| b["usage"]["total_tokens"].as_u64().unwrap()).sum();
        assert_eq!(tokens, 11);
    }

    #[test]
    fn an_answer_that_is_not_to_what_was_sent_is_not_taken_apart() {
        let mut packer = Packer::default();
        for id in ["a", "b"] {
            take(&mut packer, id, &json!({"model": "e", "input": id}));
        }
        let parts = packer.end().remove(0).parts;
        let answer = |indices: &[u32]| {
            let data: Vec<Value> =
                indices.iter().map(|n| json!({"index": n, "embedding": []})).collect();
            json!({"data": data, "model": "e", "usage": {"prompt_tokens": 1, "total_tokens": 1}})
                .to_string()
        };
        assert!(unpack(answer(&[0, 1]).as_bytes(), &parts).is_some());
        for wrong in [&[0][..], &[0, 0], &[0, 1, 2], &[1, 2]] {
            assert!(unpack(answer(wrong).as_bytes(), &parts).is_none(), "{wrong:?}");
        }
        assert!(unpack(b"{}", &parts).is_none());
    }

    #[test]
    fn requests_are_filled_up_to_what_the_vendor_takes_and_no_further() {
        let mut packer = Packer::default();
        let mut jobs = Vec::new();
        for n in 0..=INPUTS_MAX {
            jobs.extend(take(&mut packer, &n.to_string(), &json!({"model": "e", "input": "x"})));
        }
        assert_eq!((jobs.len(), jobs[0].parts.len()), (1, INPUTS_MAX));
        assert_eq!(packer.end()[0].parts.len(), 1);
        for n in 0..100 {
            let body = json!({"model": n.to_string(), "input": "x"});
            take(&mut packer, &n.to_string(), &body);
            assert!(packer.open.len() <= OPEN_MAX);
        }
        let long = json!({"model": "e", "input": "x".repeat(BYTES_MAX)});
        assert_eq!(take(&mut packer, "long", &long).len(), 1, "sent alone");
    }
}
