//! `mainstay run`: a file of requests in, a file of answers out.

mod args;
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay::http::proxy_for;
use mainstay::http_url::HttpUrl;
use mainstay::upstream::{Destination, Proxy};
use mainstay_core::money::{NamedPrice, Price, PriceList, Unpriced, Usd};
use mainstay_core::policy::Limits;
use mainstay_core::validate::Level;
use mainstay_gateway::config::{self, Environment, duration};

pub(crate) use args::{EXAMPLES, RunArgs};

use crate::exit::Exit;
use crate::run::{self, Progress, Settings, Watch, summary_object};
use crate::show::{self, Show};
use crate::trouble::Trouble;
use args::ValidateArg;

/// Where requests go when nothing is said.
const VENDOR: &str = "https://api.openai.com/v1";

pub(super) fn run(args: &RunArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let terminal = show::aside_is_seen() && !show.json();
    let settings = settings(args, &Environment::capture(), terminal)?;
    if args.dry_run {
        let forecast = run::forecast(&settings)?;
        show.either(&told::forecast_object(&forecast), &told::forecast(&forecast))?;
        return Ok(Exit::Worked);
    }
    let mut aside = Aside { show, terminal };
    let done = run::run(&settings, &mut aside);
    aside.clear();
    let summary = done?;
    let errors = run::errors_path(&settings.output);
    show.either(&summary_object(&summary), &told::summary(&summary, &errors))?;
    let whole = summary.failures() == 0 && summary.unfinished() == 0;
    Ok(if whole { Exit::Worked } else { Exit::Failed })
}

/// Progress beside the data: a line that moves on a terminal, lines elsewhere.
struct Aside<'a> {
    show: &'a mut Show,
    terminal: bool,
}

impl Aside<'_> {
    fn clear(&mut self) {
        if self.terminal {
            self.show.moving("");
        }
    }
}

impl Watch for Aside<'_> {
    fn progress(&mut self, progress: &Progress) {
        let line = told::progress(progress);
        if self.terminal {
            self.show.moving(&line);
        } else {
            self.show.note(&line);
        }
    }

    fn interrupted(&mut self, under_way: usize, grace: Duration) {
        self.clear();
        let seconds = grace.as_secs();
        self.show.note(&format!(
            "stopping: {under_way} requests in flight may end within {seconds} s; interrupt again to leave them"
        ));
    }
}

fn settings(
    args: &RunArgs,
    environment: &Environment,
    terminal: bool,
) -> Result<Settings, Trouble> {
    let base_url = base_url(args.base_url.as_deref(), environment)?;
    let key = environment.get("OPENAI_API_KEY").unwrap_or_default().trim().to_owned();
    if key.is_empty() && base_url.to_string() == VENDOR && !args.dry_run {
        let fix = "set OPENAI_API_KEY, or name another provider or a gateway with --base-url";
        return Err(Trouble::usage("there is no key", format!("{VENDOR} asks for one"), fix));
    }
    let input = (args.input != Path::new("-")).then(|| args.input.clone());
    let owner = [("openai-organization", "OPENAI_ORG_ID"), ("openai-project", "OPENAI_PROJECT_ID")]
        .into_iter()
        .filter_map(|(name, variable)| Some((name, environment.get(variable)?.to_owned())));
    Ok(Settings {
        output: output(args, input.as_deref())?,
        proxy: proxy(&base_url, environment)?,
        base_url,
        key,
        owner: owner.filter(|(_, value)| !value.is_empty()).collect(),
        limits: Limits { rpm: args.rpm, tpm: args.tpm, concurrency: args.concurrency },
        concurrency: args.concurrency.map(|most| most as usize),
        cost_max: args.max_cost.as_deref().map(money).transpose()?,
        deadline: args.deadline.as_deref().map(deadline).transpose()?,
        model_map: args.model_map.iter().map(|pair| renamed(pair)).collect::<Result<_, _>>()?,
        validate: args.validate.map(|level| match level {
            ValidateArg::Lenient => Level::Lenient,
            ValidateArg::Strict => Level::Strict,
        }),
        pack: args.pack,
        events: args.events.clone(),
        prices: prices(args.config.as_deref(), environment)?,
        progress_every: Duration::from_millis(if terminal { 500 } else { 10_000 }),
        input,
    })
}

fn output(args: &RunArgs, input: Option<&Path>) -> Result<PathBuf, Trouble> {
    let Some(output) = args.output.clone() else {
        if args.dry_run {
            return Ok(PathBuf::new());
        }
        let fix = "name a file with -o, such as -o answers.jsonl";
        return Err(Trouble::usage("there is no output", "answers are kept in a file", fix));
    };
    // A device or a pipe cannot be read again, or has no end.
    let other = std::fs::metadata(&output).is_ok_and(|there| !there.is_file());
    if output.file_name().is_none() || other || output == Path::new("-") {
        let what = format!("`{}` is no file for answers", output.display());
        let why = "a run goes on from the file that it has written";
        return Err(Trouble::usage(what, why, "name a file, such as -o answers.jsonl"));
    }
    let same = |a: &Path, b: &Path| {
        a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a))
    };
    if input.is_some_and(|input| input == output || same(input, &output)) {
        let what = format!("`{}` is input and output", output.display());
        return Err(Trouble::usage(
            what,
            "answers would be written over requests",
            "name another output",
        ));
    }
    Ok(output)
}

fn base_url(flag: Option<&str>, environment: &Environment) -> Result<HttpUrl, Trouble> {
    let (text, from) = match (flag, environment.get("OPENAI_BASE_URL").map(str::trim)) {
        (Some(flag), _) => (flag, "--base-url"),
        (None, Some(url)) if !url.is_empty() => (url, "OPENAI_BASE_URL"),
        (None, _) => (VENDOR, "the default"),
    };
    text.parse().map_err(|error: mainstay::http_url::NotAUrl| {
        let fix = format!("write something like \"{VENDOR}\"");
        Trouble::usage(format!("{from} is no base URL"), error.0, fix)
    })
}

fn proxy(url: &HttpUrl, environment: &Environment) -> Result<Option<Proxy>, Trouble> {
    let (tls, host, port) = (url.https(), url.host().to_owned(), url.port());
    let place = Destination { tls, host, port, proxy: None, ca_file: None };
    let get = |name: &str, small: &str| {
        environment.get(name).or_else(|| environment.get(small)).map(str::to_owned)
    };
    let (https, none) = (get("HTTPS_PROXY", "https_proxy"), get("NO_PROXY", "no_proxy"));
    proxy_for(&place, https.as_deref(), none.as_deref()).map_err(|error| {
        let fix = "correct HTTPS_PROXY, or name the host in NO_PROXY";
        Trouble::usage("the environment's proxy cannot be used", error.to_string(), fix)
    })
}

fn money(text: &str) -> Result<Usd, Trouble> {
    Usd::parse(text.trim().trim_start_matches('$')).map_err(|why| {
        let what = format!("`--max-cost {text}` is no amount");
        Trouble::usage(what, why.to_string(), "write for example --max-cost 25.00")
    })
}

fn deadline(text: &str) -> Result<Duration, Trouble> {
    duration(text).filter(|time| !time.is_zero()).ok_or_else(|| {
        let what = format!("`--deadline {text}` is no duration");
        Trouble::usage(
            what,
            "a duration has a number and a unit",
            "write for example --deadline 8h",
        )
    })
}

fn renamed(pair: &str) -> Result<(String, String), Trouble> {
    match pair.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => {
            Ok((from.to_owned(), to.to_owned()))
        }
        Some(_) | None => {
            let what = format!("`--model-map {pair}` names no two models");
            Err(Trouble::usage(
                what,
                "it is A=B",
                "write for example --model-map gpt-4o=gpt-4o-mini",
            ))
        }
    }
}

/// The configuration's prices before the shipped ones.
fn prices(flag: Option<&Path>, environment: &Environment) -> Result<PriceList, Trouble> {
    let Some(path) = config::locate(flag, environment) else {
        return Ok(PriceList::new(Vec::new(), Unpriced::Refuse, true));
    };
    let config = config::load(Some(&path), environment).map_err(Trouble::config)?;
    let own = config.prices.into_iter().map(|price| NamedPrice {
        price: Price {
            image: price.image,
            minute: price.minute,
            character: price.character,
            request: price.request,
            ..Price::tokens(price.input, price.cached_input, price.output)
        },
        model: price.model,
    });
    let unpriced = if config.budget.unpriced_free { Unpriced::Free } else { Unpriced::Refuse };
    Ok(PriceList::new(own.collect(), unpriced, config.budget.shipped_prices))
}
