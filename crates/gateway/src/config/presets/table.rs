//! The presets themselves. Each fact carries who says so; see [`super::facts::Source`].

use mainstay_core::policy::ProviderKind;

use super::facts::{Fact, Facts, Source, own, reported, unverified};
use super::{Preset, SIMULATOR, windows};

const fn preset(
    kind: &'static str,
    base_url: &'static str,
    key_variable: Option<&'static str>,
    facts: Facts,
) -> Preset {
    Preset { base_url: Some(base_url), key_variable, facts, ..plain(kind) }
}

const fn plain(kind: &'static str) -> Preset {
    Preset {
        kind,
        speaks: ProviderKind::Compatible,
        base_url: None,
        key_variable: None,
        prefill: false,
        omit: &[],
        rename: &[],
        windows: &[],
        facts: Facts::NONE,
    }
}

/// Windows that are collected by others from the provider's own page.
const fn collected(says: &'static str) -> Fact {
    reported(says, "LiteLLM 1.110.2, which names the provider's page of each model, 2026-11")
}

/// Every kind.
pub const PRESETS: &[Preset] = &[
    OPENAI,
    AZURE,
    plain("compatible"),
    plain(SIMULATOR),
    ANTHROPIC,
    CEREBRAS,
    DEEPSEEK,
    preset(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        Some("FIREWORKS_API_KEY"),
        Facts::NONE,
    ),
    GEMINI,
    GROQ,
    LITELLM,
    LLAMACPP,
    preset("lmstudio", "http://127.0.0.1:1234/v1", None, Facts::NONE),
    MISTRAL,
    OLLAMA,
    OPENROUTER,
    SGLANG,
    TOGETHER,
    VLLM,
    XAI,
];

const OPENAI: Preset = Preset {
    speaks: ProviderKind::OpenAi,
    ..preset(
        "openai",
        "https://api.openai.com/v1",
        Some("OPENAI_API_KEY"),
        Facts {
            place: Source::Own("openai 3.52.0 (PyPI, 2026-11-16)"),
            limits: own(
                "`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`: counts a minute, resets as Go durations (`6m0s`) until full; `…-project-tokens`; `retry-after` s, `retry-after-ms`",
                "rate limit guide; the last two: openai 3.52.0, `_base_client.py`",
            ),
            errors: own(
                "`{\"error\":{message,type,param,code}}`",
                "error guide, API description 2.3.0",
            ),
            refuses: own(
                "`max_tokens` on reasoning models",
                "API description 2.3.0: not compatible with o-series models",
            ),
            windows: own(
                "the built-in table (`crates/tokens/src/models.rs`)",
                "pages of models, 2026-11",
            ),
        },
    )
};

const AZURE: Preset = Preset {
    speaks: ProviderKind::Azure,
    key_variable: Some("AZURE_OPENAI_API_KEY"),
    facts: Facts {
        place: Source::Own("openai 3.52.0 (PyPI), `lib/azure.py`; Azure OpenAI quickstart"),
        limits: reported(
            "`x-ratelimit-remaining-{requests,tokens}` as counts, `x-ratelimit-reset-tokens` in whole seconds; `-1` and `0` where it does not count; `retry-after` (up to 86400 s), `retry-after-ms`",
            "learn.microsoft.com/answers 5625878 (2025-11-17); TinyLLM#17, openai-dotnet#838",
        ),
        errors: reported(
            "`{\"error\":{code,message}}` with the status as a string in `code`; no `type`, no `param`; `content_filter` with `innererror`",
            "BotSharp#386, openai-dotnet#838",
        ),
        refuses: unverified(
            "what its API version does not know",
            "no page says so in general; `config init` writes version 2024-10-21",
        ),
        windows: own(
            "the built-in table where a deployment has its model's name or `model_map` gives it one that has; else `windows`",
            "openai 3.52.0, `lib/azure.py`: what is called is a deployment",
        ),
    },
    ..plain("azure")
};

const ANTHROPIC: Preset = Preset {
    windows: windows::ANTHROPIC,
    ..preset(
        "anthropic",
        "https://api.anthropic.com/v1",
        Some("ANTHROPIC_API_KEY"),
        Facts {
            place: Source::Own("platform.claude.com/docs, OpenAI SDK compatibility"),
            limits: own(
                "here OpenAI's names: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; on its own API `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`: counts a minute, resets as RFC 3339; `retry-after` s",
                "platform.claude.com/docs, OpenAI SDK compatibility (header compatibility); rate limits",
            ),
            errors: reported(
                "`{\"error\":{code,message,type,param}}`; a 429 may say `invalid_request_error`; 529 is an overload; `x-should-retry`",
                "OpenManus#746, anthropic-sdk-typescript#616; 529: anthropic 2.14.0 (PyPI)",
            ),
            refuses: own(
                "hardly anything: most of what it does not know is ignored; `n` must be 1",
                "platform.claude.com/docs, OpenAI SDK compatibility",
            ),
            windows: collected("`GET /v1/models` tells `max_input_tokens` (anthropic 2.14.0)"),
        },
    )
};

const CEREBRAS: Preset = Preset {
    windows: windows::CEREBRAS,
    ..preset(
        "cerebras",
        "https://api.cerebras.ai/v1",
        Some("CEREBRAS_API_KEY"),
        Facts {
            place: Source::Own("inference-docs.cerebras.ai"),
            limits: own(
                "`x-ratelimit-{limit,remaining,reset}-requests-day` and `-tokens-minute`, resets in seconds",
                "inference-docs.cerebras.ai, support/rate-limits, 2026-11",
            ),
            errors: own(
                "as OpenAI; codes `token_quota_exceeded`, `request_quota_exceeded`",
                "inference-docs.cerebras.ai, 2026-11",
            ),
            refuses: unverified("not known", "no page read says what it refuses"),
            windows: collected(""),
        },
    )
};

const DEEPSEEK: Preset = Preset {
    windows: windows::DEEPSEEK,
    ..preset(
        "deepseek",
        "https://api.deepseek.com/v1",
        Some("DEEPSEEK_API_KEY"),
        Facts {
            place: Source::Reported(
                "body in flutter_gpt_box#213; LiteLLM 1.110.2; its own pages leave `/v1` out",
            ),
            limits: own(
                "no headers; calls at once are limited for the account and model (500 and 2500), beyond which 429; under load it keeps the connection open with empty lines, in streams with comments, and closes it after 10 minutes",
                "api-docs.deepseek.com/quick_start/rate_limit",
            ),
            errors: reported(
                "as OpenAI; 402 means no balance, 422 a wrong parameter",
                "bodies: flutter_gpt_box#213, Newelle#404 (2026-07); statuses: own, api-docs.deepseek.com/quick_start/error_codes",
            ),
            refuses: reported(
                "role `developer`; in thinking mode a named tool in `tool_choice`, and an answer with tool calls that comes back without its `reasoning_content`",
                "9router#773 (2026-05), awesome-deepseek-integration#598 (2026-04), Newelle#404 (2026-07)",
            ),
            windows: collected(""),
        },
    )
};

const GEMINI: Preset = Preset {
    omit: &["store", "metadata"],
    windows: windows::GEMINI,
    ..preset(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        Some("GEMINI_API_KEY"),
        Facts {
            place: Source::Own("ai.google.dev/gemini-api/docs/openai"),
            limits: reported(
                "none; the wait stands in the body (`RetryInfo`) and its text",
                "gemini-cli#12823, #14811 (2025-12)",
            ),
            errors: reported(
                "an array: `[{\"error\":{code,message,status}}]`, `code` a number, `status` upper-case words; no `type`, no `param`",
                "PromptFuzz#42, gemini-cli#14811 (2025-12)",
            ),
            refuses: reported(
                "every field that it does not know, with 400 `Unknown name`",
                "PromptFuzz#42, openai-agents-python#443",
            ),
            windows: collected("of the prompt; answers have a limit of their own"),
        },
    )
};

const GROQ: Preset = Preset {
    windows: windows::GROQ,
    ..preset(
        "groq",
        "https://api.groq.com/openai/v1",
        Some("GROQ_API_KEY"),
        Facts {
            place: Source::Own("console.groq.com/docs/openai; groq 1.7.0 (PyPI)"),
            limits: own(
                "OpenAI's names; requests are counted a day, tokens a minute; resets as durations (`2m59.56s`); `retry-after` s on a 429 only; some organizations have limits of input and of output tokens that no header tells",
                "console.groq.com/docs/rate-limits",
            ),
            errors: reported(
                "as OpenAI without `param`; 498 means no capacity",
                "aider#3265; 498: own, console.groq.com/docs/errors, 2026-11",
            ),
            refuses: own(
                "`n` other than 1 with 400; `logprobs`, `top_logprobs`, `logit_bias`, `messages[].name`; `metadata` and `store` do nothing",
                "groq 1.7.0 (PyPI), made from its API description; console.groq.com/docs/openai",
            ),
            windows: collected("`GET /v1/models` tells `context_window`"),
        },
    )
};

const LITELLM: Preset = preset(
    "litellm",
    "http://127.0.0.1:4000/v1",
    Some("LITELLM_API_KEY"),
    Facts {
        place: Source::Own("docs.litellm.ai, proxy quick start"),
        limits: own(
            "OpenAI's names: those of its key or, without any, of the provider behind it",
            "docs.litellm.ai, proxy/response_headers, 2026-11",
        ),
        errors: own(
            "as OpenAI with the status as a string in `code`; `budget_exceeded` as type",
            "litellm 1.110.2 (PyPI), `proxy/_types.py`",
        ),
        refuses: own(
            "what the model behind it does not take, unless it runs with `drop_params`",
            "docs.litellm.ai, completion/drop_params, 2026-11",
        ),
        windows: own(
            "none built in: its names are its own; see its `/model/info`",
            "litellm 1.110.2 (PyPI)",
        ),
    },
);

// Its own port is 8080, which is ours too: the file must say where it is.
const LLAMACPP: Preset = Preset {
    facts: Facts {
        place: Source::Own("llama.cpp, tools/server"),
        limits: own("none", "llama.cpp, tools/server/server-common.cpp at 006639c"),
        errors: own(
            "`{\"error\":{code,message,type}}`, `code` a number; 503 `unavailable_error` while a model loads; 400 `exceed_context_size_error` with `n_prompt_tokens` and `n_ctx`",
            "llama.cpp, tools/server/server-common.cpp at 006639c",
        ),
        refuses: unverified("not known", "its reading of fields was not read"),
        windows: own(
            "none built in: what it was started with (`-c`), told by its refusals as `n_ctx`",
            "llama.cpp, tools/server/server-common.cpp at 006639c",
        ),
    },
    ..plain("llamacpp")
};

const MISTRAL: Preset = Preset {
    omit: &["stream_options", "store", "user", "service_tier", "safety_identifier"],
    rename: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
    windows: windows::MISTRAL,
    ..preset(
        "mistral",
        "https://api.mistral.ai/v1",
        Some("MISTRAL_API_KEY"),
        Facts {
            place: Source::Own("mistralai 3.7.0 (PyPI); docs.mistral.ai"),
            limits: reported(
                "`x-ratelimit-{limit,remaining}-req-minute` and `-tokens-minute`: counts; `x-ratelimit-tokens-query-cost`; `retry-after` s",
                "client-ts#169, platform-docs-public#7; `retry-after`: own, docs.mistral.ai",
            ),
            errors: own(
                "flat: `{object:\"error\",message,type,param,code}`, `message` may be a list of FastAPI's `detail`; 429 with code 1300 also when there is no capacity (reported)",
                "docs.mistral.ai/resources/error-glossary; lists and 1300: eca#231, anon-kode#53",
            ),
            refuses: own(
                "every field that its description does not have, with 422 `extra_forbidden` (reported: eca#231)",
                "mistralai 3.7.0 (PyPI), `chatcompletionrequest.py`",
            ),
            windows: collected("`GET /v1/models` tells `max_context_length`"),
        },
    )
};

const OLLAMA: Preset = preset(
    "ollama",
    "http://127.0.0.1:11434/v1",
    None,
    Facts {
        place: Source::Own("Ollama, its page on OpenAI compatibility"),
        limits: own("none", "Ollama, openai/openai.go at 0098875"),
        errors: own(
            "`{\"error\":{message,type,param,code}}`, `param` and `code` null; type `invalid_request_error`, `not_found_error`, else `api_error`",
            "Ollama, openai/openai.go at 0098875",
        ),
        refuses: own(
            "nothing by name: what its request has no place for is not read",
            "Ollama, openai/openai.go at 0098875",
        ),
        windows: unverified(
            "none built in: what it was started with; longer prompts are cut, not refused",
            "not read in its code",
        ),
    },
);

const OPENROUTER: Preset = Preset {
    prefill: true,
    ..preset(
        "openrouter",
        "https://openrouter.ai/api/v1",
        Some("OPENROUTER_API_KEY"),
        Facts {
            place: Source::Own("openrouter.ai/docs, API overview"),
            limits: own(
                "`x-ratelimit-{limit,remaining,reset}` on refusals only: counts, reset as milliseconds since 1970 (reported); `retry-after` s on 429 and 503",
                "openrouter.ai/docs/api_reference/limits and errors-and-debugging",
            ),
            errors: own(
                "`{\"error\":{code,message,metadata}}`, `code` a number; 402 no credits, 403 moderation or a guardrail; after the start inside status 200, with finish reason `error`",
                "openrouter.ai/docs/api_reference/errors-and-debugging",
            ),
            refuses: own(
                "nothing: it leaves out what the model behind it does not take",
                "openrouter.ai/docs, API parameters, 2026-11",
            ),
            windows: own(
                "OpenAI's models by the built-in table; of all others `GET /v1/models` tells `context_length`",
                "openrouter.ai/docs, models, 2026-11",
            ),
        },
    )
};

const SGLANG: Preset = preset(
    "sglang",
    "http://127.0.0.1:30000/v1",
    None,
    Facts {
        place: Source::Own("docs.sglang.ai, OpenAI-compatible server"),
        limits: unverified("none", "no code that sends any was found"),
        errors: own(
            "flat: `{object:\"error\",message,type,param,code}`, `code` a number",
            "SGLang, srt/entrypoints/openai/protocol.py at 004c82e",
        ),
        refuses: own(
            "nothing by name: what its request has no place for is ignored",
            "SGLang, srt/entrypoints/openai/protocol.py at 004c82e",
        ),
        windows: own(
            "none built in: `GET /v1/models` tells `max_model_len`",
            "SGLang, srt/entrypoints/openai/protocol.py at 004c82e",
        ),
    },
);

const TOGETHER: Preset = Preset {
    windows: windows::TOGETHER,
    ..preset(
        "together",
        "https://api.together.ai/v1",
        Some("TOGETHER_API_KEY"),
        Facts {
            place: Source::Own("together 3.1.1 (PyPI); before it was api.together.xyz"),
            limits: reported(
                "`x-ratelimit-{limit,remaining,reset}` for requests, `x-tokenlimit-{limit,remaining}` for tokens; the rate moves with what was used lately",
                "names: docs.together.ai as of 2025; that the rate moves: own, docs.together.ai/docs/rate-limits",
            ),
            errors: own(
                "as OpenAI; 402 a spending limit, 403 also a prompt that is too long, 429 above the rate, 503 no capacity below it",
                "docs.together.ai/docs/error-codes and /docs/rate-limits",
            ),
            refuses: unverified(
                "not known",
                "its description (together 3.1.1) lacks `stream_options`, `user`, `max_completion_tokens`; whether it refuses them is not said",
            ),
            windows: collected("`GET /v1/models` tells `context_length`"),
        },
    )
};

const VLLM: Preset = preset(
    "vllm",
    "http://127.0.0.1:8000/v1",
    None,
    Facts {
        place: Source::Own("docs.vllm.ai, OpenAI-compatible server"),
        limits: unverified("none", "no code that sends any was found"),
        errors: own(
            "`{\"error\":{message,type,param,code}}`, `code` a number; 401 is `{\"error\":\"Unauthorized\"}`; in a stream an event with `error`, then `[DONE]`",
            "vLLM, entrypoints/openai/engine/protocol.py at 040a2cc; 401: api_server.py",
        ),
        refuses: own(
            "nothing by name: other fields are allowed, and told in its log",
            "vLLM, entrypoints/openai/engine/protocol.py at 040a2cc",
        ),
        windows: own(
            "none built in: `GET /v1/models` tells `max_model_len`",
            "vLLM, entrypoints/openai/engine/protocol.py at 040a2cc",
        ),
    },
);

const XAI: Preset = Preset {
    windows: windows::XAI,
    ..preset(
        "xai",
        "https://api.x.ai/v1",
        Some("XAI_API_KEY"),
        Facts {
            place: Source::Own("docs.x.ai"),
            limits: own(
                "no headers documented; limits are requests a second (a sixtieth of the minute's) and tokens a minute",
                "docs.x.ai, rate limits, as of 2026-06-24",
            ),
            errors: reported(
                "flat: `{code,error}`, both strings, `code` the status or a sentence; a wrong key is a 400; 429 also when credits are used up",
                "uni-api#105, openclaw#12910 (2026-02), vibecad#4 (2026-07), continue#10373 (2026-02); 400: own, docs.x.ai/developers/debugging",
            ),
            refuses: own(
                "`presence_penalty`, `frequency_penalty` and `stop` on reasoning models, with 400 `Argument not supported`",
                "docs.x.ai, reasoning models; the text: uni-api#105",
            ),
            windows: collected(""),
        },
    )
};
