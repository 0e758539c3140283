//! One project never sees, uses, lists or deletes what another made, family by family, though both
//! stand behind one credential; and what was made is asked for where it was made.
#![expect(clippy::unwrap_used, reason = "in a test, what is absent is a failure")]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use mainstay_core::store::{ObjectStore, Scope, Scopes, Store, UnixMillis};
use mainstay_gateway::config::{Environment, parse};
use serde_json::{Value, json};
use support::provider::{Provider, Seen, json as answer};
use support::{Front, Reply, front, key_in, start, until};

const NOW: UnixMillis = UnixMillis(1);

/// What a provider keeps: ids by family, the newest first.
type Shelf = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// A provider that keeps what it is given and knows nothing of our projects.
fn keeper(name: &'static str) -> (Provider, Shelf) {
    let shelf = Shelf::default();
    let kept = Arc::clone(&shelf);
    let provider = Provider::new(move |seen, stream| {
        let reply = serve(name, &kept, seen);
        stream.write_all(reply.as_bytes()).is_ok()
    });
    (provider, shelf)
}

fn serve(name: &str, shelf: &Shelf, seen: &Seen) -> String {
    let mut words = seen.head.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let rest = path.strip_prefix("/v1/").unwrap();
    let family =
        FAMILIES.iter().find(|one| rest == one.0 || rest.starts_with(&format!("{}/", one.0)));
    let Some((family, ..)) = family else { return answer("200 OK", "", "{\"id\":\"x\"}") };
    let mut shelf = shelf.lock().unwrap();
    let ids = shelf.entry((*family).to_owned()).or_default();
    let below = rest[family.len()..].trim_start_matches('/');
    match (method, below) {
        ("post", "") => {
            let id = format!("x_{}-{name}-{}", family.replace('/', "_"), ids.len());
            ids.insert(0, id.clone());
            answer("200 OK", "", &json!({"object": "thing", "id": id, "metadata": {}}).to_string())
        }
        ("post", "runs") if *family == "threads" => {
            let id = format!("x_threads-{name}-{}", ids.len());
            ids.insert(0, id.clone());
            answer("200 OK", "", &json!({"id": "run_1", "thread_id": id}).to_string())
        }
        ("get", "") => page(ids, query),
        (_, below) => {
            let id = below.split('/').next().unwrap();
            if !ids.iter().any(|one| one == id) {
                return answer(
                    "404 Not Found",
                    "",
                    "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}",
                );
            }
            let out = format!("files-{name}-out-{id}");
            if *family == "batches" {
                shelf.entry("files".to_owned()).or_default().push(out.clone());
            }
            answer("200 OK", "", &json!({"id": id, "at": name, "output_file_id": out}).to_string())
        }
    }
}

fn page(ids: &[String], query: &str) -> String {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name));
    let limit: usize = value("limit=").and_then(|text| text.parse().ok()).unwrap_or(20);
    let start = value("after=").map_or(0, |id| ids.iter().position(|one| one == id).unwrap() + 1);
    let items: Vec<Value> =
        ids.iter().skip(start).take(limit).map(|id| json!({"id": id, "object": "thing"})).collect();
    let more = ids.len() > start + limit;
    answer("200 OK", "", &json!({"object": "list", "data": items, "has_more": more}).to_string())
}

/// Family, a body that makes one, whether it can be listed.
const FAMILIES: &[(&str, &str, bool)] = &[
    ("files", "{}", true),
    ("uploads", r#"{"filename":"x"}"#, false),
    ("batches", r#"{"endpoint":"/v1/chat/completions","completion_window":"24h"}"#, true),
    ("assistants", r#"{"model":"gpt-4o"}"#, true),
    ("threads", "{}", false),
    ("vector_stores", "{}", true),
    ("conversations", "{}", false),
    ("responses", r#"{"model":"gpt-4o","input":"hi"}"#, false),
    (
        "chat/completions",
        r#"{"model":"gpt-4o","store":true,"messages":[{"role":"user","content":"hi"}]}"#,
        true,
    ),
    ("fine_tuning/jobs", r#"{"model":"gpt-4o"}"#, true),
    ("containers", r#"{"name":"c"}"#, true),
    ("videos", r#"{"prompt":"x"}"#, true),
];

struct World {
    front: Front,
    /// Keys of two projects of one organization, without the scope `passthrough`.
    ann: String,
    bob: String,
}

fn world(front: Front) -> World {
    front.store.create_project("default", "a", NOW).unwrap();
    front.store.create_project("default", "b", NOW).unwrap();
    let (ann, bob) = (key_in(&*front.store, "a").1, key_in(&*front.store, "b").1);
    let world = World { front, ann, bob };
    until("the keys", || world.ask(&world.bob, "GET", "/models", "").status == 200);
    world
}

impl World {
    fn ask(&self, key: &str, method: &str, path: &str, body: &str) -> Reply {
        self.front.raw(
            format!(
                "{method} /v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )
    }

    #[track_caller]
    fn make(&self, key: &str, path: &str, body: &str) -> String {
        let reply = self.ask(key, "POST", path, body);
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    /// The ids of a list, every page of it.
    fn list(&self, key: &str, family: &str, limit: usize) -> Vec<String> {
        let (mut ids, mut after) = (Vec::new(), String::new());
        loop {
            let reply = self.ask(key, "GET", &format!("/{family}?limit={limit}{after}"), "");
            assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
            let page = reply.json();
            let data = page["data"].as_array().unwrap();
            assert!(data.len() <= limit, "{page}");
            ids.extend(data.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            if page["has_more"] == false {
                return ids;
            }
            assert!(!data.is_empty(), "SDKs stop at an empty page");
            after = format!("&after={}", page["last_id"].as_str().unwrap());
        }
    }
}

#[test]
fn each_project_has_its_own_objects_in_every_family() {
    let (provider, shelf) = keeper("up");
    let world = world(front(provider.addr, ""));
    for (family, body, listed) in FAMILIES {
        let foreign = format!("x_{}-made-elsewhere", family.replace('/', "_"));
        shelf.lock().unwrap().entry((*family).to_owned()).or_default().push(foreign.clone());
        let id = world.make(&world.ann, &format!("/{family}"), body);
        let path = format!("/{family}/{id}");
        let shown = world.ask(&world.ann, "GET", &path, "");
        assert_eq!(shown.status, 200, "{family}: {}", String::from_utf8_lossy(&shown.body));
        let sent = provider.seen().len();
        for (method, path) in [
            ("GET", path.clone()),
            ("DELETE", path.clone()),
            ("POST", format!("{path}/cancel")),
            ("GET", format!("{path}/content")),
            ("GET", format!("/{family}/{foreign}")),
            ("GET", format!("/{family}/{}", id.replacen('-', "%2D", 1))),
        ] {
            let reply = world.ask(&world.bob, method, &path, "");
            // A method that the path does not take is refused before anybody asks whose it is.
            assert!(matches!(reply.status, 404 | 405), "{method} {path}: {}", reply.status);
        }
        assert_eq!(provider.seen().len(), sent, "{family}: nothing of this was sent");
        if *listed {
            assert_eq!(world.list(&world.ann, family, 20), std::slice::from_ref(&id), "{family}");
            assert_eq!(world.list(&world.bob, family, 20), Vec::<String>::new(), "{family}");
            let all = world.list(&world.front.key, family, 20);
            assert!(all.contains(&foreign) && all.contains(&id), "an operator sees all: {all:?}");
        } else {
            let reply = world.ask(&world.bob, "GET", &format!("/{family}"), "");
            assert!(matches!(reply.status, 403 | 405), "{family}: {}", reply.status);
        }
        let operator = world.ask(&world.front.key, "GET", &format!("/{family}/{foreign}"), "");
        assert_eq!(operator.status, 200, "{family}: nobody's, so open to operators");
        let operator = world.ask(&world.front.key, "GET", &path, "");
        assert_eq!(operator.status, 404, "{family}: another project's, even for them");
    }
}

#[test]
fn an_object_named_in_a_body_must_be_the_projects_own() {
    let (provider, _) = keeper("up");
    let world = world(front(provider.addr, ""));
    let file = world.make(&world.ann, "/files", "{}");
    let assistant = world.make(&world.ann, "/assistants", r#"{"model":"gpt-4o"}"#);
    let response = world.make(&world.ann, "/responses", r#"{"model":"gpt-4o","input":"hi"}"#);
    let store = world.make(&world.ann, "/vector_stores", "{}");
    let thread = world.make(&world.bob, "/threads", "{}");
    let mine = world.make(&world.bob, "/files", "{}");
    let escaped = format!(
        r#"{{"endpoint":"/v1/responses","completion_window":"24h","input\u005ffile_id":"{file}"}}"#
    );
    let twice = format!(r#"{{"name":"x","file_ids":["{mine}"],"file_ids":["{file}"]}}"#);
    let bodies = [
        (
            "/chat/completions",
            format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"file","file":{{"file_id":"{file}"}}}}]}}]}}"#
            ),
        ),
        (
            "/responses",
            format!(r#"{{"model":"m","input":"x","previous_response_id":"{response}"}}"#),
        ),
        (
            "/responses",
            format!(
                r#"{{"model":"m","input":"x","tools":[{{"type":"file_search","vector_store_ids":["{store}"]}}]}}"#
            ),
        ),
        (
            "/responses",
            r#"{"model":"m","input":"x","conversation":{"id":"conv-unknown"}}"#.to_owned(),
        ),
        ("/threads/runs", format!(r#"{{"assistant_id":"{assistant}"}}"#)),
        ("/vector_stores", twice),
        ("/batches", escaped),
    ];
    let sent = provider.seen().len();
    for (path, body) in &bodies {
        world.ask(&world.bob, "POST", path, body).refused(404, "not_found");
    }
    let run = format!(r#"{{"assistant_id":"{assistant}"}}"#);
    world
        .ask(&world.bob, "POST", &format!("/threads/{thread}/runs"), &run)
        .refused(404, "not_found");
    let form = "--b\r\nContent-Disposition: form-data; name=\"file_id\"\r\n\r\nfile-x\r\n--b--\r\n";
    let container = world.make(&world.bob, "/containers", r#"{"name":"c"}"#);
    let reply = world.ask(&world.bob, "POST", &format!("/containers/{container}/files"), form);
    assert_eq!(reply.status, 400, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(provider.seen().len(), sent + 1, "only the container was sent");
    let words = format!(r#"{{"model":"m","input":"x","metadata":{{"file_id":"{file}"}}}}"#);
    assert_eq!(
        world.ask(&world.bob, "POST", "/responses", &words).status,
        200,
        "metadata names nothing"
    );
    for (path, body) in &bodies[..3] {
        assert_eq!(world.ask(&world.ann, "POST", path, body).status, 200, "{path}: {body}");
    }
}

#[test]
fn lists_of_many_are_paged_through_what_others_have() {
    let (provider, _) = keeper("up");
    let world = world(front(provider.addr, ""));
    let mut own = Vec::new();
    for number in 0..130 {
        let key = if number % 13 == 0 { &world.ann } else { &world.bob };
        let id = world.make(key, "/files", "{}");
        if number % 13 == 0 {
            own.insert(0, id);
        }
    }
    assert_eq!(own.len(), 10);
    for limit in [1, 3, 10, 100] {
        assert_eq!(world.list(&world.ann, "files", limit), own, "limit {limit}");
    }
    let other = key_in(&*world.front.store, "a").1;
    until("the other key", || world.ask(&other, "GET", "/models", "").status == 200);
    let sent = provider.seen().len();
    assert_eq!(world.list(&other, "files", 20), own, "another key of the project");
    assert!(provider.seen().len() - sent <= 2, "two pages hold them all");
    world.ask(&world.ann, "GET", "/files?before=x", "").refused(400, "unsupported_parameter");
    let foreign = world.ask(&world.ann, "GET", "/files?after=x_files-up-1", "");
    foreign.refused(400, "invalid_value");
}

#[test]
fn what_came_of_an_object_and_of_a_stream_is_the_projects_too() {
    let (provider, _) = keeper("up");
    let world = world(front(provider.addr, ""));
    let batch = world.make(
        &world.ann,
        "/batches",
        r#"{"endpoint":"/v1/responses","completion_window":"24h"}"#,
    );
    let shown = world.ask(&world.ann, "GET", &format!("/batches/{batch}"), "").json();
    let out = format!("/files/{}", shown["output_file_id"].as_str().unwrap());
    assert_eq!(world.ask(&world.ann, "GET", &out, "").status, 200);
    assert_eq!(world.ask(&world.bob, "GET", &out, "").status, 404);

    let assistant = world.make(&world.ann, "/assistants", r#"{"model":"gpt-4o"}"#);
    let run = world.ask(
        &world.ann,
        "POST",
        "/threads/runs",
        &format!(r#"{{"assistant_id":"{assistant}"}}"#),
    );
    let thread = format!("/threads/{}", run.json()["thread_id"].as_str().unwrap());
    assert_eq!(world.ask(&world.ann, "GET", &thread, "").status, 200);
    assert_eq!(world.ask(&world.bob, "GET", &thread, "").status, 404);

    let events = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_s\"}}\n\n\
                  event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_s\",\"status\":\"completed\"}}\n\n";
    let streaming = Provider::new(move |seen, stream| {
        let reply = if seen.head.starts_with("post") {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
                events.len()
            )
        } else {
            answer("200 OK", "", "{\"id\":\"resp_s\"}")
        };
        stream.write_all(reply.as_bytes()).is_ok()
    });
    let world = self::world(front(streaming.addr, ""));
    let body = r#"{"model":"gpt-4o","input":"hi","stream":true}"#;
    assert_eq!(world.ask(&world.ann, "POST", "/responses", body).status, 200);
    assert_eq!(world.ask(&world.ann, "GET", "/responses/resp_s", "").status, 200);
    assert_eq!(world.ask(&world.bob, "GET", "/responses/resp_s", "").status, 404);
}

#[test]
fn follow_ups_go_where_the_object_is_and_ownership_outlives_the_gateway() {
    let ((one, _), (two, _)) = (keeper("one"), keeper("two"));
    let text = format!(
        "[[provider]]\nname = \"one\"\nbase_url = \"http://{}/v1\"\napi_key = \"sk-1\"\n\
         [[provider]]\nname = \"two\"\nbase_url = \"http://{}/v1\"\napi_keys = [\"sk-2\", \"sk-3\"]\nmodels = [\"m2\"]\n",
        one.addr, two.addr
    );
    let config = parse("t", &text, &Environment::default()).unwrap();
    let world = world(start(&config, |_| {}));
    let make = |model: &str| {
        let body = format!(r#"{{"model":"{model}","input":"hi"}}"#);
        let made = world.ask(&world.ann, "POST", "/responses", &body);
        (made.json()["id"].as_str().unwrap().to_owned(), made)
    };
    let (first, _) = make("m1");
    assert!(first.contains("one"), "{first}");
    for _ in 0..4 {
        let (second, _) = make("m2");
        let credential = two.seen().pop().unwrap().header("authorization").unwrap().to_owned();
        let shown = world.ask(&world.ann, "GET", &format!("/responses/{second}"), "");
        assert_eq!(shown.json()["at"], "two");
        let asked = two.seen().pop().unwrap();
        assert_eq!(asked.header("authorization"), Some(credential.as_str()), "the same account");
        let mixed = format!(r#"{{"model":"m1","input":"x","previous_response_id":"{second}"}}"#);
        assert_eq!(world.ask(&world.ann, "POST", "/responses", &mixed).status, 200);
        assert!(
            two.seen().pop().unwrap().head.starts_with("post"),
            "it went where the response is"
        );
    }
    let record = || world.front.store.objects_of(&project(&world), "responses", 100).unwrap();
    until("the records in the store", || record().len() == 9);
    assert!(record().iter().any(|one| *one.id == *first && &*one.provider == "one"));
}

fn project(world: &World) -> String {
    let all = world.front.store.projects().unwrap();
    all.iter().find(|one| &*one.name == "a").unwrap().id.to_string()
}

#[test]
fn what_reaches_all_projects_takes_the_scope_passthrough() {
    let (provider, _) = keeper("up");
    let world = world(front(provider.addr, ""));
    let sent = provider.seen().len();
    for (method, path) in [
        ("GET", "/organization/users"),
        ("GET", "/projects/p/roles"),
        ("GET", "/skills"),
        ("POST", "/realtime/client_secrets"),
        ("GET", "/audio/voices"),
        ("DELETE", "/models/ft:gpt-4o:acme"),
        ("GET", "/evals"),
        ("GET", "/fine_tuning/checkpoints/c/permissions"),
    ] {
        let reply = world.ask(&world.ann, method, path, "");
        assert!(matches!(reply.status, 403 | 404), "{method} {path}: {}", reply.status);
        assert_eq!(provider.seen().len(), sent, "{method} {path} was sent");
    }
    let pass = Scopes::default().with(Scope::Passthrough);
    let operator = support::add_key(&*world.front.store, pass, None);
    until("the key", || world.ask(&operator, "GET", "/organization/users", "").status == 200);
}
