//! Each fault, with its line, what it says and a way out.

use super::*;

const P: &str = "[[provider]]\nname = \"p\"\nbase_url = \"http://h/v1\"\n";

/// Text, line, severity, and words that must stand in the finding.
type Case = (&'static str, u32, Severity, &'static [&'static str]);

use Severity::{Error, Warning};

/// Findings in files without a provider.
const CASES: &[Case] = &[
    (
        "[server]\nlisen = \"x\"",
        2,
        Error,
        &["`server` has no key `lisen`", "did you mean `listen`?"],
    ),
    ("\n\n[servr]\n", 3, Error, &["the file has no key `servr`", "`server`"]),
    ("[server]\nnonsense = 1", 2, Error, &["known are", "`workers`"]),
    ("x = ", 1, Error, &["not TOML"]),
    ("[server]\nlisten = 8080", 2, Error, &["a whole number", "a string"]),
    ("[server]\nlisten = \"localhost\"", 2, Error, &["\"localhost\"", "127.0.0.1:8080"]),
    ("[server]\nworkers = 300", 2, Error, &["`server.workers` is 300", "0 to 256"]),
    ("[server]\nworkers = -1", 2, Error, &["is -1", "0 to 256"]),
    ("[server]\nauth = \"none\"", 2, Error, &["\"none\"", "`keys`, `open`, `pass`"]),
    ("[server]\nbody_max = \"2GiB\"", 2, Error, &["2GiB", "1KiB to 1GiB"]),
    ("[server]\nbody_max = \"64\"", 2, Error, &["\"64\"", "64MiB"]),
    ("[server]\nbuffers_max = \"1MiB\"", 1, Error, &["`server.buffers_max` is smaller"]),
    ("[server]\ncors = [\"example.com\"]", 2, Error, &["no origin", "https://"]),
    (
        "[server]\ntrusted_proxies = [\n\"10.0.0.0/8\",\n\"10.0.0.0/99\"]",
        4,
        Error,
        &["10.0.0.0/99", "CIDR"],
    ),
    ("[server.tls]\ncert = \"a.pem\"", 1, Error, &["one of `cert` and `key`"]),
    ("[server]\nauth = \"open\"\nlisten = \"0.0.0.0:1\"", 0, Error, &["\"open\"", "0.0.0.0:1"]),
    ("[server]\nlisten = \"127.0.0.1:8081\"", 0, Error, &["both port 8081"]),
    (
        "[server]\ncountry_header = \"cf-ipcountry\"",
        0,
        Warning,
        &["`server.trusted_proxies` is empty"],
    ),
    ("[admin]\ntoken = \"short\"", 2, Error, &["5 characters", "openssl rand"]),
    ("[store]\nurl = \"mysql://x\"", 2, Error, &["sqlite:PATH"]),
    ("[store]\nurl = \"postgres://u:p@h:x/d\"", 0, Error, &["no PostgreSQL URL", "%40"]),
    ("[store]\nurl = \"postgres://h/d?sslmode=x\"", 0, Error, &["verify-full"]),
    (
        "[server]\nauth = \"pass\"\n[[access]]\nkey = \"k\"\ncidr_deny = []",
        3,
        Error,
        &["keeps nobody out", "auth = \"pass\""],
    ),
    ("[shared]\nurl = \"http://x\"", 2, Error, &["redis://"]),
    (
        "[policy.retry]\nattempts_max = 0",
        2,
        Error,
        &["`policy.retry.attempts_max` is 0", "1 to 10"],
    ),
    ("[policy.retry]\nattempts_max = 8", 1, Error, &["is 8", "is 6", "attempts_per_call_max"]),
    ("[policy.retry]\nattempts_brown_out_max = 5", 2, Error, &["is 5", "6 to 40"]),
    ("[policy.retry]\nwait_max = \"2h\"", 2, Error, &["2h", "0s to 1h"]),
    ("[policy.retry]\nwait_max = 120", 2, Error, &["a whole number", "a string"]),
    ("[policy.retry]\nwait_max = \"120\"", 2, Error, &["\"120\"", "\"30s\""]),
    (
        "[policy.retry]\ntransient_base = \"10s\"",
        1,
        Error,
        &["transient_base` is 10s", "transient_cap` is 8s"],
    ),
    ("[policy.retry]\nin_flight_share = 1.5", 2, Error, &["1.5", "0.0 to 1.0"]),
    ("[policy.retry]\nin_flight_share = nan", 2, Error, &["nan", "0.0 to 1.0"]),
    ("[policy.breaker]\nopen = \"1ms\"", 2, Error, &["\"1ms\"", "adaptive"]),
    ("[policy.breaker]\nenabled = \"yes\"", 2, Error, &["true or false"]),
    (
        "[policy.timeouts]\nfirst_content_soft = \"60s\"\nfirst_content = \"30s\"",
        1,
        Error,
        &["first_content_soft` is 1m", "is 30s"],
    ),
    ("[policy.stream]\nrecovery = \"maybe\"", 2, Error, &["`verified`, `continue`, `error`"]),
    ("[policy]\nerorrs = {}", 2, Error, &["did you mean `errors`?"]),
    ("policy = 3", 1, Error, &["`policy` is a whole number", "a table"]),
    ("[provider]\nname = \"x\"", 1, Error, &["`[[provider]]` with two brackets"]),
    ("[[provider]]\nbase_url = \"http://h\"", 1, Error, &["no `name`"]),
    ("[[provider]]\nname = \"x\"", 1, Error, &["no `base_url`"]),
    ("[[provider]]\nname = \"a/b\"\nbase_url = \"http://h\"", 2, Error, &["\"a/b\"", "no name"]),
    (
        "[[provider]]\nname = \"x\"\nbase_url = \"${NO_SUCH}\"",
        3,
        Error,
        &["variable `NO_SUCH`", "export NO_SUCH="],
    ),
    ("[[provider]]\nname = \"x\"\nbase_url = \"${no\"", 3, Error, &["`${`"]),
    ("[[provider]]\nname = \"x\"\nbase_url = \"h:1/v1\"", 3, Error, &["no base URL", "http"]),
    ("[[provider]]\nkind = \"grok\"", 2, Error, &["\"grok\"", "did you mean \"groq\"?"]),
    ("[[provider]]\nkind = \"groq\"", 1, Warning, &["no credential", "`GROQ_API_KEY`"]),
    (
        "[[provider]]\nkind = \"azure\"\nbase_url = \"https://r.test\"\napi_key = \"k\"",
        1,
        Error,
        &["api_version"],
    ),
    (
        "[[provider]]\nname = \"me\"\nbase_url = \"http://localhost:8080/v1\"",
        1,
        Error,
        &["this gateway itself", "circle"],
    ),
    (
        "[[access]]\norg = \"a\"\nproject = \"b\"\ncidr_deny = [\"10.0.0.0/8\"]",
        1,
        Error,
        &["names 2 of"],
    ),
    ("[[access]]\norg = \"a\"", 1, Error, &["allows and denies nothing"]),
    (
        "[[access]]\norg = \"a\"\ncountries_deny = [\"DE\"]",
        1,
        Error,
        &["nothing tells a caller's country", "geoip_db"],
    ),
    (
        "[[access]]\norg = \"a\"\ncountries_deny = [\"Germany\"]",
        3,
        Error,
        &["\"Germany\"", "ISO 3166"],
    ),
    (
        "[[access]]\norg = \"a\"\ncidr_deny = []\ncidr_allow = []",
        1,
        Error,
        &["both `cidr_allow` and `cidr_deny`"],
    ),
    ("[[price]]\ninput_per_1m = \"1\"", 1, Error, &["no `model`"]),
    ("[[price]]\nmodel = \"m\"\ninput_per_1m = 2.5", 3, Error, &["a decimal number", "a string"]),
    ("[[price]]\nmodel = \"m\"\ninput_per_1m = \"-1\"", 3, Error, &["\"-1\"", "\"2.50\""]),
    ("[[price]]\nmodel = \"m\"\n[[price]]\nmodel = \"m\"", 4, Error, &["second price for `m`"]),
];

/// Findings below [`P`], which has three lines.
const WITH_PROVIDER: &[Case] = &[
    ("api_key = \"a b\"", 4, Error, &["API key of `provider[1]`", "copy the key again"]),
    ("api_key = \"a\"\napi_keys = [\"b\"]", 1, Error, &["both `api_key` and `api_keys`"]),
    ("proxy = \"socks5://x:1\"", 4, Error, &["`http://host:port`"]),
    ("headers = { host = \"x\" }", 4, Error, &["`provider[1].headers.host` cannot be sent"]),
    ("windows = { m = 0 }", 4, Error, &["`provider[1].windows.m` is 0"]),
    ("limits = { rpm = 0 }", 4, Error, &["`provider[1].limits.rpm` is 0", "1 to 1000000000"]),
    ("limits = { rmp = 5 }", 4, Error, &["did you mean `rpm`?"]),
    ("limits = { shared = \"some\" }", 4, Error, &["\"some\"", "`told`, `apart`, `keys`"]),
    ("limits = { pool = \"a/b\" }", 4, Error, &["`provider[1].limits.pool` is \"a/b\""]),
    ("limits = { pool = \"a\", shared = \"apart\" }", 4, Error, &["a `pool` and `shared"]),
    ("limits = { groups = [{ rpm = 5 }] }", 4, Error, &["`provider[1].limits.groups[1]` has no"]),
    ("limits = { groups = [{ model = \"m\" }] }", 4, Error, &["did you mean `models`?"]),
    (
        "limits = { groups = [{ models = [\"a*\"] }, { models = [\"ab\"] }] }",
        4,
        Warning,
        &["`ab` is in two groups", "group 1 takes it"],
    ),
    (
        "limits = { pool = \"acme\", rpm = 5 }\n[[provider]]\nname = \"q\"\nbase_url = \"http://h\"\nlimits = { pool = \"acme\" }",
        5,
        Error,
        &["`p` and `q` are in pool `acme`", "line 1"],
    ),
    ("model_map = { a = \"b\", b = \"a\" }", 1, Warning, &["a cycle", "a to b to a"]),
    ("model_map = { a = \"b\", b = \"c\" }", 1, Warning, &["a chain"]),
    (
        "[[provider]]\nname = \"p\"\nbase_url = \"http://i\"",
        4,
        Error,
        &["second provider named `p`", "line 1"],
    ),
    ("[[route]]\nmodel = \"m\"", 4, Error, &["`route[1]` has no targets"]),
    ("[[route]]\nmodel = \"m\"\ntargets = []", 4, Error, &["`route[1]` has no targets"]),
    ("[[route]]\ntargets = [\"p\"]", 4, Error, &["no `model`"]),
    (
        "[[route]]\nmodel = \"m\"\ntargets = [\n\"p/m\",\n\"pp/m\"]",
        8,
        Error,
        &["no provider of this file", "did you mean \"p\"?"],
    ),
    ("[[route]]\nmodel = \"m\"\ntargets = [\"p/\"]", 6, Error, &["no model after the slash"]),
    ("[[route]]\nmodel = \"m*m\"\ntargets = [\"p\"]", 5, Error, &["`*`", "last character"]),
    ("[[route]]\nmodel = \"m\"\ntargets = [\"p\", \"p\"]", 6, Warning, &["a target twice"]),
    (
        "[[route]]\nmodel = \"m\"\ntargets = [{ target = \"p\", weight = 0 }]",
        6,
        Error,
        &["weight` is 0"],
    ),
    (
        "[[route]]\nmodel = \"m\"\ntargets = [{ target = \"p\", weight = 2 }]",
        6,
        Warning,
        &["strategy is not \"weighted\""],
    ),
    (
        "[[route]]\nmodel = \"m\"\ntargets = [\"p\"]\npolicy = { retry = { atempts_max = 1 } }",
        7,
        Error,
        &["did you mean `attempts_max`?"],
    ),
    (
        "[[route]]\nmodel = \"m\"\ntargets = [\"p\"]\npolicy = { errors = { codes = \"openai\" } }",
        7,
        Error,
        &["has no key `errors`"],
    ),
    (
        "[[route]]\nmodel = \"m\"\ntargets = [\"p\"]\n[[route]]\nmodel = \"m\"\ntargets = [\"p\"]",
        7,
        Warning,
        &["never reached", "line 4"],
    ),
    (
        "[[route]]\nmodel = \"gpt-*\"\ntargets = [\"p\"]\n[[route]]\nmodel = \"gpt-4o\"\ntargets = [\"p\"]",
        7,
        Warning,
        &["`gpt-4o` is never reached", "move it above"],
    ),
    (
        "models = [\"a\"]\n[[route]]\nmodel = \"b\"\ntargets = [\"p/b\"]",
        7,
        Warning,
        &["does not list the model `b`"],
    ),
    (
        "windows = { big = 200000, small = 8000 }\n[[route]]\nmodel = \"big\"\ntargets = [\"p/big\",\n\"p/small\"]",
        8,
        Warning,
        &["`p/small` takes 8000 tokens", "`p/big` takes 200000"],
    ),
];

#[test]
fn each_fault_is_named_with_its_line_and_a_way_out() {
    for (text, line, severity, wanted) in CASES {
        check("", text, *line, *severity, wanted);
    }
    for (text, line, severity, wanted) in WITH_PROVIDER {
        check(P, text, *line, *severity, wanted);
    }
}

#[track_caller]
fn check(before: &str, text: &str, line: u32, severity: Severity, wanted: &[&str]) {
    let whole = format!("{before}{text}\n");
    let faults = match parse("mainstay.toml", &whole, &none()) {
        Ok(config) => config.warnings,
        Err(faults) => faults,
    };
    let line = (line > 0).then_some(line);
    let fits = |fault: &&ConfigFault| {
        let shown = fault.to_string();
        fault.severity == severity
            && fault.line == line
            && wanted.iter().all(|word| shown.contains(word))
    };
    assert!(
        faults.iter().any(|fault| fits(&fault)),
        "{whole}\nwanted {line:?} {wanted:?}, got\n{}",
        listed(&faults)
    );
}

#[test]
fn faults_never_show_what_may_be_a_secret() {
    let text = "[admin]\ntoken = \"SECRET\"\n[store]\nurl = \"SECRET\"\n[shared]\nurl = \"SECRET\"\n\
                [[provider]]\nname = \"p\"\nbase_url = \"http://u:SECRET@h\"\napi_key = \"SECRET with blanks\"\n\
                proxy = \"SECRET\"\nheaders = { x-key = \"SECRET\\n\" }\n";
    let faults = parse("f", text, &none()).unwrap_err();
    assert_eq!(faults.len(), 7, "{}", listed(&faults));
    assert!(!listed(&faults).contains("SECRET"), "{}", listed(&faults));
}

#[test]
fn one_reading_finds_everything() {
    let text =
        "[server]\nlisten = 1\nworkers = 999\n[policy.retry]\nattempts_max = 0\nwait_max = \"x\"\n";
    let lines: Vec<_> = parse("f", text, &none()).unwrap_err().iter().map(|f| f.line).collect();
    assert_eq!(lines, [Some(2), Some(3), Some(5), Some(6)]);
}

#[test]
fn a_fault_reads_like_this() {
    let fault =
        &parse("mainstay.toml", "[policy.retry]\nattempts_max = 0", &none()).unwrap_err()[0];
    let wanted = "error: `policy.retry.attempts_max` is 0, but must be from 1 to 10\n   at: mainstay.toml:2\n  \
                  why: values outside that range cannot work as meant\n  fix: choose a value from 1 to 10";
    assert_eq!(fault.to_string(), wanted);
}
