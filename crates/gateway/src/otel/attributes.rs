//! Attributes of a span: the settings of a request, and what an answer tells of itself, under the names
//! of OpenTelemetry's conventions.
//!
//! Source: open-telemetry/semantic-conventions-genai, "Generative AI client spans" and "OpenAI client
//! operations", read 2026-11. Left out are what a caller writes freely (`gen_ai.request.stop_sequences`,
//! messages, instructions, tools) and what these APIs do not tell (`gen_ai.prompt.name`: a stored prompt has an
//! id, and no name).

use std::time::Duration;

use mainstay_core::wire::endpoint::{Endpoint, Group};
use mainstay_core::wire::notes::{Apart, Told, Wishes, Word};
use mainstay_core::wire::usage::Usage;

use super::proto::Value;

#[derive(Default)]
pub(super) struct Attributes(pub(super) Vec<(&'static str, Value)>);

impl Attributes {
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.0.push((key, Value::Text(text.to_owned())));
    }

    pub(super) fn optional(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    pub(super) fn flag(&mut self, key: &'static str, flag: bool) {
        self.0.push((key, Value::Flag(flag)));
    }

    pub(super) fn whole(&mut self, key: &'static str, number: u64) {
        self.0.push((key, Value::Whole(i64::try_from(number).unwrap_or(i64::MAX))));
    }

    pub(super) fn seconds(&mut self, key: &'static str, time: Duration) {
        self.0.push((key, Value::Real(time.as_secs_f64())));
    }

    pub(super) fn usage(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        self.whole("gen_ai.usage.input_tokens", usage.input);
        self.whole("gen_ai.usage.output_tokens", usage.output);
        self.whole("gen_ai.usage.cache_read.input_tokens", usage.cached);
    }

    fn real(&mut self, key: &'static str, number: Option<f64>) {
        if let Some(number) = number {
            self.0.push((key, Value::Real(number)));
        }
    }

    fn count(&mut self, key: &'static str, number: Option<u64>) {
        if let Some(number) = number {
            self.whole(key, number);
        }
    }

    fn word(&mut self, key: &'static str, word: Option<&Word>) {
        self.optional(key, word.map(Word::as_str));
    }

    /// What the request asks for; `None` when its body was not read.
    pub(super) fn wishes(&mut self, endpoint: Endpoint, wishes: Option<&Wishes>) {
        self.optional("openai.api.type", api(endpoint));
        let format = wishes.and_then(|wishes| wishes.format.as_ref());
        self.optional("gen_ai.output.type", output_type(endpoint, format));
        let Some(wishes) = wishes else { return };
        self.count("gen_ai.request.max_tokens", wishes.max_tokens);
        self.count("gen_ai.request.choice.count", wishes.choices.filter(|count| *count != 1));
        if let Some(seed) = wishes.seed {
            self.0.push(("gen_ai.request.seed", Value::Whole(seed)));
        }
        self.real("gen_ai.request.temperature", wishes.temperature);
        self.real("gen_ai.request.top_p", wishes.top_p);
        self.real("gen_ai.request.top_k", wishes.top_k);
        self.real("gen_ai.request.frequency_penalty", wishes.frequency_penalty);
        self.real("gen_ai.request.presence_penalty", wishes.presence_penalty);
        if let Some(format) = &wishes.encoding {
            let formats = Value::Texts(vec![format.as_str().to_owned()]);
            self.0.push(("gen_ai.request.encoding_formats", formats));
        }
        self.word("gen_ai.request.reasoning.level", wishes.effort.as_ref());
        self.word("gen_ai.request.previous_response.id", wishes.previous.as_ref());
        self.word("gen_ai.conversation.id", wishes.conversation.as_ref());
        // "If the request includes it and it is not `auto`."
        let tier = wishes.tier.as_ref().filter(|tier| tier.as_str() != "auto");
        self.word("openai.request.service_tier", tier);
    }

    /// What the answer told of itself, if one came that did; `asked`: the model that is named where it
    /// named none.
    pub(super) fn told(&mut self, told: Option<&Told>, asked: Option<&str>) {
        let model = told.and_then(|told| told.model.as_ref()).map(Word::as_str);
        self.optional("gen_ai.response.model", model.or(asked));
        let Some(told) = told else { return };
        self.word("gen_ai.response.id", told.id.as_ref());
        let reasons: Vec<String> = told.finished().map(|why| why.as_str().to_owned()).collect();
        if !reasons.is_empty() {
            self.0.push(("gen_ai.response.finish_reasons", Value::Texts(reasons)));
        }
        self.word("openai.response.service_tier", told.tier.as_ref());
        self.word("openai.response.system_fingerprint", told.fingerprint.as_ref());
        let Apart { reasoning, cache_written, input, output } = told.tokens;
        self.count("gen_ai.usage.reasoning.output_tokens", reasoning);
        self.count("gen_ai.usage.cache_write.input_tokens", cache_written);
        for (key, number) in INPUT.into_iter().zip(input).chain(OUTPUT.into_iter().zip(output)) {
            self.count(key, number);
        }
    }
}

const INPUT: [&str; 3] = [
    "gen_ai.usage.text.input_tokens",
    "gen_ai.usage.image.input_tokens",
    "gen_ai.usage.audio.input_tokens",
];
const OUTPUT: [&str; 3] = [
    "gen_ai.usage.text.output_tokens",
    "gen_ai.usage.image.output_tokens",
    "gen_ai.usage.audio.output_tokens",
];

/// `openai.api.type`, which knows two.
fn api(endpoint: Endpoint) -> Option<&'static str> {
    const KNOWN: [(Endpoint, &str); 2] =
        [(Endpoint::Chat, "chat_completions"), (Endpoint::Responses, "responses")];
    KNOWN.iter().find(|(known, _)| *known == endpoint).map(|(_, name)| *name)
}

/// `gen_ai.output.type`: what kind of answer is asked for, where the request says so.
fn output_type(endpoint: Endpoint, format: Option<&Word>) -> Option<&'static str> {
    if endpoint == Endpoint::Speech {
        return Some("speech");
    }
    if endpoint.group() == Group::Images {
        return Some("image");
    }
    match format?.as_str() {
        "json_object" | "json_schema" => Some("json"),
        "text" => Some("text"),
        _ => None,
    }
}
