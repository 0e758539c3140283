//! Scenes: what the world is like, as data. The same scene and seed give the same run.

use mainstay_core::policy::{Limits, Policy};
use std::time::Duration;

/// How a provider counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counting {
    /// A bucket that refills all the time.
    Continuous,
    /// A count that starts anew at each full minute.
    Window,
    /// The exact count of the last minute.
    Sliding,
}

/// How much a provider says about its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// `x-ratelimit-*` on every answer, `retry-after-ms` and text on refusals.
    Headers,
    /// The limit and the wait in a refusal's text.
    Text,
    /// `retry-after` in whole seconds on refusals.
    Seconds,
    /// Nothing.
    Nothing,
}

/// What a provider does with one attempt, decided beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripted {
    /// Answers it.
    Well,
    /// 500.
    Failed,
    /// 503, and the wait it asks for.
    Unavailable(Option<Duration>),
    /// 429 for requests, and the wait it asks for.
    Refused(Option<Duration>),
    /// 400: the request is at fault.
    Faulted,
    /// 400: the prompt does not fit into the window.
    TooLong,
}

/// What a provider becomes in the middle of a run: another tier, or another way to tell its limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Later {
    /// When, in seconds since the start.
    pub at: f64,
    /// Requests a minute from then on.
    pub rpm: f64,
    /// Tokens a minute from then on.
    pub tpm: f64,
    /// What it says about limits from then on.
    pub telling: Telling,
}

/// A provider that we send to.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderScene {
    /// Requests a minute.
    pub rpm: f64,
    /// Tokens a minute.
    pub tpm: f64,
    /// Size of a continuous bucket in seconds of refill.
    pub capacity_s: f64,
    /// Fill of the bucket at the start, 0 to 1.
    pub initial: f64,
    /// How it counts.
    pub counting: Counting,
    /// Calls at once; 0: no limit.
    pub concurrency: u32,
    /// Seconds that an answer takes, evenly spread.
    pub latency: (f64, f64),
    /// Seconds from us to it, and back, evenly spread.
    pub network: (f64, f64),
    /// What it says about limits.
    pub telling: Telling,
    /// Share of granted attempts answered with a 500.
    pub error_rate: f64,
    /// Share of granted attempts cut without an answer.
    pub reset_rate: f64,
    /// Share of granted attempts that are never answered.
    pub silent_rate: f64,
    /// Share of attempts answered with a 400, whatever they hold.
    pub fault_rate: f64,
    /// Share of the limit that others use.
    pub others: f64,
    /// From and to in seconds: every attempt is answered with a 503, or (`true`) not at all.
    pub outages: Vec<(f64, f64, bool)>,
    /// The wait that its 503s ask for, in seconds; 0: none.
    pub away_hint: f64,
    /// Share of answers whose headers are nonsense.
    pub absurd_headers: f64,
    /// What it becomes.
    pub later: Option<Later>,
    /// Its first attempts, one by one; after them chance decides.
    pub script: Vec<Scripted>,
    /// Context window in tokens, as we know it; `None`: unknown.
    pub window: Option<u64>,
}

impl Default for ProviderScene {
    fn default() -> Self {
        ProviderScene {
            rpm: 1e6,
            tpm: 1e9,
            capacity_s: 3.0,
            initial: 0.0,
            counting: Counting::Continuous,
            concurrency: 0,
            latency: (0.05, 0.15),
            network: (0.0001, 0.0005),
            telling: Telling::Headers,
            error_rate: 0.0,
            reset_rate: 0.0,
            silent_rate: 0.0,
            fault_rate: 0.0,
            others: 0.0,
            outages: Vec::new(),
            away_hint: 0.0,
            absurd_headers: 0.0,
            later: None,
            script: Vec::new(),
            window: None,
        }
    }
}

/// How calls come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Traffic {
    /// So many callers, each with its next call as soon as the last one ended.
    Workers(u32),
    /// So many calls a second, whatever becomes of them.
    Rate(f64),
}

/// A whole world.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Where chance starts.
    pub seed: u64,
    /// Targets in order of preference.
    pub providers: Vec<ProviderScene>,
    /// The targets are keys or models of one account: the first provider's limits are those of all
    /// together, and one pacer of ours is.
    pub shared: bool,
    /// How calls come.
    pub traffic: Traffic,
    /// Calls in all.
    pub jobs: u32,
    /// Tokens of a call, evenly spread.
    pub tokens: (f64, f64),
    /// What we estimate per token the provider counts, evenly spread.
    pub estimate: (f64, f64),
    /// Longest time of a call.
    pub deadline: Duration,
    /// The policies of every call.
    pub policy: Policy,
    /// Share of calls whose answer is a stream.
    pub streams: f64,
    /// Whether a stream that broke after its first content may be told a second time.
    pub recoverable: bool,
    /// Share of callers who leave early.
    pub leavers: f64,
    /// Longest time a timer of ours is late.
    pub timer_late: Duration,
    /// Our clock jumps: when and by how much, in seconds.
    pub jumps: Vec<(f64, f64)>,
    /// What the configuration allows each account.
    pub limits: Limits,
    /// Somebody else on the same machine, with calls and targets of his own.
    pub neighbour: Option<Neighbour>,
    /// Several gateways send to the first provider, and calls come to them in turn.
    pub gateways: Option<Gateways>,
}

/// Gateways that send to one account, each with a pacer of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateways {
    /// How many they are.
    pub count: u32,
    /// How many of them callers know; the others are there and have nothing to do.
    pub called: u32,
    /// Whether they tell each other what they want.
    pub told: bool,
    /// Whether they tell each other what their circuits find out.
    pub circuits: bool,
    /// Seconds that a message to the place that all reach takes, there and back, evenly spread.
    pub latency: (f64, f64),
    /// From and to in seconds: nobody reaches the place.
    pub away: Vec<(f64, f64)>,
    /// Gateways that do not reach the provider, from and to in seconds.
    pub cut_off: Vec<(u32, f64, f64)>,
}

impl Gateways {
    /// So many gateways, all of them called, that tell each other what they want.
    pub fn of(count: u32) -> Gateways {
        let latency = (0.0002, 0.002);
        Gateways {
            count,
            called: count,
            told: true,
            circuits: true,
            latency,
            away: Vec::new(),
            cut_off: Vec::new(),
        }
    }
}

/// Another tenant: shares the process and the time with the scene's callers, and no target.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// His targets.
    pub providers: Vec<ProviderScene>,
    /// How his calls come.
    pub traffic: Traffic,
    /// His calls in all.
    pub jobs: u32,
}

impl Default for Scene {
    fn default() -> Self {
        Scene {
            seed: 1,
            providers: vec![ProviderScene::default()],
            shared: false,
            traffic: Traffic::Workers(64),
            jobs: 500,
            tokens: (45.0, 135.0),
            estimate: (1.0, 1.0),
            deadline: Duration::from_secs(600),
            policy: Policy::default(),
            streams: 0.0,
            recoverable: false,
            leavers: 0.0,
            timer_late: Duration::from_micros(1500),
            jumps: Vec::new(),
            limits: Limits::default(),
            neighbour: None,
            gateways: None,
        }
    }
}

impl Scene {
    /// The scenes of an independent judge of how much of a limit becomes work, by name.
    pub fn judged(name: &str) -> Option<Scene> {
        let rpm = ProviderScene { rpm: 1200.0, ..ProviderScene::default() };
        let (provider, jobs, tokens) = match name {
            "rpm" => (rpm, 500, (45.0, 135.0)),
            "tpm" => (ProviderScene { tpm: 120_000.0, ..rpm }, 250, (45.0, 675.0)),
            "noheaders" => (ProviderScene { telling: Telling::Nothing, ..rpm }, 500, (45.0, 135.0)),
            "hintonly" => (ProviderScene { telling: Telling::Text, ..rpm }, 500, (45.0, 135.0)),
            "flaky" => {
                (ProviderScene { error_rate: 0.05, reset_rate: 0.02, ..rpm }, 500, (45.0, 135.0))
            }
            "outage" => {
                (ProviderScene { outages: vec![(8.0, 20.0, false)], ..rpm }, 500, (45.0, 135.0))
            }
            "concurrency" => {
                let provider = ProviderScene {
                    rpm: 1e6,
                    concurrency: 8,
                    latency: (0.3, 0.7),
                    initial: 1.0,
                    ..rpm
                };
                (provider, 300, (45.0, 135.0))
            }
            _ => return None,
        };
        let provider =
            if name == "tpm" { ProviderScene { rpm: 1e6, ..provider } } else { provider };
        Some(Scene { providers: vec![provider], jobs, tokens, ..Scene::default() })
    }

    /// Calls and targets, the neighbour's included.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let (jobs, targets) =
            self.neighbour.as_ref().map_or((0, 0), |n| (n.jobs as usize, n.providers.len()));
        (self.jobs as usize + jobs, self.targets() + targets)
    }

    /// The targets of the scene's own calls: those of each gateway, where there are several.
    pub(crate) fn targets(&self) -> usize {
        self.gateways.as_ref().map_or(self.providers.len(), |gateways| gateways.count as usize)
    }

    /// Seconds that an oracle with one provider would need for all jobs that cost `tokens`.
    pub fn ideal_s(&self, tokens: f64) -> f64 {
        let p = &self.providers[0];
        let jobs = f64::from(self.jobs);
        let free = (1.0 - p.others).max(0.01);
        let waste = 1.0 / (1.0 - p.error_rate - p.reset_rate - p.silent_rate);
        let bucket = |need: f64, per_minute: f64| {
            let rate = per_minute / 60.0 * free;
            (need * waste - (per_minute / 60.0 * p.capacity_s).max(1.0) * p.initial) / rate
        };
        let mean = f64::midpoint(p.latency.0, p.latency.1);
        let mut time: f64 = 0.0;
        if p.rpm < 1e5 {
            time = time.max(bucket(jobs, p.rpm));
        }
        if p.tpm < 1e8 {
            time = time.max(bucket(tokens, p.tpm));
        }
        if p.concurrency > 0 {
            time = time.max(jobs * mean / f64::from(p.concurrency));
        }
        if let Traffic::Workers(workers) = self.traffic {
            time = time.max(jobs * mean / f64::from(workers));
        }
        for (from, to, _) in &p.outages {
            if time > *from {
                time += (to - from) - p.capacity_s.min(to - from);
            }
        }
        time + mean
    }
}
