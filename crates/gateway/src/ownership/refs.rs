//! The objects that a body names: `file_id`, `thread_id`, `previous_response_id` and their kin, at
//! any depth and in any spelling that JSON allows, each occurrence of a key counted.

use std::borrow::Cow;
use std::fmt;

use mainstay::call::{Call, CallBody};
use mainstay_core::failure::Kind;
use mainstay_core::wire::endpoint::BodyForm;
use mainstay_core::wire::quoted::{self, Words};
use memchr::memmem;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::refused::Refused;

/// Most objects that one body may name.
const MOST: usize = 1_000;

/// Fields that name objects, and of which family. Source: the vendor's OpenAPI description, 2026-08.
const FIELDS: &[(&str, &str)] = &[
    ("file_id", "files"),
    ("file_ids", "files"),
    ("input_file_id", "files"),
    ("training_file", "files"),
    ("validation_file", "files"),
    ("assistant_id", "assistants"),
    ("thread_id", "threads"),
    ("vector_store_id", "vector_stores"),
    ("vector_store_ids", "vector_stores"),
    ("previous_response_id", "responses"),
    ("conversation", "conversations"),
    ("conversation_id", "conversations"),
    ("container", "containers"),
    ("container_id", "containers"),
];

/// What is the caller's own text, and means nothing to the provider.
const OPAQUE: &[&str] = &["metadata", "parameters", "schema", "arguments"];

/// An object named in a body: its family, its id and the field.
pub(super) type Named = (&'static str, String, &'static str);

/// Every object that the body names; `words`: what it has of them.
pub(super) fn of(
    call: &Call,
    words: Words,
    passing: bool,
    may_pass: bool,
) -> Result<Vec<Named>, Refused> {
    if passing && !may_pass && !is_upload(&call.path) {
        return Err(super::unseen());
    }
    let bytes = match &call.body {
        CallBody::Empty | CallBody::Streamed { .. } => return Ok(Vec::new()),
        CallBody::Buffered(bytes) => bytes,
    };
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    if !(is_object && words.may_name()) {
        // What these endpoints take was read as JSON to its end, and no form can be read as that.
        let is_json = is_object && call.endpoint.body_form() == BodyForm::Json;
        return if is_json { Ok(Vec::new()) } else { form_reference(bytes, may_pass) };
    }
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Look { field: None, found: &mut found }.deserialize(&mut reader);
    if read.is_err() && !may_pass {
        return Err(Refused::caller(
            Kind::InvalidRequest,
            format!("The body cannot be read as JSON, or names more than {MOST} objects."),
        ));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Bodies that are data: bytes of a file name no object.
fn is_upload(path: &str) -> bool {
    ["/files", "/uploads", "/images/", "/videos"].iter().any(|start| path.starts_with(start))
}

/// A form names a file in a field of its own; that is told to be sent as JSON, which is looked into.
fn form_reference(bytes: &[u8], may_pass: bool) -> Result<Vec<Named>, Refused> {
    let quoted = quoted::names_field(bytes, b"file_id");
    if may_pass || !(quoted || memmem::find(bytes, b"name=file_id").is_some()) {
        return Ok(Vec::new());
    }
    let message = "Name a file by its id in a JSON body, not in a form.";
    Err(Refused {
        param: Some("file_id".to_owned()),
        ..Refused::caller(Kind::InvalidValue, message)
    })
}

/// Reads a value and notes what it names; `field`: the key it stands under, if that one names.
struct Look<'f> {
    field: Option<(&'static str, &'static str)>,
    found: &'f mut Vec<Named>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if let Some((field, family)) = self.field {
            if self.found.len() >= MOST {
                return Err(E::custom("too many"));
            }
            // Two words of the vendor's stand where a container's id may.
            if !matches!((field, text), ("container", "auto" | "container_auto")) {
                self.found.push((family, text.to_owned(), field));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items
            .next_element_seed(Look { field: self.field, found: &mut *self.found })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
            if OPAQUE.contains(&&*key) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let named = FIELDS.iter().find(|(field, _)| *field == key).copied();
            // `"conversation": {"id": …}` names as `"conversation": …` does.
            let inner = self.field.filter(|(field, _)| *field == "conversation" && key == "id");
            let look = Look { field: named.or(inner), found: &mut *self.found };
            entries.next_value_seed(look)?;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(body: &str) -> Vec<Named> {
        let mut found = Vec::new();
        let mut reader = serde_json::Deserializer::from_str(body);
        Look { field: None, found: &mut found }.deserialize(&mut reader).unwrap();
        found
    }

    #[test]
    fn every_spelling_and_every_occurrence_of_a_field_counts() {
        let cases: [(&str, &[(&str, &str)]); 9] = [
            (r#"{"file_id":"f"}"#, &[("files", "f")]),
            (r#"{"file\u005fid":"f"}"#, &[("files", "f")]),
            (r#"{"file_id":"a","file_id":"b"}"#, &[("files", "a"), ("files", "b")]),
            (
                r#"{"x":[{"y":{"file_ids":["a",{"z":1},["b"]]}}]}"#,
                &[("files", "a"), ("files", "b")],
            ),
            (r#"{"conversation":"c"}"#, &[("conversations", "c")]),
            (r#"{"conversation":{"id":"c","x":"y"}}"#, &[("conversations", "c")]),
            (r#"{"container":{"type":"auto","file_ids":["f"]}}"#, &[("files", "f")]),
            (r#"{"container":"auto","metadata":{"file_id":"x"}}"#, &[]),
            (r#"{"parameters":{"file_id":"x"},"id":"y"}"#, &[]),
        ];
        for (body, want) in cases {
            let found = named(body);
            let found: Vec<(&str, &str)> = found.iter().map(|(a, b, _)| (*a, b.as_str())).collect();
            assert_eq!(found, want, "{body}");
        }
    }

    proptest! {
        /// However deep it stands and whatever is beside it, a name is found; a body without one of
        /// the hints has none.
        #[test]
        fn a_name_is_found_at_any_depth(
            depth in 0_usize..20, field in 0..FIELDS.len(), id in "[a-z]{1,8}[0-9]", beside in "[ -~]{0,12}",
        ) {
            let (field, family) = FIELDS[field];
            let mut value = serde_json::json!({"beside": beside, field: id});
            for level in 0..depth {
                value = if level % 2 == 0 { serde_json::json!([value]) } else { serde_json::json!({"in": value}) };
            }
            let text = value.to_string();
            let found = named(&text);
            prop_assert!(found.iter().any(|one| one.0 == family && one.1 == id), "{text}");
            prop_assert!(Words::of(text.as_bytes()).may_name(), "{text}");
        }
    }
}
