//! What people are told of a run, where requests may go, and the environment it takes up.
//! (On a terminal: `crates/checks/cli/running.py`.)

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::world::{World, chat, chats, finished};

#[test]
fn a_summary_tells_what_failed_by_kind_and_what_to_do() {
    let world = World::new("");
    let mut input = chats(12);
    input.push(chat("bad", "sim-invalid_value"));
    input.extend((0..3).map(|n| chat(format!("gone-{n}"), "sim-model_not_found")));
    world.input(&input);
    let done = world.run_for_people(&[]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let first = done.out.lines().next().unwrap();
    assert!(first.starts_with("16 lines: 12 answered, 4 failed, 0 left"), "{first}");
    assert!(first.contains(" s, ") && first.contains(" attempts, ") && first.contains(" tokens"));
    for kind in [("1", "invalid_value"), ("3", "model_not_found")] {
        let told = done.out.lines().position(|line| {
            let mut words = line.split_whitespace();
            (words.next(), words.next()) == (Some(kind.0), Some(kind.1))
        });
        let told = told.unwrap_or_else(|| panic!("{kind:?} is not told:\n{}", done.out));
        let next = done.out.lines().nth(told + 1).unwrap_or_default();
        assert!(next.trim_start().starts_with("fix: "), "{}", done.out);
    }
    assert!(done.out.contains("out.errors.jsonl"), "{}", done.out);
    assert!(!done.out.contains('\u{1b}') && !done.err.contains('\r'), "{done:?}");

    let again = world.run_for_people(&[]);
    assert!(again.out.contains("16 of them were done by earlier runs"), "{}", again.out);
}

#[test]
fn progress_away_from_a_terminal_is_a_plain_line_now_and_then() {
    // A line every ten seconds: there is one in a run of eleven.
    let world = World::new("latency = { headers = \"550ms\" }");
    world.input(&chats(21));
    let done = world.run_for_people(&["--concurrency", "1"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let lines: Vec<&str> = done.err.lines().collect();
    assert_eq!(lines.len(), 1, "{}", done.err);
    for part in ["/21 done (", " %)", ", 1 in flight | ", "/s, ", " tokens/s", " left"] {
        assert!(lines[0].contains(part), "`{part}` is not in: {}", lines[0]);
    }
}

#[test]
fn provider_key_and_owner_of_the_environment_are_taken() {
    let world = World::new("keys = [\"sk-of-the-environment\"]");
    world.input(&chats(3));
    let mut command = world.bare(&["run", "in.jsonl", "-o", "out.jsonl", "--json"]);
    command.env("OPENAI_BASE_URL", world.base_url());
    command.env("OPENAI_API_KEY", " sk-of-the-environment\n");
    command.env("OPENAI_ORG_ID", "org-mine").env("OPENAI_PROJECT_ID", "proj_mine");
    let done = finished(command.spawn().unwrap());
    assert_eq!((done.code, world.output().len()), (Some(0), 3), "{done:?}");
    // Where the vendor is asked and there is no key, nothing is begun.
    let mut command = world.bare(&["run", "in.jsonl", "-o", "other.jsonl"]);
    let done = finished(command.env_remove("OPENAI_API_KEY").spawn().unwrap());
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("there is no key") && done.err.contains("fix: "), "{}", done.err);
    assert!(!world.path("other.jsonl").exists());
}

#[test]
fn a_run_through_a_gateway_ends_like_one_without() {
    let world = World::new("");
    let mut input = chats(30);
    input.push(chat("bad", "sim-invalid_value"));
    world.input(&input);
    let config = format!(
        "[[provider]]\nname = \"sim\"\nbase_url = \"{}\"\napi_key = \"sk-up\"\n",
        world.base_url()
    );
    std::fs::write(world.path("gateway.toml"), config).unwrap();
    let mut serve = world.bare(&["serve", "--config", "gateway.toml"]);
    serve.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let mut gateway = serve.stdout(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(gateway.stderr.take().unwrap());
    let (mut key, mut url) = (None, None);
    while key.is_none() || url.is_none() {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended: {key:?} {url:?}");
        for word in line.split_whitespace() {
            let word = word.trim_matches(['\'', '"', ',']);
            if word.starts_with("sk-ms-") {
                key.get_or_insert_with(|| word.to_owned());
            }
            if word.starts_with("http://") && word.ends_with("/v1") {
                url.get_or_insert_with(|| word.to_owned());
            }
        }
    }
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let (key, url) = (key.unwrap(), url.unwrap());
    let mut command = world.command_to(&url, "in.jsonl", &[]);
    let done = finished(command.env("OPENAI_API_KEY", key).spawn().unwrap());
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    assert_eq!(done.code, Some(1), "{done:?}");
    let output = world.output();
    assert_eq!((output.len(), world.attempts()), (31, 31));
    assert_eq!(output["bad"]["response"]["status_code"], 400);
    assert!(
        output.iter().filter(|(id, _)| *id != "bad").all(|(_, line)| line["error"] == Value::Null)
    );
}
