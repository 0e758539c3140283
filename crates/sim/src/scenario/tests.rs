use super::*;

#[test]
fn an_empty_scenario_has_neither_limits_nor_faults() {
    let scenario = Scenario::from_toml("").unwrap();
    assert_eq!(scenario.default.limits.rpm, None);
    assert_eq!(scenario.default.latency, Latency::default());
    assert!(scenario.troubles.is_empty() && scenario.keys.is_none());
}

#[test]
fn toml_and_json_say_the_same() {
    let toml = Scenario::from_toml(
        r#"
        seed = 9
        [latency]
        headers = ["50ms", "150ms"]
        [limits]
        rpm = 1200
        burst = 6
        dialect = "text_only"
        [[model]]
        name = "small"
        context_window = 4096
        limits = { rpm = 60 }
        [[fault]]
        fault = "stall"
        for = "2s"
        after = 5
        share = 0.1
        models = ["gpt-*"]
        "#,
    )
    .unwrap();
    let json = Scenario::from_json(
        r#"{"seed":9,"latency":{"headers":[0.05,0.15]},"limits":{"rpm":1200,"burst":"6s","dialect":"text_only"},
            "model":[{"name":"small","context_window":4096,"limits":{"rpm":60}}],
            "fault":[{"fault":"stall","for":2,"after":5,"share":0.1,"models":["gpt-*"]}]}"#,
    )
    .unwrap();
    assert_eq!(format!("{toml:?}"), format!("{json:?}"));
    assert_eq!(toml.rules_for("small").limits.rpm, Some(60.0));
    assert_eq!(toml.rules_for("small").limits.dialect, toml.rules_for("other").limits.dialect);
    let What::Fault(order) = &toml.troubles[0].what else { panic!("a fault was asked for") };
    assert_eq!((order.fault, order.after, order.time), (Fault::Stall, 5, Duration::from_secs(2)));
}

#[track_caller]
fn check(text: &str, line: Option<usize>, part: &str) {
    let error = Scenario::from_toml(text).unwrap_err();
    assert_eq!(error.line, line, "{error}");
    assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    assert!(!error.fix.is_empty() && !error.why.is_empty());
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_what_would_do() {
    check("seed = 1\nsed = 2", Some(2), "did you mean `seed`?");
    check("[limits]\nrmp = 60", Some(2), "did you mean `rpm`?");
    check("seed = ", Some(1), "could not be read");
    check("[latency]\nheaders = \"5 lightyears\"", Some(2), "5 lightyears");
    check("[latency]\nheaders = [\"2s\", \"1s\"]", Some(2), "the shorter first");
    check("[limits]\nrpm = 0", None, "`limits.rpm` is 0");
    check("[limits]\nrpm = nan", None, "`limits.rpm` is NaN");
    check("[limits]\ninitial = 2.0", None, "`limits.initial` is 2");
    check("[limits]\nmeter = \"window\"", None, "fixed_window");
    check("[limits]\ndialect = \"azur\"", None, "did you mean \"azure\"?");
    check("limits_per = \"modl\"", None, "did you mean \"model\"?");
    check("[[fault]]\nfault = \"stal\"", None, "did you mean \"stall\"?");
    check("[[fault]]\nkind = \"overload\"", None, "did you mean \"overloaded\"?");
    check(
        "[[fault]]\nfault = \"error_in_200\"\nerror = \"conection\"",
        None,
        "did you mean \"connection\"?",
    );
    check("[[fault]]\nstatus = 200", None, "`status` is 200");
    check("[[fault]]\nshare = 0.5", None, "needs one of `fault`, `kind`, `status`");
    check("[[fault]]\nstatus = 500\nkind = \"overloaded\"", None, "exactly once");
    check("[[fault]]\nstatus = 500\nshare = 1.5", None, "`share` is 1.5");
    check("[[fault]]\nstatus = 500\nnth = 0", None, "counted from 1");
    check("[[fault]]\nstatus = 500\nfrom = 5\nto = 5", None, "`to` is not after `from`");
    check("[[fault]]\nstatus = 500\nendpoints = [\"chats\"]", None, "did you mean \"chat\"?");
    check("[answer]\nwords = 1000000", None, "the most is 100000");
}

#[test]
fn durations_are_read_with_and_without_units() {
    let ms = |n| Some(Duration::from_millis(n));
    for (text, want) in [
        ("250ms", ms(250)),
        ("5s", ms(5_000)),
        ("1.5", ms(1_500)),
        ("2m", ms(120_000)),
        ("0", ms(0)),
    ] {
        assert_eq!(duration_of(text), want, "{text:?}");
    }
    for text in ["", "s", "-1s", "1x", "nan", "inf", "1e99", "9999d"] {
        assert_eq!(duration_of(text), None, "{text:?}");
    }
}

#[test]
fn a_trouble_hits_by_count_time_model_and_endpoint() {
    let of = |text: &str| {
        Scenario::from_toml(&format!("[[fault]]\nstatus = 500\n{text}")).unwrap().troubles.remove(0)
    };
    let mut dice = Dice::new(1);
    let mut hits = |text: &str| {
        let trouble = of(text);
        (1..=6).filter(|&count| trouble.hits(count, &mut dice)).collect::<Vec<u64>>()
    };
    assert_eq!(hits("nth = 3"), [3]);
    assert_eq!(hits("every = 2"), [2, 4, 6]);
    assert_eq!(hits("first = 2"), [1, 2]);
    assert_eq!(hits("share = 0.0"), [0u64; 0]);
    assert_eq!(hits(""), [1, 2, 3, 4, 5, 6]);

    let at = Duration::from_secs;
    let window = of("from = 2\nto = \"4s\"");
    assert_eq!(
        (1..=4).filter(|&s| window.concerns("m", Api::Chat, at(s))).collect::<Vec<u64>>(),
        [2, 3]
    );
    let named = of("models = [\"gpt-*\", \"o1\"]\nendpoints = [\"chat\"]");
    assert!(named.concerns("gpt-4o", Api::Chat, at(0)) && named.concerns("o1", Api::Chat, at(0)));
    assert!(
        !named.concerns("o1-mini", Api::Chat, at(0))
            && !named.concerns("gpt-4o", Api::Responses, at(0))
    );
}

#[test]
fn only_a_refusal_of_everything_for_some_time_closes_the_door() {
    let windows = |text: &str| {
        let scenario =
            Scenario::from_toml(&format!("[[fault]]\nfault = \"refuse\"\n{text}")).unwrap();
        scenario.refusals().collect::<Vec<_>>()
    };
    assert_eq!(windows("from = 1\nto = 3"), [(Duration::from_secs(1), Duration::from_secs(3))]);
    for partial in ["", "to = 3\nshare = 0.5", "to = 3\nnth = 2", "to = 3\nmodels = [\"m\"]"] {
        assert!(windows(partial).is_empty(), "{partial:?}");
    }
}
