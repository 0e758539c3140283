//! What a run is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use mainstay::http_url::HttpUrl;
use mainstay::upstream::Proxy;
use mainstay_core::money::{PriceList, Usd};
use mainstay_core::policy::Limits;
use mainstay_core::validate::Level;

/// What a run is asked to do. No `Debug`: it holds a key.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The requests; `None` is standard input.
    pub(crate) input: Option<PathBuf>,
    /// Where answers go; the files beside it take their names from it.
    pub(crate) output: PathBuf,
    /// Where requests go.
    pub(crate) base_url: HttpUrl,
    /// The key; empty: none is sent.
    pub(crate) key: String,
    /// `OpenAI-Organization` and `OpenAI-Project`.
    pub(crate) owner: Vec<(&'static str, String)>,
    /// The way to the provider.
    pub(crate) proxy: Option<Proxy>,
    /// Caps, for each model; the rest is learnt.
    pub(crate) limits: Limits,
    /// Most calls at once, waiting ones included; `None`: found by trying.
    pub(crate) concurrency: Option<usize>,
    /// Most that may be spent by this job over all its runs.
    pub(crate) cost_max: Option<Usd>,
    /// When the run ends, done or not, from its start.
    pub(crate) deadline: Option<Duration>,
    /// The model a line names, and the one to ask for.
    pub(crate) model_map: Vec<(String, String)>,
    /// Hold every line against the rules before the first request is sent.
    pub(crate) validate: Option<Level>,
    /// Put inputs of embeddings together into full requests.
    pub(crate) pack: bool,
    /// Where events go, as JSON lines.
    pub(crate) events: Option<PathBuf>,
    /// What models cost.
    pub(crate) prices: PriceList,
    /// How often progress is told.
    pub(crate) progress_every: Duration,
}
