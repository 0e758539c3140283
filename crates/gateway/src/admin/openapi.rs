//! The OpenAPI 3.1 document of the administration API, made of the same lists that serve it.

use serde_json::{Map, Value, json};

use super::api::{FAMILIES, Field, Route, Shape};

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in FAMILIES.iter().copied().flatten() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    for (path, id, about, open) in [
        ("/mainstay/openapi.json", "openapi", "This document.", false),
        ("/mainstay/status", "status", "What the gateway is doing.", false),
        (
            "/mainstay/providers",
            "providers",
            "Providers, their circuits, queues and learnt limits.",
            false,
        ),
        (
            "/mainstay/traffic",
            "traffic",
            "The last hour in steps of ten seconds; the last one is under way.",
            false,
        ),
        ("/mainstay/config", "config", "The configuration in use, secrets hidden.", false),
        ("/metrics", "metrics", "Counters as Prometheus text.", false),
        ("/healthz", "healthz", "Whether the process lives.", true),
        ("/livez", "livez", "Whether the process lives.", true),
        ("/readyz", "readyz", "Whether it shall get traffic.", true),
    ] {
        let mut read = json!({"operationId": id, "summary": about, "responses": {"200": {"description": about}}});
        if open {
            read["security"] = json!([]);
        }
        paths.insert(path.to_owned(), json!({ "get": read }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mainstay administration",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Organizations, projects, users, members, keys, limits, budgets, usage and the record of changes.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let paged = matches!(route.answer, Shape::Page(_));
    let pages = [
        ("limit", "How many, 1 to 1000; absent: 100."),
        ("after", "Only what comes after the item with this id."),
    ];
    let query = route.query.iter().chain(pages.iter().filter(|_| paged));
    parameters.extend(query.map(|(name, about)| {
        json!({"name": name, "in": "query", "description": about, "schema": {"type": "string"}})
    }));
    let answer = match route.answer {
        Shape::Zip(_) => json!({"type": "string", "format": "binary"}),
        Shape::One(name) | Shape::Made(name) => reference(name),
        Shape::Page(name) => json!({"allOf": [reference("Page"), {"properties": {
            "data": {"type": "array", "items": reference(name)},
        }}]}),
    };
    let told = match route.answer {
        Shape::Zip(_) => json!({"application/zip": {"schema": answer}}),
        Shape::One(_) | Shape::Made(_) | Shape::Page(_) => content(&answer),
    };
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.about,
        "parameters": parameters,
        "responses": {
            route.answer.status().as_str(): {"description": "Done.", "content": told},
            "default": {"description": "Not done.", "content": content(&reference("Error"))},
        },
    });
    if !route.body.is_empty() {
        let required = route.body.iter().any(|field| field.required);
        operation["requestBody"] =
            json!({"required": required, "content": content(&body(route.body))});
    }
    operation
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn body(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = match field.kind {
            "strings" => json!({"type": "array", "items": {"type": "string"}}),
            "role" => json!({"type": "string", "enum": ["owner", "member", "reader"]}),
            "maybe" => json!({"type": ["string", "null"]}),
            "count" => json!({"type": ["integer", "null"], "minimum": 1}),
            "percentages" => json!({"type": "array", "maxItems": 8,
                "items": {"type": "integer", "minimum": 1, "maximum": 100}}),
            "period" => json!({"type": "string", "enum": ["total", "day", "week", "month"]}),
            kind => json!({"type": kind}),
        };
        schema["description"] = json!(field.about);
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// What things look like: name, then fields that are always text, then those that may be null.
const THINGS: &[(&str, &[&str], &[&str])] = &[
    ("Organization", &["id", "name", "created_at"], &[]),
    ("Project", &["id", "org", "name", "created_at"], &[]),
    ("User", &["id", "name", "created_at"], &[]),
    ("Member", &["user", "role", "since"], &["org", "project", "removed_at"]),
    ("Key", &["id", "name", "state", "project", "org", "created_at"], KEY_MAYBE),
    ("NewKey", &["id", "key", "name", "state", "project", "org", "created_at"], KEY_MAYBE),
    ("Change", &["at", "who", "verb", "subject"], &[]),
    ("Limit", &["of", "subject"], &["model", "burst", "tier"]),
    ("Tier", &["name"], &[]),
    ("Budget", BUDGET, &["project", "key", "resets_at"]),
    ("BudgetAlert", &["at", "org", "since", "spent_usd", "limit_usd"], &["project", "key"]),
    ("Usage", &["id", "name", "cost_usd"], &[]),
    ("Request", REQUEST, REQUEST_MAYBE),
    ("RequestDetail", REQUEST, REQUEST_MAYBE),
    ("Alerts", &["object"], &[]),
];

const BUDGET: &[&str] = &[
    "org",
    "period",
    "starts_at",
    "zone",
    "amount_usd",
    "credits_usd",
    "limit_usd",
    "spent_usd",
    "left_usd",
    "created_at",
];

const REQUEST: &[&str] = &["id", "at", "key_name", "org", "project", "endpoint", "outcome"];
const REQUEST_MAYBE: &[&str] =
    &["key", "model", "served", "provider", "kind", "origin", "code", "cost_usd"];
const KEY_MAYBE: &[&str] = &["user", "expires_at", "revoked_at", "rotated_to", "grace_until"];

/// Fields of a thing that are no text.
fn more(name: &str) -> Vec<(&'static str, Value)> {
    let number = || json!({"type": "integer"});
    let count = || json!({"type": ["integer", "null"]});
    let flag = || json!({"type": "boolean"});
    let list = |items: Value| json!({"type": "array", "items": items});
    match name {
        "Limit" => vec![
            ("id", number()),
            ("rpm", count()),
            ("tpm", count()),
            ("rpd", count()),
            ("concurrency", count()),
            ("shadow", flag()),
            ("in_the_way", number()),
            (
                "state",
                list(json!({"type": "object", "properties": {
                    "measure": {"type": "string"}, "limit": number(), "used": number(), "reset_ms": number(),
                }})),
            ),
        ],
        "Request" => request(false),
        "RequestDetail" => request(true),
        "Alerts" => alerts(),
        "Tier" => vec![("limits", list(json!({"type": "object"})))],
        "Budget" => vec![("id", number()), ("hard", flag()), ("alerts", list(number()))],
        "BudgetAlert" => vec![("id", number()), ("budget", number()), ("percent", number())],
        "Usage" => vec![
            ("requests", number()),
            ("input_tokens", number()),
            ("cached_input_tokens", number()),
            ("output_tokens", number()),
        ],
        _ => Vec::new(),
    }
}

fn schemas() -> Value {
    let mut all = Map::new();
    for (name, texts, maybe) in THINGS {
        let mut properties = Map::new();
        for field in *texts {
            properties.insert((*field).to_owned(), json!({"type": "string"}));
        }
        for field in *maybe {
            properties.insert((*field).to_owned(), json!({"type": ["string", "null"]}));
        }
        if name.ends_with("Key") {
            for list in ["scopes", "models"] {
                let schema = json!({"type": "array", "items": {"type": "string"}});
                properties.insert(list.to_owned(), schema);
            }
        }
        for (field, schema) in more(name) {
            properties.insert(field.to_owned(), schema);
        }
        if *name == "Change" {
            properties.insert("id".to_owned(), json!({"type": "integer"}));
            for side in ["before", "after"] {
                properties.insert(side.to_owned(), json!({"type": ["object", "null"]}));
            }
        }
        let schema = json!({"type": "object", "properties": properties, "required": texts});
        all.insert((*name).to_owned(), schema);
    }
    all.insert(
        "Page".to_owned(),
        json!({"type": "object", "properties": {
        "object": {"const": "list"}, "data": {"type": "array"}, "has_more": {"type": "boolean"},
        "last_id": {"type": ["string", "null"]},
    }, "required": ["object", "data", "has_more", "last_id"]}),
    );
    let maybe = json!({"type": ["string", "null"]});
    all.insert("Error".to_owned(), json!({"type": "object", "properties": {"error": {"type": "object",
        "properties": {"message": {"type": "string"}, "type": {"type": "string"}, "param": maybe, "code": maybe},
        "required": ["message", "type", "param", "code"],
    }}, "required": ["error"]}));
    Value::Object(all)
}

/// The members of a request's record that are no text.
fn request(detail: bool) -> Vec<(&'static str, Value)> {
    let of = |kind: Value| json!({ "type": kind });
    let (number, count) = (of(json!("integer")), of(json!(["integer", "null"])));
    let mut all = Vec::new();
    for field in ["status", "attempts", "took_ms", "waited_ms", "overhead_us"] {
        all.push((field, number.clone()));
    }
    for field in ["first_content_ms", "input_tokens", "cached_tokens", "output_tokens"] {
        all.push((field, count.clone()));
    }
    for field in ["stream", "tokens_counted_here"] {
        all.push((field, of(json!("boolean"))));
    }
    if detail {
        all.push(("sdk_retry", number));
        all.push(("what_happened", of(json!("string"))));
        all.push(("timeline", json!({"type": "array", "items": {"type": "object"}})));
        for field in ["failure", "help"] {
            all.push((field, of(json!(["object", "null"]))));
        }
    }
    all
}

/// The members of the state of alerts that are no text.
fn alerts() -> Vec<(&'static str, Value)> {
    let object = |texts: &[&str], numbers: &[&str]| {
        let mut properties = Map::new();
        for (fields, kind) in [(texts, "string"), (numbers, "integer")] {
            properties
                .extend(fields.iter().map(|name| ((*name).to_owned(), json!({"type": kind}))));
        }
        json!({"type": "array", "items": {"type": "object", "properties": properties}})
    };
    let active = ["rule", "severity", "subject", "since", "raised_at", "what", "fix"];
    let recent = ["at", "rule", "severity", "change", "subject", "since", "what", "fix"];
    let counts = ["delivered", "failed", "dropped", "waiting"];
    vec![
        ("active", object(&active, &[])),
        ("recent", object(&recent, &["id"])),
        ("receivers", object(&["name", "place", "trouble"], &counts)),
        ("rules", json!({"type": "array", "items": {"type": "string"}})),
        ("lost", json!({"type": "integer"})),
    ]
}
