//! Where a provider tells of its state, and where it takes questions.

/// Where to turn with a provider's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Help {
    /// The word after `kind =` in the configuration.
    pub kind: &'static str,
    /// The end of its host's name.
    host: &'static str,
    /// Its page about outages.
    pub status_page: &'static str,
    /// Where it takes questions, where that is known.
    pub support: Option<&'static str>,
}

const fn help(
    kind: &'static str,
    host: &'static str,
    status_page: &'static str,
    support: Option<&'static str>,
) -> Help {
    Help { kind, host, status_page, support }
}

/// The providers. Each address was looked up on 2026-11-28 in what the provider itself has published; where
/// it was found only with others, it is of the provider's own domain, and the comment says so:
///
/// - OpenAI: help center, article 6897179 "APIError" (status); its overload error of old (support).
/// - Azure: Microsoft Learn, "What is Azure Service Health" (status) and "Manage an Azure support request".
/// - Anthropic: the foot of each page of platform.claude.com/docs (both).
/// - Fireworks: documentation, "Inference error codes", 503. Groq: the text of its own 503.
/// - Mistral: articles of help.mistral.ai (support). Together: documentation, "Error Codes" (support).
/// - xAI: docs.x.ai, "Debugging Errors".
/// - Found with others only: the status pages of Cerebras (figures read off it on 2026-07-22), and of DeepSeek,
///   Mistral, OpenRouter and Together (a list of such pages checked on 2026-09-08).
#[rustfmt::skip]
pub const HELPS: &[Help] = &[
    help("openai", "api.openai.com", "https://status.openai.com", Some("https://help.openai.com")),
    help("azure", "openai.azure.com", "https://azure.status.microsoft", Some("Help + support in https://portal.azure.com")),
    help("anthropic", "api.anthropic.com", "https://status.claude.com", Some("https://support.claude.com")),
    help("cerebras", "api.cerebras.ai", "https://status.cerebras.ai", None),
    help("deepseek", "api.deepseek.com", "https://status.deepseek.com", None),
    help("fireworks", "api.fireworks.ai", "https://status.fireworks.ai", None),
    help("groq", "api.groq.com", "https://groqstatus.com", None),
    help("mistral", "api.mistral.ai", "https://status.mistral.ai", Some("https://help.mistral.ai")),
    help("openrouter", "openrouter.ai", "https://status.openrouter.ai", None),
    help("together", "api.together.ai", "https://status.together.ai", Some("https://www.together.ai/contact")),
    help("together", "api.together.xyz", "https://status.together.ai", Some("https://www.together.ai/contact")),
    help("xai", "api.x.ai", "https://status.x.ai", None),
];

/// Help for a provider at this host.
pub fn help_at(host: &str) -> Option<&'static Help> {
    let is = |help: &&Help| {
        host.strip_suffix(help.host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    HELPS.iter().find(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PRESETS;

    #[test]
    fn help_is_found_by_host_and_only_by_the_whole_name() {
        assert_eq!(help_at("api.openai.com").map(|help| help.kind), Some("openai"));
        assert_eq!(help_at("mine.openai.azure.com").map(|help| help.kind), Some("azure"));
        assert_eq!(help_at("evilapi.openai.com"), None);
        assert_eq!(help_at("127.0.0.1"), None);
    }

    #[test]
    fn each_help_is_of_a_preset_and_leads_to_its_host() {
        for help in HELPS {
            let preset = PRESETS.iter().find(|preset| preset.kind == help.kind);
            let preset = preset.unwrap_or_else(|| panic!("{}", help.kind));
            // A provider may have moved; who still calls its earlier address is helped, too.
            let mut of_it = HELPS.iter().filter(|other| other.kind == help.kind);
            let leads = |url: &str| of_it.any(|one| url.contains(one.host));
            assert!(preset.base_url.is_none_or(leads), "{}", help.kind);
            assert!(help.status_page.starts_with("https://"), "{}", help.kind);
        }
    }
}
