//! A configuration to start from: small, commented, and sound as it stands.

use std::fmt::Write as _;

use super::presets::{self, Preset, SIMULATOR, TAKES};

/// The text of a configuration for a provider of this kind. `None`: there is no such kind.
pub fn starter(kind: &str) -> Option<String> {
    let preset = presets::find(kind)?;
    let mut text = String::from(HEAD);
    text.push_str(&provider(preset));
    text.push_str(TAIL);
    Some(text)
}

fn provider(preset: &Preset) -> String {
    let kind = preset.kind;
    let mut lines = String::new();
    known(&mut lines, preset);
    write!(lines, "[[provider]]\nname = \"{kind}\"\nkind = \"{kind}\"\n").expect(TAKES);
    match preset.base_url {
        Some(url) => lines.extend(["# base_url = \"", url, "\"\n"]),
        None if kind == SIMULATOR => {
            lines.push_str("# The built-in simulator: every documented error on demand.\n");
        }
        None if kind == "azure" => {
            lines.push_str("base_url = \"https://RESOURCE.openai.azure.com\"   # your resource\n");
            lines.push_str("api_version = \"2024-10-21\"\n");
        }
        None => lines.push_str("base_url = \"http://127.0.0.1:8000/v1\"   # your server\n"),
    }
    match preset.key_variable {
        Some(variable) => lines.extend(["api_key = \"${", variable, "}\"\n"]),
        None => lines.push_str("# api_key = \"${MY_KEY}\"\n"),
    }
    if !preset.omit.is_empty() {
        let names: Vec<String> = preset.omit.iter().map(|name| format!("\"{name}\"")).collect();
        writeln!(lines, "# omit = [{}]   # it refuses them", names.join(", ")).expect(TAKES);
    }
    if !preset.rename.is_empty() {
        let pairs = preset.rename.iter().map(|(from, to)| format!("{from} = \"{to}\""));
        let pairs: Vec<String> = pairs.collect();
        writeln!(lines, "# rename = {{ {} }}", pairs.join(", ")).expect(TAKES);
    }
    lines.push_str(
        "# models = [\"…\"]                       # absent: every model no other provider names\n\
         # limits = { rpm = 1000, tpm = 200000 }  # caps; the rest is learnt from its answers\n",
    );
    if !preset.windows.is_empty() {
        lines.push_str(
            "# [provider.windows]                      # known already; a line of yours wins\n",
        );
        for (model, tokens) in preset.windows {
            writeln!(lines, "# \"{model}\" = {tokens}").expect(TAKES);
        }
    }
    lines
}

/// What is known of the provider, as comments.
fn known(lines: &mut String, preset: &Preset) {
    if !preset.is_known() {
        return;
    }
    writeln!(lines, "# Known of {}; who says so, and when: docs/providers.md", preset.kind)
        .expect(TAKES);
    for (what, says) in [("auth", preset.auth())].into_iter().chain(preset.told()) {
        wrapped(lines, &format!("{what}: {says}"));
    }
}

/// A text in comment lines that fit a terminal.
fn wrapped(lines: &mut String, text: &str) {
    const WIDTH: usize = 100;
    let mut line = String::from("#  ");
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.extend([line.as_str(), "\n"]);
            line = String::from("#    ");
        }
        line.extend([" ", word]);
    }
    lines.extend([line.as_str(), "\n"]);
}

const HEAD: &str = "\
# Mainstay's configuration. Every key is optional; lines that begin with `# ` and a key show its
# default or an example. All keys: docs/settings.md. Check this file: mainstay config check FILE

[server]
listen = \"127.0.0.1:8080\"
# auth = \"keys\"                       # keys | open (loopback only) | pass (the caller's key)
# body_max = \"64MiB\"

[admin]
listen = \"127.0.0.1:8081\"
token = \"${MAINSTAY_ADMIN_TOKEN}\"     # unset: made at first start and shown once

[store]
url = \"sqlite:mainstay.db\"

";

const TAIL: &str = "
# A second provider, and a route that falls back to it:
#
# [[provider]]
# name = \"spare\"
# base_url = \"http://127.0.0.1:9911/v1\"
#
# [[route]]
# model = \"gpt-4o\"
# targets = [\"openai/gpt-4o\", \"spare/big-model\"]

# [policy.retry]
# attempts_max = 3
# wait_max = \"2m\"

# [policy.timeouts]
# first_content = \"1m\"
# idle = \"30s\"
# total = \"10m\"
";
