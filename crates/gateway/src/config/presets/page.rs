//! `docs/providers.md`, made from the table.

use std::fmt::Write as _;

use super::facts::Source;
use super::{PRESETS, Preset, TAKES};

/// `docs/providers.md`, made from the table.
pub fn page_of_providers() -> String {
    let mut page = String::from(START);
    for preset in PRESETS.iter().filter(|preset| preset.is_known()) {
        section(&mut page, preset);
    }
    page
}

fn section(page: &mut String, preset: &Preset) {
    let url = preset
        .base_url
        .map_or_else(|| "where your `base_url` says".to_owned(), |url| format!("`{url}`"));
    let key = preset
        .key_variable
        .map_or_else(|| "no key needed".to_owned(), |key| format!("key from `{key}`"));
    writeln!(page, "\n## `{}`\n\n| | | source |\n| --- | --- | --- |", preset.kind).expect(TAKES);
    let facts = &preset.facts;
    row(page, "base URL", &url, facts.place);
    row(page, "auth", &format!("`{}`, {key}", preset.auth()), facts.place);
    row(page, "limits", facts.limits.says, facts.limits.source);
    row(page, "errors", facts.errors.says, facts.errors.source);
    row(page, "refuses", facts.refuses.says, facts.refuses.source);
    if !preset.omit.is_empty() {
        row(page, "left out", &listed(preset.omit), facts.refuses.source);
    }
    for (from, to) in preset.rename {
        row(page, "renamed", &format!("`{from}` is sent as `{to}`"), facts.refuses.source);
    }
    if preset.prefill {
        let says = "it goes on with an assistant message, so `recovery = \"continue\"` works";
        row(page, "prefill", says, facts.place);
    }
    let windows: Vec<String> =
        preset.windows.iter().map(|(model, tokens)| format!("`{model}` {tokens}")).collect();
    let says = match (windows.is_empty(), facts.windows.says) {
        (true, says) => says.to_owned(),
        (false, "") => windows.join(", "),
        (false, says) => format!("{}; {says}", windows.join(", ")),
    };
    row(page, "windows", &says, facts.windows.source);
}

fn listed(names: &[&str]) -> String {
    format!("`{}`", names.join("`, `"))
}

fn row(page: &mut String, what: &str, says: &str, source: Source) {
    let source = match source {
        Source::Own(from) => format!("own: {from}"),
        Source::Reported(from) => format!("reported: {from}"),
        Source::Unverified(why) => format!("**not verified**: {why}"),
    };
    writeln!(page, "| {what} | {says} | {source} |").expect(TAKES);
}

const START: &str = "\
# Providers

Made from the program's own table (`crates/gateway/src/config/presets/table.rs`); a test keeps it current. `mainstay config init --provider groq`
writes a configuration for any of them; `kind = \"groq\"` in a `[[provider]]` fills in what stands here, and each key can be set otherwise.

What is done with it:

- **Limits.** The names decide, not the provider: every header below is read from whoever sends it, with its unit. Where there is
  none, limits are learnt from refusals. See [policies/pacing.md](policies/pacing.md).
- **Errors.** Each shape below is read and classified by one table; the caller gets the provider's body as it came. See [policies/errors.md](policies/errors.md).
- **Parameters.** A field that changes nothing of the answer (who asks, what is kept, how usage is told) and that the provider refuses is
  *left out*; a field that it has under another name is *renamed*, unless the body has both. Everything else goes on as it came, and a refusal of
  the provider comes back as it came: to leave out what changes the answer would be to answer another question. `omit` and `rename` of
  a `[[provider]]` replace the lists below. A body is edited by cutting; every other byte keeps its form.
- **Windows** in tokens, by the provider's name of the model: those below first, then the built-in table of OpenAI's models by the model's own name
  (`openai/gpt-4o` is `gpt-4o`); a line in `windows` of a `[[provider]]` wins. A call that cannot fit goes to a target with a larger window; a window
  that is not known counts as large enough, and the provider decides.

Who says so: **own** is the provider's documentation, package or code; **reported** is what others got from it and published; **not verified** is
what nobody was found to say, and nothing is decided by it. All of it was read on 2026-11-28, unless a date stands beside it; what was read are
stored copies of public pages and the newest packages of that day, no provider was called.
";
