//! `recovery = "continue"` through a gateway: a broken answer is gone on with where the target can,
//! joined without a seam, and told from the start where it cannot.

use crate::gate::{Gates, Heard, gates_with, unhurried};
use crate::sdk::{self, SDKS};
use crate::world::{Api, counted};

const ASKED: &str = "tell me something in 60 words";

fn cut(after: usize) -> String {
    format!("[latency]\ntoken = \"2ms\"\n[[fault]]\nfault = \"cut_rst\"\nafter = {after}\n")
}

async fn gates(primary: &str, fallback: &str) -> Gates {
    let settings = format!("{}[policy.stream]\nrecovery = \"continue\"\n", unhurried());
    gates_with(primary, fallback, &settings).await
}

#[track_caller]
fn whole(heard: &Heard) {
    let words = crate::world::words(60);
    for sdk in SDKS {
        let read = sdk::read(sdk, &heard.body, heard.is_cut());
        assert!(read.looks_whole() && read.marker, "{sdk:?}: {}", heard.text());
        assert_eq!(read.text(), format!("Heard {} bytes:{words}", ASKED.len()), "{sdk:?}");
        assert_eq!(read.ids.len(), 1, "{sdk:?}: {:?}", read.ids);
        assert_eq!(read.models, ["gpt-4o", "fallback-model"], "each part names who said it");
    }
}

/// Tokens of prompts and answers that a simulator has charged.
async fn charged(gates: &Gates) -> u64 {
    counted(&gates.fallback, "tokens").await
}

#[tokio::test]
async fn a_target_goes_on_from_what_was_delivered_and_says_only_the_rest() {
    let gates = gates(&cut(40), "[answer]\nprefill = \"continue\"\n").await;
    let heard = gates.gate.stream(Api::Chat, ASKED).await;
    whole(&heard);
    assert_eq!(counted(&gates.fallback, "attempts").await, 1);
    // The prompt is the question and forty words; what is said are the twenty that lack.
    assert!(charged(&gates).await < 95, "{} tokens", charged(&gates).await);
}

#[tokio::test]
async fn a_target_that_refuses_tells_the_answer_from_its_start() {
    let gates = gates(&cut(40), "[answer]\nprefill = \"refuse\"\n").await;
    let heard = gates.gate.stream(Api::Chat, ASKED).await;
    whole(&heard);
    assert_eq!(counted(&gates.fallback, "attempts").await, 2);
}

#[tokio::test]
async fn a_target_that_begins_again_is_noticed_and_nothing_is_said_twice() {
    let gates = gates(&cut(40), "[answer]\nprefill = \"ignore\"\n").await;
    let heard = gates.gate.stream(Api::Chat, ASKED).await;
    whole(&heard);
    assert_eq!(counted(&gates.fallback, "attempts").await, 1);
}

#[tokio::test]
async fn an_answer_that_chance_made_is_completed_where_a_second_telling_would_differ() {
    // Whoever is asked anew says something else; whoever goes on ends the sentence.
    let fallback = "[answer]\nprefill = \"continue\"\ntext = \"and so it ended\"\n";
    let gates = gates(&cut(40), fallback).await;
    let heard = gates.gate.stream(Api::Chat, ASKED).await;
    assert!(!heard.is_cut(), "{}", heard.text());
    let read = sdk::read(SDKS[0], &heard.body, false);
    assert!(read.looks_whole() && read.text().ends_with("and so it ended"), "{}", read.text());
    assert_eq!(read.text().matches("Heard").count(), 1);
}

#[tokio::test]
async fn little_text_tools_and_other_families_are_told_again() {
    for (api, after) in [(Api::Chat, 1), (Api::Completions, 40), (Api::Responses, 40)] {
        let gates = gates(&cut(after), "[answer]\nprefill = \"refuse\"\n").await;
        let heard = gates.gate.stream(api, ASKED).await;
        let read = sdk::read(SDKS[0], &heard.body, heard.is_cut());
        assert!(read.looks_whole() && read.text().ends_with("w60"), "{api:?}: {}", heard.text());
        assert_eq!(counted(&gates.fallback, "attempts").await, 1, "{api:?}: no partial was sent");
    }
}

#[tokio::test]
async fn an_answer_can_be_gone_on_with_from_any_place() {
    for after in 4..60 {
        let gates = gates(&cut(after), "[answer]\nprefill = \"continue\"\n").await;
        whole(&gates.gate.stream(Api::Chat, ASKED).await);
    }
}
