//! Several gateways send to one account: together they use its limit as one would, and few attempts are
//! refused. The marks are those of several machines: 95 % of the limit, 1.15 attempts a call.

use mainstay_sim::lab::{self, Gateways, Note, ProviderScene, Scene, Telling, Traffic};

const USED_MIN: f64 = 0.95;
const ATTEMPTS_MAX: f64 = 1.15;

/// What came of a scene with three seeds, in the mean.
struct Marks {
    /// What was used of the limit in the middle four fifths of the answers: what a fleet that starts cold and
    /// ends at once loses is told by `attempts`, and by the first line of its log.
    used: f64,
    /// Attempts a job, over all of it.
    attempts: f64,
    lost: u32,
    messages_a_second: f64,
}

/// Plays a scene whose limit gives `rate` calls a second.
#[track_caller]
fn marks(name: &str, scene: &Scene, rate: f64) -> Marks {
    let (mut used, mut attempts, mut messages, mut lost) = (0.0, 0.0, 0.0, 0);
    for seed in 1..=3 {
        let scene = Scene { seed, ..scene.clone() };
        let mut answers = Vec::new();
        let run = lab::watch(&scene, |seconds, note| {
            if let Note::Done { answered: true, .. } = note {
                answers.push(seconds);
            }
        });
        assert_eq!(run.accusations, [], "{name}, seed {seed}");
        lost += run.tally.failed;
        let (from, to) = (answers.len() / 10, answers.len() * 9 / 10);
        used += (to - from) as f64 / (answers[to] - answers[from]) / rate / 3.0;
        attempts += lab::own_attempts(&scene, &run.tally) / 3.0;
        messages += run.tally.messages as f64 / run.tally.seconds / 3.0;
    }
    println!(
        "{name:54} {used:.3} used, {attempts:.3} attempts a job, {messages:.1} messages a second"
    );
    Marks { used, attempts, lost, messages_a_second: messages }
}

/// Plays scenes and holds each to the marks.
#[track_caller]
fn hold(scenes: &[(String, Scene, f64)]) {
    let mut missed = Vec::new();
    for (name, scene, rate) in scenes {
        let Marks { used, attempts, lost, .. } = marks(name, scene, *rate);
        if lost > 0 || used < USED_MIN || attempts > ATTEMPTS_MAX {
            missed.push(format!("{name}: {used:.3}, {attempts:.3}, {lost} lost"));
        }
    }
    assert!(missed.is_empty(), "below the marks:\n{}", missed.join("\n"));
}

fn scene(count: u32, provider: ProviderScene, jobs: u32) -> Scene {
    Scene {
        providers: vec![provider],
        jobs,
        traffic: Traffic::Workers(128),
        gateways: Some(Gateways::of(count)),
        ..Scene::default()
    }
}

#[test]
fn two_ten_and_forty_gateways_use_the_whole_of_one_limit() {
    let mut scenes = Vec::new();
    for telling in [Telling::Headers, Telling::Text, Telling::Nothing] {
        for (count, rpm, jobs) in [(2, 1200.0, 1800), (10, 1200.0, 1800), (40, 1200.0, 1800)] {
            let provider = ProviderScene { rpm, telling, ..ProviderScene::default() };
            let name = format!("{count} gateways, {rpm} a minute, {telling:?}");
            scenes.push((name, scene(count, provider, jobs), rpm / 60.0));
        }
    }
    hold(&scenes);
}

/// Half of the calls' tokens are used up by the limit of tokens before that of requests is reached.
#[test]
fn forty_gateways_keep_two_limits_together() {
    let mut scenes = Vec::new();
    for telling in [Telling::Headers, Telling::Text] {
        for (rpm, tpm) in [(1200.0, 240_000.0), (3000.0, 120_000.0)] {
            let provider = ProviderScene { rpm, tpm, telling, ..ProviderScene::default() };
            let mut scene = scene(40, provider, 1800);
            scene.tokens = (20.0, 180.0);
            let rate = f64::min(rpm, tpm / 100.0) / 60.0;
            scenes.push((format!("{rpm} requests, {tpm} tokens, {telling:?}"), scene, rate));
        }
    }
    hold(&scenes);
}

#[test]
fn whichever_gateways_are_called_have_the_limit() {
    let called = |called| {
        let provider = ProviderScene { rpm: 1200.0, ..ProviderScene::default() };
        let mut scene = scene(40, provider, 1800);
        scene.gateways = Some(Gateways { called, ..Gateways::of(40) });
        (format!("{called} of 40 gateways are called"), scene, 20.0)
    };
    hold(&[called(1), called(3)]);
}

#[test]
fn calls_at_once_that_the_configuration_allows_are_shared_out() {
    let mut missed = Vec::new();
    // A place that moves from one gateway to another is empty for up to half a second.
    // Where there are fewer places than gateways, a gateway that has its turn is told too late what others use.
    for (count, concurrency, least, most) in [
        (2, 8, 0.95, ATTEMPTS_MAX),
        (4, 8, 0.80, ATTEMPTS_MAX),
        (4, 30, 0.95, ATTEMPTS_MAX),
        (40, 100, 0.88, ATTEMPTS_MAX),
        (40, 8, 0.80, 1.45),
    ] {
        let provider = ProviderScene {
            concurrency,
            latency: (0.3, 0.7),
            initial: 1.0,
            telling: Telling::Nothing,
            ..ProviderScene::default()
        };
        let mut scene = scene(count, provider, 100 * concurrency);
        scene.traffic = Traffic::Workers(4 * concurrency.max(count));
        scene.limits.concurrency = Some(concurrency);
        let rate = f64::from(concurrency) / 0.5;
        let name = format!("{count} gateways, {concurrency} at once");
        let Marks { used, attempts, lost, .. } = marks(&name, &scene, rate);
        if lost > 0 || used < least || attempts > most {
            missed.push(format!("{name}: {used:.3}, {attempts:.3}, {lost} lost"));
        }
    }
    assert!(missed.is_empty(), "below the marks:\n{}", missed.join("\n"));
}

/// Each keeps to an even part, and to what headers say is left beyond it; afterwards it is as before.
#[test]
fn without_the_place_the_limit_is_used_as_well() {
    let away = |called| {
        let provider = ProviderScene { rpm: 1200.0, ..ProviderScene::default() };
        let mut scene = scene(8, provider, 1800);
        let away = vec![(20.0, 60.0)];
        scene.gateways = Some(Gateways { called, away, ..Gateways::of(8) });
        (format!("{called} of 8 are called, the place is away for 40 s"), scene, 20.0)
    };
    hold(&[away(8), away(2)]);
}

#[test]
fn messages_are_few_and_do_not_grow_with_calls() {
    let provider = ProviderScene { rpm: 60_000.0, ..ProviderScene::default() };
    let mut scene = scene(4, provider, 10_000);
    scene.traffic = Traffic::Rate(900.0);
    let Marks { messages_a_second, .. } = marks("4 gateways, 900 calls a second", &scene, 900.0);
    assert!(messages_a_second <= 0.020 * 900.0, "{messages_a_second}");
}

/// What it is without a word between them: the reason for all this, and the proof that the marks can fail.
#[test]
fn gateways_that_tell_nothing_refuse_each_other() {
    let provider = ProviderScene { rpm: 1200.0, ..ProviderScene::default() };
    let mut scene = scene(40, provider, 1800);
    scene.gateways = Some(Gateways { told: false, ..Gateways::of(40) });
    let run = lab::play(&scene);
    let attempts = lab::own_attempts(&scene, &run.tally);
    println!(
        "40 that tell nothing: {attempts:.3} attempts a job, {} of 1800 lost",
        run.tally.failed
    );
    assert!(attempts > ATTEMPTS_MAX || run.tally.failed > 0, "{attempts:.3}");
}
