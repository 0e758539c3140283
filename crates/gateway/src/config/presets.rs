//! Well-known providers: what `kind = "groq"` and the like fill in.

use mainstay_core::policy::ProviderKind;

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
}

const fn preset(
    kind: &'static str,
    base_url: &'static str,
    key_variable: Option<&'static str>,
) -> Preset {
    let base_url = Some(base_url);
    Preset { kind, speaks: ProviderKind::Compatible, base_url, key_variable, prefill: false }
}

/// The word after `kind =` that stands for the built-in simulator.
pub(super) const SIMULATOR: &str = "sim";

/// Every kind. Sources: each provider's own page on OpenAI compatibility or its API reference
/// (base URL, name of the key's variable), as read in 2026-11.
pub const PRESETS: &[Preset] = &[
    Preset {
        speaks: ProviderKind::OpenAi,
        // Source: OpenAI API reference, "Authentication", read 2026-11.
        ..preset("openai", "https://api.openai.com/v1", Some("OPENAI_API_KEY"))
    },
    Preset {
        kind: "azure",
        speaks: ProviderKind::Azure,
        base_url: None,
        // Source: Azure OpenAI in Microsoft Foundry, quickstart, read 2026-11.
        key_variable: Some("AZURE_OPENAI_API_KEY"),
        prefill: false,
    },
    Preset {
        kind: "compatible",
        speaks: ProviderKind::Compatible,
        base_url: None,
        key_variable: None,
        prefill: false,
    },
    Preset {
        kind: SIMULATOR,
        speaks: ProviderKind::Compatible,
        base_url: None,
        key_variable: None,
        prefill: false,
    },
    preset("anthropic", "https://api.anthropic.com/v1", Some("ANTHROPIC_API_KEY")),
    preset("cerebras", "https://api.cerebras.ai/v1", Some("CEREBRAS_API_KEY")),
    preset("deepseek", "https://api.deepseek.com/v1", Some("DEEPSEEK_API_KEY")),
    preset("fireworks", "https://api.fireworks.ai/inference/v1", Some("FIREWORKS_API_KEY")),
    preset(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        Some("GEMINI_API_KEY"),
    ),
    preset("groq", "https://api.groq.com/openai/v1", Some("GROQ_API_KEY")),
    preset("lmstudio", "http://127.0.0.1:1234/v1", None),
    preset("mistral", "https://api.mistral.ai/v1", Some("MISTRAL_API_KEY")),
    preset("ollama", "http://127.0.0.1:11434/v1", None),
    Preset {
        // Source: OpenRouter, "API overview", section on assistant prefill, read 2026-11.
        prefill: true,
        ..preset("openrouter", "https://openrouter.ai/api/v1", Some("OPENROUTER_API_KEY"))
    },
    preset("together", "https://api.together.xyz/v1", Some("TOGETHER_API_KEY")),
    preset("vllm", "http://127.0.0.1:8000/v1", None),
    preset("xai", "https://api.x.ai/v1", Some("XAI_API_KEY")),
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
