//! Sound bodies, in shapes that official SDKs and their users send.

use mainstay_core::wire::endpoint::Endpoint;
use serde_json::Value;

/// The required fields of each endpoint, and a body with every field that is usual there.
pub(crate) const FULL: &[(Endpoint, &[&str], &str)] = &[
    (Endpoint::Chat, &["model", "messages"], CHAT),
    (Endpoint::Chat, &["model", "messages"], TALK),
    (Endpoint::Responses, &[], RESPONSES),
    (Endpoint::Responses, &[], ITEMS),
    (Endpoint::Completions, &["model", "prompt"], COMPLETIONS),
    (Endpoint::Embeddings, &["model", "input"], EMBEDDINGS),
    (Endpoint::Moderations, &["input"], MODERATIONS),
    (Endpoint::Images, &["prompt"], IMAGES),
    (Endpoint::Speech, &["model", "input", "voice"], SPEECH),
    (Endpoint::Assistants, &["model"], ASSISTANT),
    (Endpoint::Threads, &[], THREAD),
    (Endpoint::ThreadMessages, &["role", "content"], MESSAGE),
    (Endpoint::Runs, &["assistant_id"], RUN),
    (Endpoint::ThreadAndRun, &["assistant_id"], THREAD_AND_RUN),
    (Endpoint::ToolOutputs, &["tool_outputs"], OUTPUTS),
    (Endpoint::AssistantUpdate, &[], ASSISTANT),
    (Endpoint::ThreadUpdate, &[], THREAD_UPDATE),
];

const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"system","content":"Be short."},{"role":"user","name":"ann",
"content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"https://pics.test/a.png","detail":"low"}}]}],
"stream":true,"stream_options":{"include_usage":true},"temperature":0.7,"top_p":0.9,"max_completion_tokens":200,"max_tokens":200,"n":2,
"stop":["END","STOP"],"presence_penalty":0.5,"frequency_penalty":-0.5,"logit_bias":{"50256":-100},"logprobs":true,"top_logprobs":3,
"user":"u-1","seed":42,"metadata":{"team":"blue"},"store":false,"service_tier":"auto","reasoning_effort":"low","verbosity":"low",
"modalities":["text"],"audio":{"voice":"alloy","format":"wav"},"prediction":{"type":"content","content":"It is"},
"tools":[{"type":"function","function":{"name":"look_up","description":"Finds a word","parameters":{"type":"object"},"strict":true}}],
"tool_choice":{"type":"function","function":{"name":"look_up"}},"parallel_tool_calls":true,
"response_format":{"type":"json_schema","json_schema":{"name":"answer","description":"d","schema":{"type":"object"},"strict":true}},
"functions":[{"name":"old","description":"d","parameters":{}}],"function_call":"auto","safety_identifier":"s-1",
"prompt_cache_key":"k","prompt_cache_retention":"24h","prompt_cache_options":{"mode":"implicit","ttl":"30m"},
"moderation":{"model":"m","policy":{"input":{"mode":"score"}}},
"web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"city":"Bern"}}}}"#;

const TALK: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"developer","content":[{"type":"text","text":"Use tools."}]},
{"role":"user","content":"Weather in Bern and Rome?"},
{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}},
{"id":"call_2","type":"custom","custom":{"name":"raw","input":"Rome"}}]},
{"role":"tool","tool_call_id":"call_1","content":"sun"},{"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"rain"}]},
{"role":"assistant","content":[{"type":"text","text":"Sun and rain."},{"type":"refusal","refusal":"no"}],"name":"bot"},
{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},{"type":"file","file":{"file_id":"file-1"}}]},
{"role":"function","name":"old","content":"x"}],
"tools":[{"type":"function","function":{"name":"weather"}},{"type":"custom","custom":{"name":"raw","description":"d","format":{"type":"grammar","grammar":{"definition":"a","syntax":"lark"}}}}],
"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function"}]}},"response_format":{"type":"json_object"},"stop":"END"}"#;

const RESPONSES: &str = r#"{"model":"gpt-5","input":"Say hello","instructions":"Be short","stream":true,"stream_options":{"include_obfuscation":true},
"max_output_tokens":64,"max_tool_calls":3,"temperature":1,"top_p":1,"top_logprobs":2,"parallel_tool_calls":true,"store":true,"background":false,
"previous_response_id":"resp_1","metadata":{"a":"b"},"truncation":"auto","user":"u","service_tier":"flex","include":["file_search_call.results"],
"reasoning":{"effort":"low","summary":"auto"},"text":{"format":{"type":"json_schema","name":"answer","schema":{"type":"object"},"strict":true},"verbosity":"low"},
"tool_choice":{"type":"function","name":"weather"},"prompt_cache_key":"k","safety_identifier":"s","prompt_cache_retention":"in_memory",
"prompt":{"id":"pmpt_1","version":"2","variables":{"name":"Ann"}},"context_management":[{"type":"compaction","compact_threshold":1000}],
"tools":[{"type":"function","name":"weather","description":"d","parameters":{"type":"object"},"strict":false},
{"type":"web_search","search_context_size":"low","user_location":{"type":"approximate","city":"Bern"}},
{"type":"file_search","vector_store_ids":["vs_1"],"max_num_results":5,"ranking_options":{"ranker":"auto","score_threshold":0.5}},
{"type":"mcp","server_label":"docs","server_url":"https://mcp.test","require_approval":"never"},
{"type":"code_interpreter","container":{"type":"auto"}},{"type":"image_generation","size":"auto","quality":"low","partial_images":1},
{"type":"custom","name":"raw","format":{"type":"grammar","definition":"a","syntax":"regex"}}]}"#;

const ITEMS: &str = r#"{"model":"gpt-5","conversation":{"id":"conv_1"},"input":[{"role":"developer","content":"Use tools."},
{"type":"message","role":"user","content":[{"type":"input_text","text":"x"},{"type":"input_image","image_url":"https://pics.test/a.png","detail":"auto"},{"type":"input_file","file_id":"file-1"}]},
{"type":"message","role":"assistant","id":"msg_1","status":"completed","content":[{"type":"output_text","text":"y","annotations":[]},{"type":"refusal","refusal":"no"}]},
{"type":"function_call","call_id":"call_1","name":"weather","arguments":"{}","id":"fc_1","status":"completed"},
{"type":"function_call_output","call_id":"call_1","output":"sun"},
{"type":"item_reference","id":"msg_0"},{"type":"mcp_approval_response","approval_request_id":"a","approve":true}]}"#;

const COMPLETIONS: &str = r#"{"model":"davinci-002","prompt":["Once","Twice"],"stream":false,"max_tokens":16,"temperature":1,"top_p":1,"n":1,"best_of":2,
"stop":"\n","echo":true,"frequency_penalty":0,"presence_penalty":0,"logit_bias":{"1":5},"logprobs":2,"seed":7,"suffix":"end","user":"u",
"stream_options":{"include_usage":true}}"#;
const EMBEDDINGS: &str = r#"{"model":"text-embedding-3-small","input":["one","two"],"dimensions":256,"encoding_format":"float","user":"u"}"#;
const MODERATIONS: &str = r#"{"model":"omni-moderation-latest","input":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"https://pics.test/a.png"}}]}"#;
const IMAGES: &str = r#"{"prompt":"A red boat","model":"gpt-image-1","n":1,"size":"1024x1024","quality":"high","background":"auto","moderation":"low",
"output_compression":80,"output_format":"webp","partial_images":1,"response_format":"url","style":"vivid","stream":true,"user":"u"}"#;
const SPEECH: &str = r#"{"model":"gpt-4o-mini-tts","input":"Hello","voice":"coral","instructions":"Cheerful","response_format":"mp3","speed":1.25,"stream_format":"sse"}"#;
const ASSISTANT: &str = r#"{"model":"gpt-4.1","name":"Helper","description":"d","instructions":"i","metadata":{"a":"b"},"temperature":1,"top_p":1,"reasoning_effort":"low",
"response_format":{"type":"json_object"},"tools":[{"type":"code_interpreter"},{"type":"file_search","file_search":{"max_num_results":5,"ranking_options":{"score_threshold":0.5}}},
{"type":"function","function":{"name":"f","description":"d"}}],"tool_resources":{"code_interpreter":{"file_ids":["file-1"]},"file_search":{"vector_stores":[{"file_ids":["file-1"],"chunking_strategy":{"type":"static","static":{"max_chunk_size_tokens":800,"chunk_overlap_tokens":400}}}]}}}"#;
const THREAD: &str = r#"{"messages":[{"role":"user","content":"x","attachments":[{"file_id":"file-1","tools":[{"type":"file_search"}]}],"metadata":{"a":"b"}}],"metadata":{"a":"b"},"tool_resources":{"file_search":{"vector_store_ids":["vs_1"]}}}"#;
const MESSAGE: &str = r#"{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_file","image_file":{"file_id":"file-1","detail":"low"}},{"type":"image_url","image_url":{"url":"https://pics.test/a.png"}}],"metadata":{"a":"b"}}"#;
const RUN: &str = r#"{"assistant_id":"asst_1","model":"gpt-4.1","stream":true,"instructions":"i","additional_instructions":"j","additional_messages":[{"role":"assistant","content":"x"}],
"max_completion_tokens":256,"max_prompt_tokens":1000,"metadata":{"a":"b"},"parallel_tool_calls":true,"reasoning_effort":"low","response_format":"auto","temperature":1,"top_p":1,
"tool_choice":{"type":"function","function":{"name":"f"}},"tools":[{"type":"code_interpreter"}],"truncation_strategy":{"type":"last_messages","last_messages":4}}"#;
const THREAD_AND_RUN: &str = r#"{"assistant_id":"asst_1","model":"gpt-4.1","stream":false,"instructions":"i","max_completion_tokens":300,"max_prompt_tokens":300,"metadata":{"a":"b"},
"parallel_tool_calls":false,"temperature":0,"top_p":0.5,"tool_choice":"none","tools":[{"type":"file_search"}],"tool_resources":{"code_interpreter":{"file_ids":["file-1"]}},
"truncation_strategy":{"type":"auto"},"thread":{"messages":[{"role":"user","content":"x"}],"metadata":{"a":"b"}}}"#;
const OUTPUTS: &str =
    r#"{"tool_outputs":[{"tool_call_id":"call_1","output":"70 degrees"}],"stream":true}"#;
const THREAD_UPDATE: &str = r#"{"metadata":{"a":"b"},"tool_resources":{"code_interpreter":{"file_ids":["file-1"]},"file_search":{"vector_store_ids":["vs_1"]}}}"#;

/// A sound body with what it must not lose.
pub(crate) struct Sound {
    pub(crate) endpoint: Endpoint,
    pub(crate) required: &'static [&'static str],
    pub(crate) body: Value,
}

/// Each full body; for each of its optional fields the body with the required ones and that one
/// alone; and the body with that one left out.
pub(crate) fn all() -> Vec<Sound> {
    let mut found = Vec::new();
    for &(endpoint, required, text) in FULL {
        let full: Value = serde_json::from_str(text).expect("the corpus is JSON");
        let fields = full.as_object().expect("a body is an object").clone();
        // A response needs its model where it has an input.
        let keep = |name: &str| {
            required.contains(&name)
                || endpoint == Endpoint::Responses && matches!(name, "model" | "input")
        };
        for name in fields.keys().filter(|name| !keep(name)) {
            let alone: serde_json::Map<String, Value> = fields
                .iter()
                .filter(|(key, _)| keep(key) || *key == name)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            let mut without = fields.clone();
            without.remove(name);
            found.push(Sound { endpoint, required, body: Value::Object(alone) });
            found.push(Sound { endpoint, required, body: Value::Object(without) });
        }
        found.push(Sound { endpoint, required, body: full });
    }
    found
}
