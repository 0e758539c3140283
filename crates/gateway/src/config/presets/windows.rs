//! Context windows by provider: prompt and answer together, in tokens, by the provider's names.
//!
//! Source: each provider's own page of models as of 2026-11, as LiteLLM 1.110.2 (2026-11) collects
//! them with the address of each page. Left out: models that were to be shut down before 2026-12, and
//! names such as `…-latest` that come to mean another model, whose window nobody would correct here.
//! Of Groq's Llama models: LobeChat 1.143.3, and Groq's own package 1.7.0 that still names them.

/// Windows by the names of one provider's models.
type Windows = &'static [(&'static str, u64)];

pub(super) const ANTHROPIC: Windows = &[
    ("claude-fable-5", 1_000_000),
    ("claude-fable-5-1", 1_000_000),
    ("claude-haiku-4-5", 200_000),
    ("claude-haiku-4-5-20251001", 200_000),
    ("claude-haiku-5-5", 1_000_000),
    ("claude-mythos-5", 1_000_000),
    ("claude-mythos-5-1", 1_000_000),
    ("claude-opus-4-5", 200_000),
    ("claude-opus-4-5-20251101", 200_000),
    ("claude-opus-4-6", 1_000_000),
    ("claude-opus-4-7", 1_000_000),
    ("claude-opus-4-8", 1_000_000),
    ("claude-opus-5", 1_000_000),
    ("claude-opus-5-5", 1_000_000),
    ("claude-sonnet-4-6", 1_000_000),
    ("claude-sonnet-5", 1_000_000),
    ("claude-sonnet-5-5", 1_000_000),
];

pub(super) const CEREBRAS: Windows =
    &[("gemma-4-31b", 131_072), ("gpt-oss-120b", 131_072), ("qwen-3.8-27b", 65_536)];

pub(super) const DEEPSEEK: Windows = &[
    ("deepseek-flash", 1_000_000),
    ("deepseek-v4-flash", 1_000_000),
    ("deepseek-v4-flash-vision-exp", 1_000_000),
    ("deepseek-v4-pro", 1_000_000),
];

/// Of Gemini's models the prompt alone: their answers have a limit of their own.
pub(super) const GEMINI: Windows = &[
    ("gemini-2.5-flash-lite", 1_048_576),
    ("gemini-3-flash-preview", 1_048_576),
    ("gemini-3.1-flash-lite", 1_048_576),
    ("gemini-3.1-pro-preview", 1_048_576),
    ("gemini-3.5-flash", 1_048_576),
    ("gemini-3.5-flash-lite", 1_048_576),
    ("gemini-3.6-flash", 1_048_576),
    ("gemini-3.7-flash", 1_048_576),
    ("gemini-3.8-flash", 1_048_576),
    ("gemini-4-argon", 1_048_576),
    ("gemini-4-hydrogen", 1_048_576),
    ("gemma-4-26b-a4b-it", 262_144),
    ("gemma-4-31b-it", 262_144),
];

pub(super) const GROQ: Windows = &[
    ("llama-3.1-8b-instant", 131_072),
    ("llama-3.3-70b-versatile", 131_072),
    ("openai/gpt-oss-120b", 131_072),
    ("openai/gpt-oss-20b", 131_072),
    ("openai/gpt-oss-safeguard-20b", 131_072),
    ("qwen/qwen3.8-27b", 131_072),
];

pub(super) const MISTRAL: Windows = &[
    ("codestral-2508", 128_000),
    ("ministral-14b-2512", 262_144),
    ("ministral-3b-2512", 131_072),
    ("ministral-8b-2512", 262_144),
    ("mistral-large-2512", 262_144),
    ("mistral-large-3", 262_144),
    ("mistral-large-4", 1_048_576),
    ("mistral-medium-2604", 262_144),
    ("mistral-medium-3-5", 262_144),
    ("mistral-small-2603", 262_144),
    ("voxtral-small-2507", 32_768),
];

pub(super) const TOGETHER: Windows = &[
    ("Qwen/Qwen2.5-7B-Instruct-Turbo", 32_768),
    ("Qwen/Qwen3.5-9B", 262_144),
    ("Qwen/Qwen3.6-Plus", 1_000_000),
    ("Qwen/Qwen3.7-Max", 1_000_000),
    ("Qwen/Qwen3.7-Plus", 1_000_000),
    ("Qwen/Qwen3.8-Flash", 1_000_000),
    ("deepseek-ai/DeepSeek-V4-Pro-0813", 1_048_576),
    ("deepseek-ai/DeepSeek-V4.1-Flash", 1_048_576),
    ("moonshotai/Kimi-K3", 1_048_576),
    ("moonshotai/Kimi-K3.1-Pro", 1_048_576),
    ("openai/gpt-oss-120b", 131_072),
    ("zai-org/GLM-4.6", 202_752),
    ("zai-org/GLM-5.2", 1_048_575),
    ("zai-org/GLM-5.3", 1_048_575),
];

pub(super) const XAI: Windows = &[
    ("grok-4.20", 1_000_000),
    ("grok-4.20-non-reasoning", 1_000_000),
    ("grok-4.20-reasoning", 1_000_000),
    ("grok-4.3", 1_000_000),
    ("grok-4.5", 500_000),
    ("grok-4.6", 500_000),
    ("grok-4.7", 500_000),
    ("grok-build-0.1", 256_000),
    ("grok-code-fast", 256_000),
];
