#![allow(clippy::all, clippy::pedantic, missing_docs)]
use mainstay_sim::lab::*;
fn scenes() -> Vec<(String, Scene)> {
    let mut v: Vec<(String, Scene)> = Vec::new();
    let d = || ProviderScene { rpm: 1200.0, ..Default::default() };
    let mut add = |n: String, p: ProviderScene, jobs: u32, tokens: (f64, f64), est: (f64, f64)| {
        v.push((n, Scene { providers: vec![p], jobs, tokens, estimate: est, ..Scene::default() }))
    };
    let tok = (45.0, 135.0);
    for telling in [Telling::Headers, Telling::Text, Telling::Seconds, Telling::Nothing] {
        for (rpm, jobs) in [(60.0, 120), (300.0, 300), (1200.0, 500), (6000.0, 3000)] {
            for cap in [1.0, 6.0, 60.0] {
                for init in [0.0, 1.0] {
                    let jobs = if cap > 10.0 && init > 0.5 { (rpm as u32) + jobs } else { jobs };
                    add(
                        format!("{telling:?} rpm{rpm} cap{cap} init{init}"),
                        ProviderScene { rpm, capacity_s: cap, initial: init, telling, ..d() },
                        jobs,
                        tok,
                        (1.0, 1.0),
                    );
                }
            }
        }
        for lat in [(0.005, 0.05), (1.0, 3.0), (2.0, 5.0), (0.05, 5.0)] {
            add(
                format!("{telling:?} lat{lat:?}"),
                ProviderScene { latency: lat, telling, rpm: 600.0, ..d() },
                500,
                tok,
                (1.0, 1.0),
            );
        }
        for lat in [(0.02, 0.06)] {
            add(
                format!("{telling:?} net{lat:?}"),
                ProviderScene { network: lat, telling, ..d() },
                500,
                tok,
                (1.0, 1.0),
            );
        }
        for (tpm, t) in [
            (120e3, (45.0, 675.0)),
            (120e3, (500.0, 5000.0)),
            (30e3, (100.0, 1400.0)),
            (2e6, (500.0, 8000.0)),
        ] {
            for est in [(1.0, 1.0), (0.9, 1.3), (1.5, 2.5), (0.5, 0.8)] {
                let jobs = (tpm / 60.0 * 45.0 / ((t.0 + t.1) / 2.0)) as u32;
                add(
                    format!("{telling:?} tpm{tpm} t{t:?} est{est:?}"),
                    ProviderScene { rpm: 1e6, tpm, telling, ..d() },
                    jobs.max(30),
                    t,
                    est,
                );
            }
        }
        add(
            format!("{telling:?} both"),
            ProviderScene { rpm: 1200.0, tpm: 108e3, telling, ..d() },
            500,
            tok,
            (0.9, 1.2),
        );
        for c in [1, 2, 8, 30] {
            add(
                format!("{telling:?} conc{c}"),
                ProviderScene { rpm: 1e6, concurrency: c, latency: (0.3, 0.7), telling, ..d() },
                40 * c.max(2),
                tok,
                (1.0, 1.0),
            );
        }
        for e in [0.05, 0.18] {
            add(
                format!("{telling:?} err{e}"),
                ProviderScene { error_rate: e / 2.0, reset_rate: e / 2.0, telling, ..d() },
                500,
                tok,
                (1.0, 1.0),
            );
        }
        for o in [0.3, 0.6] {
            add(
                format!("{telling:?} others{o}"),
                ProviderScene { others: o, telling, ..d() },
                500,
                tok,
                (1.0, 1.0),
            );
        }
        add(
            format!("{telling:?} window"),
            ProviderScene { counting: Counting::Window, telling, ..d() },
            6000,
            tok,
            (1.0, 1.0),
        );
        add(
            format!("{telling:?} sliding"),
            ProviderScene { counting: Counting::Sliding, telling, ..d() },
            6000,
            tok,
            (1.0, 1.0),
        );
        add(
            format!("{telling:?} outage"),
            ProviderScene { outages: vec![(8.0, 20.0, false)], telling, ..d() },
            500,
            tok,
            (1.0, 1.0),
        );
        add(
            format!("{telling:?} absurd"),
            ProviderScene { absurd_headers: 0.1, telling, ..d() },
            500,
            tok,
            (1.0, 1.0),
        );
    }
    for name in ["rpm", "tpm", "noheaders", "hintonly", "flaky", "outage", "concurrency"] {
        v.push((name.to_owned(), Scene::judged(name).unwrap()));
    }
    v
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let filter = args.get(1).cloned().unwrap_or_default();
    if let Some(seed) = args.get(2) {
        let (n, s) = scenes().into_iter().find(|(n, _)| *n == filter).unwrap();
        let scene = Scene { seed: seed.parse().unwrap(), ..s };
        let run = watch(&scene, |t, n| eprintln!("{t:.3} {n:?}"));
        println!(
            "{n} {:?} ideal {:.2} score {:.3}",
            run.tally,
            scene.ideal_s(run.tally.tokens),
            score(&scene, &run.tally)
        );
        return;
    }
    for (name, base) in scenes().into_iter().filter(|(n, _)| n.contains(&filter)) {
        let (mut low, mut sum, mut worst, mut asum, mut lost, mut acc): (
            f64,
            f64,
            f64,
            f64,
            u32,
            String,
        ) = (9.0, 0.0, 0.0, 0.0, 0, String::new());
        for seed in 1..=4 {
            let scene = Scene { seed, ..base.clone() };
            let run = play(&scene);
            let sc = score(&scene, &run.tally);
            low = low.min(sc);
            sum += sc / 4.0;
            let a = own_attempts(&scene, &run.tally);
            worst = worst.max(a);
            asum += a / 4.0;
            lost += scene.jobs - run.tally.answered;
            if let Some(x) = run.accusations.first() {
                acc = format!("{x:?}");
            }
        }
        let flag = if low < 0.93 || worst > 1.15 || lost > 0 { "  <<<" } else { "" };
        println!(
            "{name:45} score {low:.3} {sum:.3} att {asum:.3} {worst:.3} lost {lost}{flag} {acc}"
        );
    }
}
