//! The batch runner: a file of requests in, a file of answers out; every line once, at the full
//! rate limit, across crashes. Nothing here knows a terminal.
//!
//! ```text
//!   input ─▶ scan: ids, faults, fingerprint ─▶ resume: what is done, what is torn
//!                                                    │
//!   input ─▶ feed: lines that are not done ─▶ drive ─┴▶ lane: the engine ─▶ provider
//!                                              │  ▲                            │
//!                 put off · parked · split ◀───┴──┴── fate: what a failure means ◀
//!                                              │
//!                                              └▶ sink: OUT.jsonl, OUT.errors.jsonl
//! ```
//!
//! A line is done when its answer stands whole in the output; nothing else is remembered of it. So
//! an end at any instant loses what was under way, and nothing that was written.

mod drive;
mod estimate;
mod events;
mod fate;
mod feed;
mod ids;
mod job;
mod lane;
mod line;
mod money;
mod pack;
mod place;
mod record;
mod resume;
mod scan;
mod settings;
mod sink;
mod source;
mod tally;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use drive::stop_kind;
pub(crate) use estimate::Estimate;
pub(crate) use events::summary_object;
pub(crate) use settings::Settings;
pub(crate) use tally::{Progress, Stop, Summary};

use mainstay_core::money::Usd;

use crate::exit::Exit;
use crate::trouble::Trouble;
use drive::{Drive, State};
use events::Events;
use fate::Outlook;
use feed::Feed;
use lane::Lane;
use money::{Prices, Purse};
use place::{Place, Spool};
use resume::{Earlier, resume, same_input};
use scan::Scan;
use sink::Sink;
use tally::Tally;
use window::Window;

/// Who looks on.
pub(crate) trait Watch {
    /// How it stands.
    fn progress(&mut self, progress: &Progress);
    /// An interrupt came; so many calls may end within this time.
    fn interrupted(&mut self, under_way: usize, grace: Duration);
}

/// What a dry run tells.
#[derive(Debug)]
pub(crate) struct Forecast {
    /// Lines of the input.
    pub(crate) lines: u64,
    /// What they will take, by model.
    pub(crate) estimate: Estimate,
    /// The most they will cost, as far as that can be told.
    pub(crate) cost: Option<Usd>,
    /// How long they will take at the limits given.
    pub(crate) time: Option<Duration>,
}

/// Says what a run would take. Sends nothing, writes nothing.
pub(crate) fn forecast(settings: &Settings) -> Result<Forecast, Trouble> {
    let path = match &settings.input {
        Some(path) => path.clone(),
        None => spool_aside()?,
    };
    let scan = scan::scan(&path, &shown(settings), settings.validate, true);
    if settings.input.is_none() {
        // What stays is in the system's directory for such files.
        let _ = std::fs::remove_file(&path);
    }
    let scan = scan?;
    let prices = Prices::new(settings.prices.clone(), &settings.model_map);
    let (cost, time) = (scan.estimate.cost(&prices), scan.estimate.time(&settings.limits));
    Ok(Forecast { lines: scan.record.lines, estimate: scan.estimate, cost, time })
}

/// Copies standard input to where it can be read.
fn spool_aside() -> Result<PathBuf, Trouble> {
    let path = std::env::temp_dir().join(format!("mainstay-{}.jsonl", std::process::id()));
    let failed = |error: std::io::Error| Trouble::file("write", &path, &error);
    let mut file =
        std::fs::OpenOptions::new().create_new(true).write(true).open(&path).map_err(failed)?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(failed)?;
    Ok(path)
}

/// Where failed lines of this output stand alone.
pub(crate) fn errors_path(output: &Path) -> PathBuf {
    place::beside(output, ".errors.jsonl")
}

/// Runs a job to its end, or to the end of this run.
pub(crate) fn run(settings: &Settings, watch: &mut dyn Watch) -> Result<Summary, Trouble> {
    let place = Place::take(&settings.output)?;
    let (path, scan) = begin(settings, &place)?;
    let Scan { mut ids, record, .. } = scan;
    let prices = Prices::new(settings.prices.clone(), &settings.model_map);
    let mut purse = Purse::new(prices, settings.cost_max);
    let earlier = resume(&place, &mut ids, &mut purse)?;
    place.remember(&record)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        let fix = "raise the limit on threads or open files";
        Trouble::new(Exit::Surroundings, "could not start a runtime", error.to_string(), fix)
    })?;
    let summary = runtime.block_on(go(settings, &place, path, ids, purse, earlier, watch))?;
    if summary.unfinished() == 0 {
        place.tidy();
    }
    Ok(summary)
}

/// Reads the input once; what it holds is known and sound then.
fn begin(settings: &Settings, place: &Place) -> Result<(PathBuf, Scan), Trouble> {
    let (path, spool): (PathBuf, Option<Spool>) = if let Some(path) = &settings.input {
        (path.clone(), None)
    } else {
        let spool = place.spool(std::io::stdin().lock())?;
        (spool.path.clone(), Some(spool))
    };
    let sound = look_over(settings, place, &path);
    match (sound, spool) {
        (Ok(scan), None) => Ok((path, scan)),
        (Ok(scan), Some(spool)) => Ok((spool.keep()?, scan)),
        (Err(trouble), spool) => {
            if let Some(spool) = spool {
                spool.discard();
            }
            Err(trouble)
        }
    }
}

fn look_over(settings: &Settings, place: &Place, path: &Path) -> Result<Scan, Trouble> {
    let scan = scan::scan(path, &shown(settings), settings.validate, false)?;
    same_input(place, &scan.record)?;
    if settings.cost_max.is_some() {
        all_priced(settings, &scan.estimate)?;
    }
    Ok(scan)
}

/// The input as people know it.
fn shown(settings: &Settings) -> String {
    let name = |path: &PathBuf| path.display().to_string();
    settings.input.as_ref().map_or_else(|| "standard input".to_owned(), name)
}

/// A bound on cost holds only when every model has a price.
fn all_priced(settings: &Settings, estimate: &Estimate) -> Result<(), Trouble> {
    let prices = Prices::new(settings.prices.clone(), &settings.model_map);
    let models = estimate.models().map(|(model, _)| model);
    let bare: Vec<&str> = models.filter(|model| prices.of(model).is_none()).take(5).collect();
    if bare.is_empty() {
        return Ok(());
    }
    Err(Trouble::usage(
        "`--max-cost` cannot be kept",
        format!("no price is known for {}", bare.join(", ")),
        "add a [[price]] for each model to the configuration, see docs/settings.md",
    ))
}

async fn go(
    settings: &Settings,
    place: &Place,
    path: PathBuf,
    ids: ids::Ids,
    purse: Purse,
    earlier: Earlier,
    watch: &mut dyn Watch,
) -> Result<Summary, Trouble> {
    let signals = signals()?;
    let lane = Lane::new(settings)?;
    let now = lane.now();
    let (total, done) = (ids.len() as u64, ids.done() as u64);
    let tally = Tally::new(total, earlier, now);
    let mut events = Events::open(settings.events.as_deref())?;
    events.started(total, done)?;
    if total == done {
        let summary = tally.summary(None, purse.spent(), now);
        events.ended(&summary)?;
        return Ok(summary);
    }
    lane::knock(settings).await?;
    let drive = Drive {
        feed: Feed::start(path, Arc::new(ids), settings.pack)?,
        sink: Sink::open(place)?,
        tally,
        purse,
        events,
        window: Window::new(settings.concurrency, now),
        outlook: Outlook::new(settings.deadline.is_some()),
        watch,
        progress_every: settings.progress_every,
        state: State::default(),
        lane,
    };
    drive.run(signals).await
}

/// A message for each Ctrl-C and each SIGTERM.
fn signals() -> Result<tokio::sync::mpsc::Receiver<()>, Trouble> {
    let (to, signals) = tokio::sync::mpsc::channel(4);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut stream = signal(kind).map_err(|error| no_signals(&error))?;
            let to = to.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() && to.send(()).await.is_ok() {}
            });
        }
        drop(to);
    }
    #[cfg(not(unix))]
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && to.send(()).await.is_ok() {}
    });
    Ok(signals)
}

#[cfg(unix)]
fn no_signals(error: &std::io::Error) -> Trouble {
    let fix = "see whether the system limits signal handlers";
    Trouble::new(Exit::Surroundings, "could not listen for signals", error.to_string(), fix)
}

/// The stable name of a stop.
pub(crate) fn stop_name(stop: Stop) -> &'static str {
    match stop {
        Stop::Interrupted => "interrupted",
        Stop::Deadline => "deadline",
        Stop::Money => "max_cost",
        Stop::ForAll(kind) => kind.name(),
    }
}
