//! Makes a small value that fits a JSON schema: arguments of tools, structured answers.

use serde_json::{Map, Value, json};

/// How deep a schema is followed; deeper places become `null`.
const DEPTH_MAX: usize = 16;

/// The most places of a list that `minItems` can ask for.
const ITEMS_MAX: u64 = 64;

/// A value that fits `schema`, the same one every time. Understands `$ref` within the document,
/// `enum`, `const`, `anyOf`, `oneOf`, `allOf`, `type`, `properties`, `items`, `minItems`, `minLength` and `minimum`.
pub(crate) fn of(schema: &Value) -> Value {
    value(schema, schema, DEPTH_MAX)
}

fn value(root: &Value, schema: &Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let found = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return found.map_or(Value::Null, |found| value(root, found, depth));
    }
    if let Some(fixed) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
        return fixed.clone();
    }
    for choice in ["/anyOf/0", "/oneOf/0", "/allOf/0"] {
        if let Some(first) = schema.pointer(choice) {
            return value(root, first, depth);
        }
    }
    let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind));
    match kind.and_then(Value::as_str) {
        Some("string") => text(schema),
        Some("integer") => json!(schema.get("minimum").and_then(Value::as_i64).unwrap_or(1)),
        Some("number") => json!(schema.get("minimum").and_then(Value::as_f64).unwrap_or(1.0)),
        Some("boolean") => json!(true),
        Some("array") => list(root, schema, depth),
        Some("null") => Value::Null,
        Some(_) | None => object(root, schema, depth),
    }
}

fn text(schema: &Value) -> Value {
    let length = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0).min(4096);
    let mut text = String::from("simulated");
    while (text.len() as u64) < length {
        text.push('x');
    }
    Value::String(text)
}

fn list(root: &Value, schema: &Value, depth: usize) -> Value {
    let length = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).min(ITEMS_MAX);
    let item = schema.get("items").map_or(Value::Null, |items| value(root, items, depth));
    Value::Array((0..length).map(|_| item.clone()).collect())
}

fn object(root: &Value, schema: &Value, depth: usize) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields: Map<String, Value> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), value(root, schema, depth)))
        .collect();
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_fits_its_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": { "type": "string" },
                "unit": { "enum": ["celsius", "kelvin"] },
                "days": { "type": "integer", "minimum": 3 },
                "tags": { "type": "array", "items": { "$ref": "#/$defs/tag" }, "minItems": 2 },
                "note": { "type": ["string", "null"] },
            },
            "$defs": { "tag": { "anyOf": [{ "type": "boolean" }, { "type": "null" }] } },
        });
        let want = json!({ "city": "simulated", "unit": "celsius", "days": 3, "tags": [true, true], "note": "simulated" });
        assert_eq!(of(&schema), want);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "type": "object", "properties": { "next": { "$ref": "#" } } });
        assert!(of(&schema).to_string().len() < 200);
        assert_eq!(of(&json!({ "$ref": "#" })), Value::Null);
    }
}
