//! Killed at any instant, the same command goes on: each line once, nothing lost that was written,
//! and no more attempts than were under way.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::world::{World, chats, finished};

const AT_ONCE: u64 = 16;

/// Numbers that look like chance and are the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn full() -> bool {
    std::env::var("MAINSTAY_TEST_FULL").is_ok_and(|full| !full.is_empty())
}

/// Whole lines of the output, a torn last one left out.
fn whole_lines(world: &World) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(world.path("out.jsonl")).unwrap_or_default();
    let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
    let id = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["custom_id"].as_str().unwrap().to_owned()
    };
    whole.lines().map(|line| (id(line), line.to_owned())).collect()
}

#[test]
fn killed_at_random_instants_every_line_is_answered_once_and_nothing_written_is_lost() {
    let kills = if full() { 50 } else { 6 };
    let count = if full() { 12_000 } else { 3_200 };
    let world = World::new("latency = { headers = [\"5ms\", \"40ms\"] }");
    world.input(&chats(count));
    let more = ["--concurrency", &AT_ONCE.to_string()];
    let mut chance = Chance(20_261_121);
    let mut written = BTreeMap::new();
    let (mut killed, mut lost) = (0, 0);
    while killed < kills {
        let before = world.attempts();
        let mut child = world.command("in.jsonl", &more).spawn().unwrap();
        // Most instants are while it sends; a few while it begins and takes up what was written.
        while killed % 6 != 5 && world.attempts() == before {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(chance.below(250)));
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "done after {killed} kills: give it more to do");
        child.kill().unwrap();
        finished(child);
        killed += 1;
        let lines = whole_lines(&world);
        for (id, line) in &written {
            assert_eq!(lines.get(id), Some(line), "after kill {killed}");
        }
        written = lines;
        // What was sent and is not in the output was in flight at this kill or an earlier one.
        let gone = settled_attempts(&world) - written.len() as u64;
        assert!(gone - lost <= AT_ONCE, "{} in flight at kill {killed}", gone - lost);
        lost = gone;
    }
    let done = world.run(&more);
    assert_eq!(done.code, Some(0), "{done:?}");
    let output = world.output();
    assert_eq!(output.len(), count);
    let lines = whole_lines(&world);
    assert!(written.iter().all(|(id, line)| lines[id] == *line));
    let extra = world.attempts() - count as u64;
    assert_eq!(extra, lost, "attempts beyond those that were in flight at a kill");
    assert!(lost >= killed, "the kills have not met it at work: {lost} were in flight");
    println!("{killed} kills, {lost} attempts were in flight at them, {AT_ONCE} at most at once");
}

/// Attempts that have reached the provider, once none of a dead process is on its way any more: who
/// asks the simulator is answered after those that came before.
fn settled_attempts(world: &World) -> u64 {
    let mut before = None;
    loop {
        let stats = world.stats();
        let now = stats["attempts"].as_u64().unwrap();
        if before == Some(now) && stats["in_flight"] == 0 {
            return now;
        }
        before = Some(now);
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn an_interrupt_lets_calls_in_flight_end_and_the_rest_is_the_next_runs() {
    let world = World::new("latency = { headers = \"500ms\" }");
    world.input(&chats(60));
    let more = ["--concurrency", "10"];
    let child = world.command("in.jsonl", &more).spawn().unwrap();
    while world.attempts() < 10 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let done = finished(child);
    assert_eq!((done.code, done.summary()["stopped"].as_str()), (Some(1), Some("interrupted")));
    assert_eq!(world.output().len() as u64, world.attempts(), "every attempt has its answer");
    assert_eq!(world.run(&more).code, Some(0));
    assert_eq!((world.output().len(), world.attempts()), (60, 60));
}

#[test]
fn two_runs_do_not_write_one_output() {
    let world = World::new("latency = { headers = \"400ms\" }");
    world.input(&chats(20));
    let first = world.command("in.jsonl", &["--concurrency", "2"]).spawn().unwrap();
    while world.attempts() < 1 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = world.run(&[]);
    assert_eq!(second.code, Some(3));
    assert!(second.err.contains("another run"), "{}", second.err);
    assert_eq!((finished(first).code, world.output().len()), (Some(0), 20));
}
