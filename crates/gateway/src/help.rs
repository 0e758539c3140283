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

/// The providers. Sources, 2026-11: Groq's 503 names groqstatus.com, Fireworks' error table names
/// status.fireworks.ai; the others as public monitors of such pages list them or as commonly known,
/// not read off the providers' own pages. The same holds for support addresses.
#[rustfmt::skip]
pub const HELPS: &[Help] = &[
    help("openai", "api.openai.com", "https://status.openai.com", Some("https://help.openai.com")),
    help("azure", "openai.azure.com", "https://azure.status.microsoft/status", Some("https://portal.azure.com (Help + support)")),
    help("anthropic", "api.anthropic.com", "https://status.claude.com", Some("https://support.claude.com")),
    help("cerebras", "api.cerebras.ai", "https://status.cerebras.ai", None),
    help("deepseek", "api.deepseek.com", "https://status.deepseek.com", None),
    help("fireworks", "api.fireworks.ai", "https://status.fireworks.ai", None),
    help("groq", "api.groq.com", "https://groqstatus.com", None),
    help("mistral", "api.mistral.ai", "https://status.mistral.ai", Some("https://help.mistral.ai")),
    help("openrouter", "openrouter.ai", "https://status.openrouter.ai", None),
    help("together", "api.together.xyz", "https://status.together.ai", None),
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
            assert!(preset.base_url.is_none_or(|url| url.contains(help.host)), "{}", help.kind);
            assert!(help.status_page.starts_with("https://"), "{}", help.kind);
        }
    }
}
