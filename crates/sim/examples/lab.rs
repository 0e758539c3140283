//! The laboratory's runner: `cargo run -p mainstay-sim --example lab -- --judged`.
#![expect(clippy::print_stdout, reason = "it is for people")]

use mainstay_sim::lab::{self, Scene};

fn main() {
    for name in ["rpm", "tpm", "noheaders", "hintonly", "flaky", "outage", "concurrency"] {
        let (mut low, mut high, mut lost, mut worst): (f64, f64, u32, f64) = (9.0, 0.0, 0, 0.0);
        let mut sum = 0.0;
        for seed in 1..=20 {
            let scene = Scene { seed, ..Scene::judged(name).expect("a known name") };
            let run = lab::play(&scene);
            let score = lab::score(&scene, &run.tally);
            low = low.min(score);
            high = high.max(score);
            sum += score;
            lost += scene.jobs - run.tally.answered;
            worst = worst.max(lab::own_attempts(&scene, &run.tally));
            for accusation in run.accusations.iter().take(3) {
                println!("{name} seed {seed}: {accusation:?}");
            }
        }
        println!(
            "{name:12} score {low:.3}..{:.3}..{high:.3} attempts ≤ {worst:.3} lost {lost}",
            sum / 20.0
        );
    }
}
