//! Configuration: what is accepted means what it says; what is refused is named with place and way out.

use std::time::Duration;

use mainstay_core::policy::{OpenFor, Recovery};
use proptest::prelude::*;

use super::*;

mod faults;

fn none() -> Environment {
    Environment::default()
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::from_pairs(pairs.iter().copied())
}

fn sound(text: &str) -> Config {
    match parse("mainstay.toml", text, &none()) {
        Ok(config) => config,
        Err(faults) => panic!("{}", listed(&faults)),
    }
}

fn listed(faults: &[ConfigFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_documented_name_is_accepted() {
    let all =
        environment(&[("OPENAI_API_KEY", "sk-1"), ("MAINSTAY_ADMIN_TOKEN", "0123456789abcdef")]);
    let text = include_str!("tests/everything.toml");
    let config = match parse("mainstay.toml", text, &all) {
        Ok(config) => config,
        Err(faults) => panic!("{}", listed(&faults)),
    };
    assert_eq!(config.access.len(), 3);
    assert!(config.warnings.is_empty(), "{}", listed(&config.warnings));
    assert_eq!(config.providers.len(), 3);
    let route = &config.routes[0].route;
    assert_eq!(route.policy.retry.attempts_max, 2);
    assert_eq!(route.policy.retry.attempts_per_call_max, 7, "from [policy.retry]");
    assert_eq!(route.policy.timeouts.first_content_soft, Duration::from_secs(5));
    assert_eq!(route.targets[1].model.as_deref(), Some("big-model"));
    assert_eq!(config.policy.breaker.open, OpenFor::Fixed(Duration::from_secs(60)));
    assert_eq!(config.policy.stream.recovery, Recovery::Continue);
    assert_eq!(config.prices[0].input, 2_500_000, "pico-USD a token");
    assert_eq!(config.prices[1].cached_input, config.prices[1].input);
    assert_eq!((config.prices[0].image, config.prices[0].request), (40_000_000_000, 1_000_000));
    assert!(config.budget.unpriced_free && !config.budget.shipped_prices);
    assert_eq!(config.alerts.limits.repeat, Some(Duration::from_hours(4)));
    assert_eq!(config.alerts.receivers[1].rules.len(), 2);
}

#[test]
fn every_key_of_the_table_is_read() {
    let text = include_str!("tests/everything.toml");
    for key in KEYS.iter().filter(|key| !key.shape.starts_with("table")) {
        let written =
            text.contains(&format!("{} = ", key.name)) || text.contains(&format!("{}=", key.name));
        assert!(written, "tests/everything.toml has no `{}` of [{}]", key.name, key.section);
    }
}

#[test]
fn without_a_file_the_environment_names_the_provider() {
    let with_key =
        environment(&[("OPENAI_API_KEY", " sk-1\n"), ("OPENAI_BASE_URL", "http://h:1/v1/")]);
    let config = load(None, &with_key).unwrap();
    let Upstream::Url(url) = &config.providers[0].upstream else { panic!("no URL") };
    assert_eq!(url.to_string(), "http://h:1/v1");
    assert_eq!(config.providers[0].api_keys[0].expose(), "sk-1");
    assert!(config.warnings.is_empty());

    assert!(load(None, &none()).unwrap().uses_simulator());

    let no_key = load(None, &environment(&[("OPENAI_BASE_URL", "http://h:1/v1")])).unwrap();
    assert!(no_key.uses_simulator());
    assert!(no_key.warnings[0].what.contains("OPENAI_API_KEY"));

    let wrong = environment(&[("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", "api.openai.com")]);
    assert!(load(None, &wrong).unwrap_err()[0].what.contains("OPENAI_BASE_URL"));
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = sound("");
    assert_eq!(config.policy, Policy::default());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.store_path(), Some(Path::new("mainstay.db")));
    // What the table of keys calls the default is the default: written out, it changes nothing.
    for (section, _) in SECTIONS {
        if !section.starts_with("policy.")
            && !["server", "admin", "store", "limits", "idempotency", "log", "records", "alerts"]
                .contains(&section)
        {
            continue;
        }
        let keys = KEYS.iter().filter(|key| key.section == section);
        let plain = |d: &str| {
            d.starts_with(['"', '[']) || d.parse::<f64>().is_ok() || d == "true" || d == "false"
        };
        let lines = keys
            .filter(|key| plain(key.default))
            .map(|key| format!("{} = {}\n", key.name, key.default));
        let text = format!("[{section}]\n{}", lines.collect::<String>());
        let mut written = sound(&text);
        written.file.clone_from(&config.file);
        assert_eq!(written, config, "{text}");
    }
}

#[test]
fn variables_are_filled_in_and_unset_ones_count_as_absent() {
    let text = "[[provider]]\nname = \"${NAME}\"\nbase_url = \"http://${HOST}:9/v1\"\napi_key = \"${UNSET}\"\n\
                headers = { x-note = \"$${HOST}\" }\n";
    let config = parse("f", text, &environment(&[("NAME", "mine"), ("HOST", "h")])).unwrap();
    let provider = &config.providers[0];
    assert_eq!(provider.name, "mine");
    assert_eq!(provider.upstream, Upstream::Url("http://h:9/v1".parse().unwrap()));
    assert_eq!(provider.headers[0].1.to_str().unwrap(), "${HOST}");
    assert!(provider.api_keys.is_empty());
}

#[test]
fn presets_fill_url_and_key() {
    let keys = environment(&[("GROQ_API_KEY", "gsk_1")]);
    let config = parse("f", "[[provider]]\nkind = \"groq\"\n", &keys).unwrap();
    let provider = &config.providers[0];
    assert_eq!(provider.name, "groq");
    assert_eq!(provider.api_keys[0].expose(), "gsk_1");
    assert_eq!(provider.upstream, Upstream::Url("https://api.groq.com/openai/v1".parse().unwrap()));
    assert!(config.warnings.is_empty(), "{}", listed(&config.warnings));
}

#[test]
fn every_starter_file_is_sound() {
    for preset in PRESETS {
        let text = starter(preset.kind).unwrap();
        let keys = preset.key_variable.map(|name| (name, "k"));
        let config = parse("f", &text, &Environment::from_pairs(keys));
        let config = config.unwrap_or_else(|faults| panic!("{}: {}", preset.kind, listed(&faults)));
        assert!(config.warnings.is_empty(), "{}: {}", preset.kind, listed(&config.warnings));
        assert_eq!(config.providers[0].name, preset.kind);
    }
    assert_eq!(starter("nobody"), None);
}

#[test]
fn a_starter_file_says_what_is_known_and_its_windows_can_be_switched_on() {
    for preset in PRESETS.iter().filter(|preset| preset.is_known()) {
        let text = starter(preset.kind).unwrap();
        let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "#").collect();
        let said = words.join(" ");
        for (what, says) in preset.told() {
            assert!(said.contains(&format!("{what}: {says}")), "{} {what}: {text}", preset.kind);
        }
        assert!(said.contains(&format!("auth: {}", preset.auth())), "{}", preset.kind);
        let mut told = text.lines().filter(|line| line.starts_with("#   "));
        assert!(told.all(|line| line.chars().count() <= 100), "{text}");
        if preset.windows.is_empty() {
            continue;
        }
        let on =
            text.replace("# [provider.windows]", "[provider.windows]").replace("\n# \"", "\n\"");
        // A line of the file over each of the preset's.
        let smaller = on.replace("\" = ", "\" = 1");
        let config =
            parse("f", &smaller, &Environment::default()).map_err(|faults| listed(&faults));
        let windows = config.unwrap().providers[0].windows.clone();
        for (model, tokens) in preset.windows {
            let written: u64 = format!("1{tokens}").parse().unwrap();
            assert_eq!(windows[*model], written, "{} {model}", preset.kind);
        }
    }
}

#[test]
fn presets_bring_windows_and_a_line_of_the_file_wins() {
    let config = sound(
        "[[provider]]\nkind = \"deepseek\"\nwindows = { deepseek-v4-pro = 64000, own = 8000 }\n",
    );
    let window = |model| config.providers[0].window(model);
    for (model, tokens) in [
        ("deepseek-flash", Some(1_000_000)),
        ("deepseek-v4-pro", Some(64_000)),
        ("own", Some(8_000)),
        ("gpt-4o", Some(128_000)),
        ("deepseek-unheard-of", None),
    ] {
        assert_eq!(window(model), tokens, "{model}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let text = "[admin]\ntoken = \"SECRET-token-0123456789\"\n[store]\nurl = \"postgres://u:SECRET@h/d\"\n\
                [shared]\nurl = \"redis://:SECRET@h\"\n[[provider]]\nname = \"p\"\nbase_url = \"http://h/v1\"\n\
                api_keys = [\"SECRET1\"]\nproxy = \"http://u:SECRET@proxy:1\"\nheaders = { x-key = \"SECRET2\" }\n";
    let shown = format!("{:?}", sound(text));
    assert!(!shown.contains("SECRET"), "{shown}");
}

fn resolved(config: &Config, model: &str) -> Vec<String> {
    let engine = mainstay::Engine::new(crate::engine_spec(config, None));
    engine
        .resolve(model)
        .into_iter()
        .map(|(provider, model)| format!("{provider}: {model}"))
        .collect()
}

#[test]
fn a_model_is_resolved_by_route_then_name_then_list_then_the_rest() {
    let config = sound(
        "[[provider]]\nname = \"a\"\nbase_url = \"http://a/v1\"\nmodel_map = { \"gpt-4o\" = \"gpt-4o-x\" }\n\
         [[provider]]\nname = \"b\"\nbase_url = \"http://b/v1\"\nmodels = [\"llama-*\"]\n\
         [[provider]]\nname = \"c\"\nbase_url = \"http://c/v1\"\n\
         [[route]]\nmodel = \"gpt-*\"\ntargets = [\"a\", { target = \"b/llama-3\", weight = 3 }]\nstrategy = \"weighted\"\n",
    );
    let cases = [
        ("gpt-4o", &["a: gpt-4o-x", "b: llama-3"][..]),
        ("a/gpt-4o", &["a: gpt-4o-x"]),
        ("b/llama-2", &["b: llama-2"]),
        // No such model at b; a takes every other name.
        ("b/other", &["a: b/other"]),
        ("llama-9", &["b: llama-9"]),
        // The first provider without a list, and no second one behind it.
        ("mixtral", &["a: mixtral"]),
        ("c/mixtral", &["c: mixtral"]),
        ("c/", &["a: c/"]),
    ];
    for (model, targets) in cases {
        assert_eq!(resolved(&config, model), targets, "{model}");
    }
}

#[test]
fn a_model_that_nobody_names_has_no_targets() {
    let config =
        sound("[[provider]]\nname = \"a\"\nbase_url = \"http://a/v1\"\nmodels = [\"m\"]\n");
    assert!(resolved(&config, "other").is_empty());
    assert!(resolved(&config, "a/other").is_empty());
    assert_eq!(resolved(&config, "a/m"), ["a: m"]);
}

#[test]
fn the_command_line_wins_and_is_checked() {
    let with = |listen: Option<&str>, admin: Option<&str>, insecure| {
        let overrides = Overrides {
            listen: listen.map(str::to_owned),
            admin_listen: admin.map(str::to_owned),
            insecure,
        };
        sound("").with_overrides(&overrides)
    };
    assert_eq!(with(Some(":9000"), None, false).unwrap().server.listen.to_string(), "0.0.0.0:9000");
    assert!(with(Some("nonsense"), None, false).is_err());
    assert!(with(Some("127.0.0.1:8081"), None, false).is_err(), "the admin plane's port");
    assert!(with(None, Some("0.0.0.0:8081"), false).is_err());
    assert!(with(None, Some("0.0.0.0:8081"), true).is_ok());
    let open = sound("[server]\nauth = \"open\"\n");
    let everywhere = Overrides { listen: Some(":8080".into()), ..Overrides::default() };
    assert!(open.with_overrides(&everywhere).is_err());
}

#[test]
fn the_file_is_looked_for_in_order() {
    let pairs = environment(&[("MAINSTAY_CONFIG", "/etc/m.toml")]);
    assert_eq!(locate(Some(Path::new("x.toml")), &pairs), Some("x.toml".into()));
    assert_eq!(locate(None, &pairs), Some("/etc/m.toml".into()));
}

#[test]
fn files_that_are_named_and_absent_are_found_before_start() {
    let config = sound(
        "[[provider]]\nname = \"p\"\nbase_url = \"http://h/v1\"\nca_file = \"/no/such.pem\"\n",
    );
    let faults = check_files(&config);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].line, Some(1));
    assert!(faults[0].what.contains("/no/such.pem"), "{}", faults[0]);
}

#[test]
fn an_unreadable_file_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let absent = load(Some(&folder.path().join("none.toml")), &none()).unwrap_err();
    assert!(absent[0].to_string().contains("could not read"), "{}", absent[0]);
    let path = folder.path().join("latin1.toml");
    std::fs::write(&path, b"[server]\nlisten = \"\xff\"\n").unwrap();
    assert!(load(Some(&path), &none()).unwrap_err()[0].what.contains("not UTF-8"));
}

#[test]
fn the_settings_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    if std::env::var_os("MAINSTAY_WRITE_DOCS").is_some() {
        std::fs::write(path, settings_page()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    let hint = "run the test with MAINSTAY_WRITE_DOCS=1 to write docs/settings.md";
    assert!(page == settings_page(), "{hint}");
    for key in KEYS.iter().filter(|key| !key.section.is_empty()) {
        assert!(page.contains(&format!("| `{}` |", key.name)), "{} is missing", key.name);
    }
}

#[test]
fn the_page_of_providers_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");
    if std::env::var_os("MAINSTAY_WRITE_DOCS").is_some() {
        std::fs::write(path, page_of_providers()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    let hint = "run the test with MAINSTAY_WRITE_DOCS=1 to write docs/providers.md";
    assert!(page == page_of_providers(), "{hint}");
    for kind in [
        "azure",
        "groq",
        "mistral",
        "together",
        "openrouter",
        "gemini",
        "anthropic",
        "deepseek",
        "xai",
        "vllm",
        "sglang",
        "llamacpp",
        "ollama",
        "litellm",
    ] {
        let (_, section) = page.split_once(&format!("\n## `{kind}`\n")).expect(kind);
        let section = section.split("\n## ").next().unwrap_or_default();
        for row in ["base URL", "auth", "limits", "errors", "refuses", "windows"] {
            let cells = section.lines().find_map(|line| line.strip_prefix(&format!("| {row} | ")));
            let cells = cells.unwrap_or_else(|| panic!("{kind} has no {row}"));
            let (says, source) = cells.trim_end_matches(" |").rsplit_once(" | ").expect(row);
            assert!(!says.is_empty(), "{kind}: {row}");
            let (who, from) = source.split_once(": ").expect(row);
            assert!(["own", "reported", "**not verified**"].contains(&who), "{kind} {row}: {who}");
            assert!(from.len() > 5, "{kind} {row}: {from}");
        }
    }
}

#[test]
fn what_a_provider_refuses_is_left_out_unless_the_file_says_otherwise() {
    let keys = environment(&[("MISTRAL_API_KEY", "k")]);
    let config = parse("f", "[[provider]]\nkind = \"mistral\"\n", &keys).unwrap();
    let provider = &config.providers[0];
    assert!(provider.omit.iter().any(|name| name == "store"), "{:?}", provider.omit);
    assert_eq!(provider.rename["max_completion_tokens"], "max_tokens");
    let text = "[[provider]]\nkind = \"mistral\"\nomit = [\"x\"]\nrename = { a = \"b\" }\n";
    let config = parse("f", text, &keys).unwrap();
    assert_eq!(config.providers[0].omit, ["x"]);
    assert_eq!(config.providers[0].rename.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,200}") {
        let _ = parse("f", &text, &none());
    }

    #[test]
    fn any_value_in_any_place_is_read_without_panic(
        key in 0..KEYS.len(), value in any_value(), more in 0..KEYS.len(), other in any_value(),
    ) {
        let line = |key: &Key, value: &str| {
            let section = match key.section {
                "" => return format!("{} = {value}\n", key.name),
                "route.policy" => "[[route]]\n[route.policy]".to_owned(),
                "route.target" => "[[route]]\ntargets = [{ target = 1 }]\n[route.x]".to_owned(),
                s if LISTS_OF.contains(&s) => format!("[[{s}]]"),
                s if s.starts_with("provider.") => format!("[[provider]]\n[{s}]"),
                s => format!("[{s}]"),
            };
            format!("{section}\n{} = {value}\n", key.name)
        };
        let text = format!("{}{}", line(&KEYS[key], &value), line(&KEYS[more], &other));
        if let Err(faults) = parse("f", &text, &none()) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(!fault.what.is_empty() && !fault.why.is_empty() && !fault.fix.is_empty());
                prop_assert!(!fault.what.contains('\n'));
            }
        }
    }
}

const LISTS_OF: [&str; 6] = keys::LISTS;

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}").replace("NaN", "nan")),
        any::<bool>().prop_map(|b| b.to_string()),
        "[a-z0-9$ {}/:.*€-]{0,24}".prop_map(|text| format!("\"{text}\"")),
        "[0-9]{1,20}(ms|s|m|h|d|MiB|B)".prop_map(|text| format!("\"{text}\"")),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("[[1], \"a/b\", { target = \"a/\" }]".to_owned()),
        Just("{ a = 1, \"b\" = \"${X}\", c = {} }".to_owned()),
        Just("1979-05-27".to_owned()),
    ]
}
