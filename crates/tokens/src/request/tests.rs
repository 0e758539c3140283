use super::*;
use serde_json::json;

fn counted(body: &Value) -> Count {
    count(body.to_string().as_bytes(), None).unwrap()
}

#[cfg(feature = "exact")]
#[test]
fn messages_follow_the_published_rule() {
    // 3 a message, 1 a name, 3 for the answer; the words themselves by the vocabulary.
    let body = json!({"model": "gpt-4o", "messages": [
        {"role": "system", "content": "Be short."}, {"role": "user", "name": "ann", "content": "Which river flows through Bern?"}]});
    let words = |text: &str| crate::exact::count(Vocabulary::O200k, text) as u64;
    let expected = 3
        + 3
        + 3
        + 1
        + ["system", "Be short.", "user", "ann", "Which river flows through Bern?"]
            .map(words)
            .iter()
            .sum::<u64>();
    let found = counted(&body);
    assert_eq!((found.messages, found.exact, found.asked), (expected, true, None));
    let parts = json!({"model": "gpt-4o", "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be short."}]},
        {"role": "user", "name": "ann", "content": "Which river flows through Bern?"}]});
    assert_eq!(counted(&parts).messages, expected);
}

#[cfg(feature = "exact")]
#[test]
fn the_example_of_the_cookbook_comes_out() {
    // The cookbook's example of six messages gives 129 for gpt-4 and 124 for gpt-4o.
    let six = json!([
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
        {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
        {"role": "system", "name": "example_user", "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
        {"role": "system", "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better."},
        {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."}]);
    for (model, expected) in
        [("gpt-4-0613", 129), ("gpt-3.5-turbo", 129), ("gpt-4o", 124), ("gpt-4o-mini", 124)]
    {
        assert_eq!(
            counted(&json!({"model": model, "messages": six})).prompt(),
            expected,
            "{model}"
        );
    }
}

#[cfg(feature = "exact")]
#[test]
fn functions_follow_the_published_rule() {
    // The cookbook's example: 105 for gpt-4 and gpt-3.5-turbo, 101 for gpt-4o and gpt-4o-mini.
    let tools = json!([{"type": "function", "function": {"name": "get_current_weather",
        "description": "Get the current weather in a given location", "parameters": {"type": "object", "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "unit": {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]}},
            "required": ["location"]}}}]);
    let messages = json!([{"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
        {"role": "user", "content": "What's the weather like in San Francisco?"}]);
    for (model, expected) in
        [("gpt-4", 105), ("gpt-3.5-turbo", 105), ("gpt-4o", 101), ("gpt-4o-mini", 101)]
    {
        let found = counted(&json!({"model": model, "messages": messages, "tools": tools}));
        assert_eq!((found.prompt(), found.exact), (expected, true), "{model}");
    }
}

#[test]
fn pictures_count_by_their_size() {
    let png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAQA";
    let picture = |url: &str, detail: &str| {
        counted(&json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": url, "detail": detail}}]}]}))
    };
    assert_eq!(
        (picture(png, "high").media, picture(png, "high").exact),
        (765, cfg!(feature = "exact"))
    );
    assert_eq!(picture(png, "low").media, 85);
    let far = picture("https://pics.test/a.png", "high");
    assert_eq!((far.media, far.exact), (1445, false));
    assert_eq!(picture("data:image/png;base64,!!!", "high").media, 1445);
}

#[test]
fn what_has_no_published_rule_is_not_called_exact() {
    for body in [
        json!({"model": "gpt-4o", "messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}]}),
        json!({"model": "gpt-4o", "input": "hi"}),
        json!({"model": "gpt-4o", "messages": [], "response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}),
        json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]}]}),
        json!({"model": "my-own", "messages": [{"role": "user", "content": "hi"}]}),
    ] {
        let found = counted(&body);
        assert!(!found.exact && found.prompt() > 3, "{body}: {found:?}");
    }
}

#[test]
fn inputs_of_every_form_are_counted() {
    let ids = counted(&json!({"model": "text-embedding-3-small", "input": [[1, 2, 3], [4]]}));
    assert_eq!(ids.prompt(), 4);
    let texts = counted(&json!({"model": "text-embedding-3-small", "input": ["hello", "hello"]}));
    assert!(texts.prompt() >= 2 && texts.prompt() <= 4);
    assert!(counted(&json!({"model": "davinci-002", "prompt": "Once upon a time"})).prompt() >= 4);
    let asked =
        counted(&json!({"model": "m", "max_tokens": 100, "max_completion_tokens": 50, "n": 3}))
            .asked;
    assert_eq!(asked, Some(150));
    assert!(count(b"{broken", None).is_err());
    assert_eq!(count(b"[]", None).unwrap().prompt(), 0);
}
