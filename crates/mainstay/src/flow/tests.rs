use super::*;

#[test]
fn events_that_came_side_by_side_leave_side_by_side_and_nothing_else_does() {
    let expect = Expect {
        endpoint: Endpoint::Chat,
        stream: true,
        choices: 1,
        strip_usage: true,
        strict: false,
    };
    let mut flow = Flow::new(expect);
    let mut headers = Fields::default();
    headers.insert(http::header::CONTENT_TYPE, "text/event-stream".parse().unwrap());
    flow.on_head(AnswerHead { status: StatusCode::OK, headers });
    let word = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let come = format!("{word}{word}{usage}{word}");
    flow.on_data(Bytes::from(come.clone()));
    flow.on_data(Bytes::from(word));
    let left: Vec<Bytes> = std::iter::from_fn(|| flow.ready.pop_front()).collect();
    assert_eq!(left, [&*word.repeat(2), word, word], "our own wish is taken out, {come}");
}
