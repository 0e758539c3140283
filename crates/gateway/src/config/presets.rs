//! Well-known providers: what `kind = "groq"` and the like fill in.

use std::fmt::Write as _;

use mainstay_core::policy::ProviderKind;

/// Why writing to a string cannot fail.
pub(super) const TAKES: &str = "a string takes every text";

/// What a `kind` stands for.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The word after `kind =`.
    pub kind: &'static str,
    /// How it is spoken to.
    pub speaks: ProviderKind,
    /// Its base URL; `None`: the file must have one.
    pub base_url: Option<&'static str>,
    /// The variable its own documentation keeps the key in; `None`: it works without a key.
    pub key_variable: Option<&'static str>,
    /// Whether it continues an answer from an assistant message.
    pub prefill: bool,
    /// Fields that it refuses and that change nothing of the answer: they are left out.
    pub omit: &'static [&'static str],
    /// Fields that it has under another name.
    pub rename: &'static [(&'static str, &'static str)],
    /// What else is known of it, for people: [`page_of_providers`] tells it.
    pub(super) facts: Facts,
}

/// What is known of a provider. Where it is acted on stands in `docs/providers.md`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Names and units of the headers that tell limits.
    limits: &'static str,
    /// What its errors look like.
    errors: &'static str,
    /// Parameters that it refuses, and that are passed on because they change the answer.
    refuses: &'static str,
    /// Where all that comes from, with the date.
    source: &'static str,
}

const UNKNOWN: Facts = Facts { limits: "", errors: "", refuses: "", source: "" };

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
        facts: UNKNOWN,
    }
}

/// The word after `kind =` that stands for the built-in simulator.
pub(super) const SIMULATOR: &str = "sim";

/// Every kind. Sources of base URL and variable: each provider's own page on OpenAI compatibility or
/// its API reference, as read in 2026-11; of the rest: beside each.
pub const PRESETS: &[Preset] = &[
    Preset {
        speaks: ProviderKind::OpenAi,
        ..preset(
            "openai",
            "https://api.openai.com/v1",
            Some("OPENAI_API_KEY"),
            Facts {
                limits: "`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`: counts a minute, resets as Go durations (`6m0s`) until full; `…-project-tokens`; `retry-after` s, `retry-after-ms`",
                errors: "`{\"error\":{message,type,param,code}}`",
                refuses: "`max_tokens` on reasoning models",
                source: "OpenAI API reference, rate limit and error guides, 2026-11",
            },
        )
    },
    Preset {
        speaks: ProviderKind::Azure,
        key_variable: Some("AZURE_OPENAI_API_KEY"),
        facts: Facts {
            limits: "`x-ratelimit-remaining-{requests,tokens}` as counts, `x-ratelimit-reset-tokens` in whole seconds; `-1` where it does not count; `retry-after` (up to 86400 s), `retry-after-ms`",
            errors: "`{\"error\":{code,message}}` with the status as a string in `code`; no `type`, no `param`; `content_filter` with `innererror`",
            refuses: "what its API version does not know",
            source: "Azure OpenAI quickstart; TinyLLM#17, openai-dotnet#838, BotSharp#386, 2026-11",
        },
        ..plain("azure")
    },
    plain("compatible"),
    plain(SIMULATOR),
    preset(
        "anthropic",
        "https://api.anthropic.com/v1",
        Some("ANTHROPIC_API_KEY"),
        Facts {
            limits: "`anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`: counts a minute, resets as RFC 3339; `retry-after` s, `x-should-retry`",
            errors: "`{\"error\":{code,message,type,param}}`; a 429 may say `invalid_request_error`; 529 is an overload",
            refuses: "nothing: it ignores what it does not know",
            source: "Anthropic, OpenAI SDK compatibility and rate limits; OpenManus#746, anthropic-sdk-typescript#616, 2026-11",
        },
    ),
    preset(
        "cerebras",
        "https://api.cerebras.ai/v1",
        Some("CEREBRAS_API_KEY"),
        Facts {
            limits: "`x-ratelimit-{limit,remaining,reset}-requests-day` and `-tokens-minute`, resets in seconds",
            errors: "as OpenAI; codes `token_quota_exceeded`, `request_quota_exceeded`",
            refuses: "",
            source: "Cerebras inference docs, 2026-11",
        },
    ),
    preset(
        "deepseek",
        "https://api.deepseek.com/v1",
        Some("DEEPSEEK_API_KEY"),
        Facts {
            limits: "none: under load it keeps the connection open with comments",
            errors: "as OpenAI; 402 means no balance",
            refuses: "",
            source: "api-docs.deepseek.com, rate limit and error codes, 2026-11",
        },
    ),
    preset(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        Some("FIREWORKS_API_KEY"),
        UNKNOWN,
    ),
    Preset {
        omit: &["store", "metadata"],
        ..preset(
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            Some("GEMINI_API_KEY"),
            Facts {
                limits: "none; the wait stands in the body (`RetryInfo`) and its text",
                errors: "an array: `[{\"error\":{code,message,status}}]`, `code` a number, `status` upper-case words; no `type`, no `param`",
                refuses: "every field that it does not know, with 400 `Unknown name`",
                source: "Gemini API, OpenAI compatibility; gemini-cli#12823, openai-agents-python#443, 2026-11",
            },
        )
    },
    preset(
        "groq",
        "https://api.groq.com/openai/v1",
        Some("GROQ_API_KEY"),
        Facts {
            limits: "OpenAI's names; requests are counted a day, tokens a minute; resets as durations (`2m59.56s`); `retry-after` s on a 429 only",
            errors: "as OpenAI without `param`; 498 means no capacity",
            refuses: "`logprobs`, `top_logprobs`, `logit_bias`, `messages[].name`, `n` other than 1, with 400",
            source: "console.groq.com/docs/openai, /rate-limits, /errors, 2026-11",
        },
    ),
    preset(
        "litellm",
        "http://127.0.0.1:4000/v1",
        Some("LITELLM_API_KEY"),
        Facts {
            limits: "OpenAI's names: those of its key or, without any, of the provider behind it",
            errors: "as OpenAI with the status as a string in `code`; `budget_exceeded` as type",
            refuses: "what the model behind it does not take, unless it runs with `drop_params`",
            source: "docs.litellm.ai, proxy/response_headers, completion/drop_params, exception mapping, 2026-11",
        },
    ),
    // Its own port is 8080, which is ours too: the file must say where it is.
    Preset {
        facts: Facts {
            limits: "none",
            errors: "`{\"error\":{code,message,type}}`, `code` a number; 503 `unavailable_error` while a model loads; `exceed_context_size_error`",
            refuses: "",
            source: "llama.cpp, tools/server/server-common.cpp at 006639c, 2026-11",
        },
        ..plain("llamacpp")
    },
    preset("lmstudio", "http://127.0.0.1:1234/v1", None, UNKNOWN),
    Preset {
        omit: &["stream_options", "store", "user", "service_tier", "safety_identifier"],
        rename: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
        ..preset(
            "mistral",
            "https://api.mistral.ai/v1",
            Some("MISTRAL_API_KEY"),
            Facts {
                limits: "`x-ratelimit-{limit,remaining}-req-minute` and `-tokens-minute`: counts; `x-ratelimit-tokens-query-cost`",
                errors: "flat: `{object:\"error\",message,type,param,code}`, `message` may be a list of FastAPI's `detail`; 429 with code 1300 also when there is no capacity",
                refuses: "every field that it does not know, with 422 `extra_forbidden`",
                source: "Mistral API reference; client-ts#169, platform-docs-public#7, eca#231, anon-kode#53, 2026-11",
            },
        )
    },
    preset(
        "ollama",
        "http://127.0.0.1:11434/v1",
        None,
        Facts {
            limits: "none",
            errors: "`{\"error\":{message,type,param,code}}`, `param` and `code` null; type `api_error` for most",
            refuses: "",
            source: "Ollama, openai/openai.go at 0098875, 2026-11",
        },
    ),
    Preset {
        // Source: OpenRouter, "API overview", section on assistant prefill, read 2026-11.
        prefill: true,
        ..preset(
            "openrouter",
            "https://openrouter.ai/api/v1",
            Some("OPENROUTER_API_KEY"),
            Facts {
                limits: "`x-ratelimit-{limit,remaining,reset}`: counts, reset as milliseconds since 1970; `retry-after` s",
                errors: "`{\"error\":{code,message,metadata}}`, `code` a number; 402 no credits, 403 moderation; after the start inside status 200, with finish reason `error`",
                refuses: "nothing: it leaves out what the model behind it does not take",
                source: "openrouter.ai/docs, errors and debugging, limits, 2026-11",
            },
        )
    },
    preset(
        "sglang",
        "http://127.0.0.1:30000/v1",
        None,
        Facts {
            limits: "none",
            errors: "as vLLM",
            refuses: "nothing: it ignores what it does not know",
            source: "SGLang docs, OpenAI-compatible server, 2026-11",
        },
    ),
    preset(
        "together",
        "https://api.together.xyz/v1",
        Some("TOGETHER_API_KEY"),
        Facts {
            limits: "`x-ratelimit-{limit,remaining,reset}` for requests, `x-tokenlimit-{limit,remaining}` for tokens",
            errors: "as OpenAI; 503 for a model without capacity",
            refuses: "",
            source: "Together docs, rate limits and error codes, 2026-11",
        },
    ),
    preset(
        "vllm",
        "http://127.0.0.1:8000/v1",
        None,
        Facts {
            limits: "none",
            errors: "`{\"error\":{message,type,param,code}}`, `code` a number; 401 is `{\"error\":\"Unauthorized\"}`; in a stream an event with `error`, then `[DONE]`",
            refuses: "nothing: it ignores what it does not know",
            source: "vLLM, OpenAI-compatible server, 2026-11",
        },
    ),
    preset(
        "xai",
        "https://api.x.ai/v1",
        Some("XAI_API_KEY"),
        Facts {
            limits: "no headers documented; limits are requests a second (a sixtieth of the minute's) and tokens a minute",
            errors: "",
            refuses: "`presence_penalty`, `frequency_penalty` and `stop` on reasoning models, with 400",
            source: "docs.x.ai, rate limits; chat completions, limits of reasoning models, 2026-11",
        },
    ),
];

/// The preset of a kind.
pub(super) fn find(kind: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.kind == kind)
}

/// The table of kinds in `docs/settings.md`.
pub(super) fn page() -> String {
    let mut page = String::from(
        "\n## Kinds of providers\n\n| kind | base_url | key from, without `api_key` |\n| --- | --- | --- |\n",
    );
    for preset in PRESETS {
        let url = match preset.base_url {
            Some(url) => format!("`{url}`"),
            None if preset.kind == SIMULATOR => "the built-in simulator".to_owned(),
            None => "required".to_owned(),
        };
        let key = preset.key_variable.map_or_else(|| "none".to_owned(), |name| format!("`{name}`"));
        page.extend(["| `", preset.kind, "` | ", &url, " | ", &key, " |\n"]);
    }
    page
}

/// `docs/providers.md`, made from the table.
pub fn page_of_providers() -> String {
    let mut page = String::from(PROVIDERS_START);
    for preset in PRESETS.iter().filter(|preset| !preset.facts.source.is_empty()) {
        let Facts { limits, errors, refuses, source } = preset.facts;
        let or_none =
            |text: &str| if text.is_empty() { "not known".to_owned() } else { text.to_owned() };
        let url = preset.base_url.unwrap_or("where your `base_url` says");
        let auth = match preset.speaks {
            ProviderKind::Azure => "`api-key: …`",
            ProviderKind::OpenAi | ProviderKind::Compatible => "`Authorization: Bearer …`",
        };
        let key = preset
            .key_variable
            .map_or_else(|| "no key needed".to_owned(), |key| format!("key from `{key}`"));
        writeln!(page, "\n## `{}`\n\n- **Where:** {url}; {auth}, {key}.", preset.kind)
            .expect(TAKES);
        writeln!(page, "- **Limits:** {}.\n- **Errors:** {}.", or_none(limits), or_none(errors))
            .expect(TAKES);
        writeln!(page, "- **Refuses:** {}.", or_none(refuses)).expect(TAKES);
        if !preset.omit.is_empty() {
            writeln!(page, "- **Left out:** `{}`.", preset.omit.join("`, `")).expect(TAKES);
        }
        for (from, to) in preset.rename {
            writeln!(page, "- **Renamed:** `{from}` is sent as `{to}`.").expect(TAKES);
        }
        if preset.prefill {
            page.push_str("- **Prefill:** it goes on with an assistant message, so `recovery = \"continue\"` works.\n");
        }
        writeln!(page, "- **Source:** {source}.").expect(TAKES);
    }
    page
}

const PROVIDERS_START: &str = "\
# Providers

Made from the program's own table (`crates/gateway/src/config/presets.rs`); a test keeps it current. `mainstay config init --provider groq`
writes a configuration for any of them; `kind = \"groq\"` in a `[[provider]]` fills in what stands here, and each key can be set otherwise.

What is done with it:

- **Limits.** The names decide, not the provider: every header below is read from whoever sends it, with its unit. Where there is
  none, limits are learnt from refusals. See [policies/pacing.md](policies/pacing.md).
- **Errors.** Each shape below is read and classified by one table; the caller gets the provider's body as it came. See [policies/errors.md](policies/errors.md).
- **Parameters.** A field that changes nothing of the answer (who asks, what is kept, how usage is told) and that the provider refuses is
  *left out*; a field that it has under another name is *renamed*, unless the body has both. Everything else goes on as it came, and a refusal of
  the provider comes back as it came: to leave out what changes the answer would be to answer another question. `omit` and `rename` of
  a `[[provider]]` replace the lists below. A body is edited by cutting; every other byte keeps its form.
- **Windows** of models come from the built-in table by the model's name; `windows` of a `[[provider]]` adds to it. A call that cannot fit goes to a
  target with a larger window.
";
