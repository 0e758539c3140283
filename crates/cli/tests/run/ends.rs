//! How lines and runs end: answered, failed, refused, left for the next run.

use std::io::Write;

use serde_json::{Value, json};

use crate::world::{World, chat, chats, finished, lines};

#[test]
fn every_line_is_answered_in_the_vendors_form_and_a_second_run_asks_nothing() {
    let world = World::new("");
    world.input(&chats(50));
    let done = world.run(&[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let summary = done.summary();
    assert_eq!((summary["answered"].as_u64(), summary["attempts"].as_u64()), (Some(50), Some(50)));
    let output = world.output();
    assert_eq!(output.len(), 50);
    for (id, line) in &output {
        assert_eq!(line["error"], Value::Null);
        assert_eq!(line["response"]["status_code"], 200);
        assert!(line["response"]["request_id"].as_str().unwrap().starts_with("req"));
        assert_eq!(line["response"]["body"]["object"], "chat.completion", "{id}");
    }
    assert!(!world.path("out.errors.jsonl").exists());
    let again = world.run(&[]);
    assert_eq!((again.code, world.attempts()), (Some(0), 50));
    assert_eq!(again.summary()["earlier"].as_u64(), Some(50));
    assert_eq!(world.output(), output);
}

#[test]
fn failed_lines_stand_in_the_output_and_alone_and_the_exit_code_tells() {
    let world = World::new("");
    let mut input = chats(20);
    input.push(chat("bad", "sim-invalid_value"));
    input.push(chat("gone", "sim-model_not_found"));
    input.push(chat("broken", "sim-internal_error"));
    world.input(&input);
    let done = world.run(&[]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(
        done.summary()["failed_by_kind"],
        json!({"invalid_value": 1, "model_not_found": 1, "internal_error": 1})
    );
    let (output, errors) = (world.output(), lines(&world.path("out.errors.jsonl")));
    assert_eq!(output.len(), 23);
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["bad", "broken", "gone"]);
    assert_eq!(errors["bad"]["response"]["status_code"], 400);
    assert!(errors["bad"]["response"]["body"]["error"]["message"].is_string());
    assert!(errors.iter().all(|(id, line)| output[id] == *line));
    let before = world.attempts();
    assert_eq!(world.run(&[]).code, Some(1), "what has failed has failed");
    assert_eq!((world.attempts(), world.output()), (before, output));
}

#[test]
fn one_reason_that_holds_for_every_line_stops_the_run_and_costs_no_line_its_answer() {
    let world = World::new("keys = [\"sk-good\"]");
    world.input(&chats(200));
    let done = world.run(&["--concurrency", "4"]);
    assert_eq!(
        (done.code, done.summary()["stopped"].as_str()),
        (Some(1), Some("incorrect_api_key"))
    );
    assert_eq!(std::fs::read(world.path("out.jsonl")).unwrap(), b"", "no line is spent on it");
    assert!(world.attempts() <= 24, "{}", world.attempts());
    let mut command = world.command("in.jsonl", &[]);
    let done = finished(command.env("OPENAI_API_KEY", "sk-good").spawn().unwrap());
    assert_eq!((done.code, world.output().len()), (Some(0), 200));
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is() {
    let world = World::new("");
    let mut input = chats(3);
    input.push(chat(1, "m"));
    world.input(&input);
    let done = world.run(&[]);
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains("stands on lines 2, 4"), "{}", done.err);
    world.input(&[
        "{\"custom_id\":\"a\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"m\"}}\n"
            .to_owned(),
    ]);
    let done = world.run(&["--validate"]);
    assert!(done.code == Some(1) && done.err.contains("messages"), "{done:?}");
    assert_eq!(world.attempts(), 0);
    assert!(!world.path("out.jsonl").exists());
    assert_eq!(world.run(&["--max-cost", "1"]).code, Some(2), "without prices it cannot be kept");
    assert_eq!(world.run(&["--deadline", "soon"]).code, Some(2));
    let absent = world.command("absent.jsonl", &[]).spawn().unwrap();
    assert_eq!(finished(absent).code, Some(3));
}

#[test]
fn what_is_no_file_is_no_output() {
    let world = World::new("");
    world.input(&chats(2));
    // One that never ends when it is read, one that keeps nothing, a folder.
    for place in ["/dev/zero", "/dev/null", "."] {
        let mut command = world.bare(&["run", "in.jsonl", "-o", place]);
        let done = finished(command.args(["--base-url", &world.base_url()]).spawn().unwrap());
        assert_eq!(done.code, Some(2), "{place}: {done:?}");
        assert!(done.err.contains("is no file for answers"), "{}", done.err);
    }
    assert_eq!(world.attempts(), 0);
    assert!(!std::path::Path::new("/dev/zero.work").exists());
}

#[test]
fn another_input_is_not_mixed_into_an_output() {
    let world = World::new("");
    world.input(&chats(5));
    assert_eq!(world.run(&[]).code, Some(0));
    world.input(&chats(6));
    let done = world.run(&[]);
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("has changed"), "{}", done.err);
    assert_eq!(world.output().len(), 5);
}

#[test]
fn gzip_bare_bodies_and_standard_input_are_read_like_files() {
    let world = World::new("");
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let text = format!("{body}\n\n{}\n", json!({"model": "text-embedding-3-small", "input": "x"}));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let done = world.pipe(&gzip.finish().unwrap(), &[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let output = world.output();
    assert_eq!(output["line-1"]["response"]["body"]["object"], "chat.completion");
    assert_eq!(output["line-3"]["response"]["body"]["object"], "list");
    assert!(!world.path("out.work/input").exists(), "the copy of a done job is taken away");
}

#[test]
fn standard_input_that_was_spooled_goes_on_without_being_given_again() {
    let world = World::new("latency = { headers = \"200ms\" }");
    let done =
        world.pipe(chats(40).concat().as_bytes(), &["--deadline", "500ms", "--concurrency", "4"]);
    assert_eq!((done.code, done.summary()["stopped"].as_str()), (Some(1), Some("deadline")));
    let before = world.output();
    assert!(before.len() < 40, "{}", before.len());
    let done = world.pipe(b"", &["--concurrency", "40"]);
    assert_eq!((done.code, world.output().len()), (Some(0), 40), "{done:?}");
    assert!(before.iter().all(|(id, line)| world.output()[id] == *line));
}

#[test]
fn an_outage_is_waited_out_and_no_line_fails_for_it() {
    let world = World::new(
        "latency = { headers = \"20ms\" }\n\
         [[fault]]\nstatus = 503\nfrom = \"300ms\"\nto = \"2500ms\"\n",
    );
    world.input(&chats(200));
    let done = world.run(&["--concurrency", "8"]);
    assert_eq!((done.code, world.output().len()), (Some(0), 200), "{done:?}");
}

#[test]
fn nobody_there_is_told_at_once_and_not_waited_for() {
    let world = World::new("");
    world.input(&chats(2));
    let done =
        finished(world.command_to("http://127.0.0.1:9/v1", "in.jsonl", &[]).spawn().unwrap());
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.err.contains("could not reach 127.0.0.1 on port 9"), "{}", done.err);
    assert!(!world.path("out.jsonl").exists());
}

#[test]
fn who_is_away_until_the_deadline_is_left_to_the_next_run() {
    let world = World::new("");
    let mut input = chats(3);
    input.push(chat("away", "sim-connection"));
    world.input(&input);
    let done = world.run(&["--deadline", "4s"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let summary = done.summary();
    assert_eq!((&summary["stopped"], &summary["unfinished"]), (&json!("deadline"), &json!(1)));
    assert_eq!(world.output().len(), 3);
}

#[test]
fn packed_inputs_are_few_requests_and_every_line_gets_its_own_answer() {
    let world = World::new("");
    let line = |id: usize, input: &Value| {
        let body = json!({"model": "text-embedding-3-small", "dimensions": 4, "input": input});
        format!("{}\n", json!({"custom_id": id.to_string(), "url": "/v1/embeddings", "body": body}))
    };
    let input: Vec<String> =
        (0..300).map(|n| line(n, &json!([format!("text {n}"), format!("more {n}")]))).collect();
    world.input(&input);
    let single = World::new("");
    single.input(&input);
    assert_eq!(single.run(&[]).code, Some(0));
    let done = world.run(&["--pack"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!((world.attempts(), single.attempts()), (1, 300));
    let numbers = |line: &Value| line["response"]["body"]["data"].clone();
    let (packed, alone) = (world.output(), single.output());
    assert_eq!(packed.len(), 300);
    assert!(alone.iter().all(|(id, line)| numbers(line) == numbers(&packed[id])));
}

#[test]
fn a_dry_run_sends_nothing_and_tells_what_it_would_take() {
    let world = World::new("");
    world.input(&chats(100));
    let prices = "[[price]]\nmodel = \"gpt-4o*\"\ninput_per_1m = \"1\"\noutput_per_1m = \"2\"\n";
    std::fs::write(world.path("mainstay.toml"), prices).unwrap();
    let done = world.run(&["--dry-run", "--rpm", "50"]);
    let told = done.summary();
    assert_eq!(
        (done.code, told["lines"].as_u64(), told["time_s"].as_f64()),
        (Some(0), Some(100), Some(120.0))
    );
    assert_eq!(told["models"][0]["output_tokens_max"], 800);
    assert!(told["cost_usd_max"].as_str().unwrap().starts_with("0.00"), "{told}");
    assert_eq!((world.attempts(), world.path("out.jsonl").exists()), (0, false));
}

#[test]
fn a_bound_on_cost_holds_over_runs_and_more_money_goes_on() {
    let world = World::new("");
    world.input(&chats(100));
    let prices =
        "[[price]]\nmodel = \"gpt-4o*\"\ninput_per_1m = \"1000\"\noutput_per_1m = \"1000\"\n";
    std::fs::write(world.path("mainstay.toml"), prices).unwrap();
    let cost = |done: &crate::world::Done| {
        done.summary()["cost_usd"].as_str().unwrap().parse::<f64>().unwrap()
    };
    let first = world.run(&["--max-cost", "0.50"]);
    assert_eq!((first.code, first.summary()["stopped"].as_str()), (Some(1), Some("max_cost")));
    let spent = cost(&first);
    assert!(spent > 0.3 && spent <= 0.5, "{spent}");
    let again = world.run(&["--max-cost", "0.50"]);
    assert!(cost(&again) <= 0.5, "what earlier runs spent counts: {}", cost(&again));
    let rest = world.run(&["--max-cost", "100"]);
    assert_eq!((rest.code, world.output().len()), (Some(0), 100));
    assert!(cost(&rest) > spent);
}

#[test]
fn models_are_renamed_and_events_tell_of_every_line() {
    let world = World::new("models = [\"gpt-4o-mini\"]");
    world.input(&[chat("a", "mine"), chat("b", "gpt-4o-mini")]);
    let done = world.run(&["--model-map", "mine=gpt-4o-mini", "--events", "events.jsonl"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let events = std::fs::read_to_string(world.path("events.jsonl")).unwrap();
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((named("started"), named("answered"), named("ended")), (1, 2, 1));
    let text = format!("{events:?}");
    assert!(!text.contains("question") && !text.contains("sk-test"), "{text}");
}
