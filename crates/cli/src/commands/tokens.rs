//! `mainstay tokens`: how many tokens text or requests are, what they cost before they are answered,
//! and whether they fit their model's window.

use std::path::Path;
use std::sync::Arc;

use mainstay::Engine;
use mainstay_core::money::{NamedPrice, Price, PriceList, Quantity, Unpriced, Usd};
use mainstay_gateway::engine_spec;
use mainstay_tokens::fits::{Fit, fits};
use mainstay_tokens::models::Window;
use mainstay_tokens::request::{Count, count, count_text};
use serde_json::{Value, json};

use crate::args::TokensArgs;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(args: &TokensArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let tables = Tables::load(args.config.as_deref())?;
    let text = super::check::read(&args.file)?;
    let text = String::from_utf8(text).map_err(|error| {
        let what = format!("`{}` is not UTF-8", args.file.display());
        let why = format!("byte {} does not belong to it", error.utf8_error().valid_up_to());
        Trouble::new(Exit::Failed, what, why, "save it as UTF-8")
    })?;
    let model = args.model.as_deref();
    if !text.trim_start().starts_with('{') {
        let (tokens, exact) = count_text(model.unwrap_or_default(), &text);
        let cost = tables.cost(model.unwrap_or_default(), tokens, None);
        let value = json!({"tokens": tokens, "exact": exact, "cost_usd": cost.map(|cost| cost.prompt.to_string())});
        let price = cost.map_or_else(String::new, |cost| format!(", {} USD", cost.prompt));
        show.either(&value, &format!("{tokens} tokens{}{price}", how(exact)))?;
        return Ok(Exit::Worked);
    }
    if let Some(whole) = Row::of(&text, model, &tables) {
        show.either(&whole.object(None), &whole.told())?;
        return Ok(Exit::Worked);
    }
    lines(&text, model, &tables, show)
}

fn lines(
    text: &str,
    model: Option<&str>,
    tables: &Tables,
    show: &mut Show,
) -> Result<Exit, Trouble> {
    let (mut exit, mut sums) = (Exit::Worked, Sums::default());
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = index + 1;
        let Some(row) = Row::of(line, model, tables) else {
            exit = Exit::Failed;
            let what = format!("line {number} is no JSON object");
            let why = "a request is one, and nothing was counted";
            show.warn(&Trouble::new(exit, what, why, "`mainstay check` shows the place"));
            continue;
        };
        sums.add(&row);
        show.either(&row.object(Some(number)), &format!("{number}: {}", row.told()))?;
    }
    if !show.json() && sums.requests > 0 {
        show.line(&sums.told())?;
    }
    Ok(exit)
}

/// What one request is and costs.
struct Row {
    count: Count,
    cost: Option<Cost>,
    window: Option<Window>,
}

impl Row {
    /// Counts a request, or the body of a Batch line; `None` when it is no JSON object.
    fn of(text: &str, model: Option<&str>, tables: &Tables) -> Option<Row> {
        let line: Value = serde_json::from_str(text).ok().filter(Value::is_object)?;
        let inner = line.get("custom_id").and_then(|_| line.get("body"));
        let body = inner.unwrap_or(&line);
        let count = count(body.to_string().as_bytes(), model).ok()?;
        let named = body.get("model").and_then(Value::as_str);
        let model = model.or(named).unwrap_or_default();
        let cost = tables.cost(model, count.prompt(), count.asked);
        Some(Row { count, cost, window: tables.window(model) })
    }

    fn fit(&self) -> Option<Fit> {
        let Count { asked_each, exact, .. } = self.count;
        self.window.map(|window| fits(window, self.count.prompt(), asked_each, exact))
    }

    fn told(&self) -> String {
        let Count { asked, exact, .. } = self.count;
        let asked = asked.map_or_else(String::new, |asked| format!(", up to {asked} asked for"));
        let cost = self.cost.map_or_else(String::new, Cost::told);
        let long = match self.fit() {
            Some(Fit::TooLong(much)) => format!("\n  does not fit: {much}"),
            Some(Fit::Fits { .. }) | None => String::new(),
        };
        format!("{} tokens{}{asked}{cost}{long}", self.count.prompt(), how(exact))
    }

    fn object(&self, line: Option<usize>) -> Value {
        let Count { messages, tools, format, media, asked, asked_each: _, exact } = self.count;
        let fits = self.fit().map(|fit| match fit {
            Fit::Fits { .. } => true,
            Fit::TooLong(_) => false,
        });
        json!({
            "line": line,
            "tokens": self.count.prompt(),
            "messages": messages,
            "tools": tools,
            "format": format,
            "media": media,
            "asked": asked,
            "exact": exact,
            "cost_usd": self.cost.map(|cost| cost.prompt.to_string()),
            "cost_max_usd": self.cost.and_then(|cost| cost.most).map(|most| most.to_string()),
            "window": self.window.map(|window| window.context),
            "fits": fits,
        })
    }
}

/// What all rows are together.
#[derive(Default)]
struct Sums {
    requests: usize,
    tokens: u64,
    cost: Usd,
    unpriced: usize,
}

impl Sums {
    fn add(&mut self, row: &Row) {
        self.requests += 1;
        self.tokens = self.tokens.saturating_add(row.count.prompt());
        match row.cost.and_then(|cost| self.cost.plus(cost.prompt)) {
            Some(sum) => self.cost = sum,
            None => self.unpriced += 1,
        }
    }

    fn told(&self) -> String {
        let Sums { requests, tokens, cost, unpriced } = self;
        let without =
            if *unpriced == 0 { String::new() } else { format!(" ({unpriced} without a price)") };
        format!("{requests} requests, {tokens} tokens, {cost} USD{without}")
    }
}

/// What a prompt costs, and with all of the output that is asked for.
#[derive(Clone, Copy)]
struct Cost {
    prompt: Usd,
    most: Option<Usd>,
}

impl Cost {
    fn told(self) -> String {
        let most = self.most.map_or_else(String::new, |most| format!(" ({most} at most)"));
        format!(", {} USD{most}", self.prompt)
    }
}

/// Prices and windows: of a configuration, over the built-in ones.
struct Tables {
    prices: PriceList,
    engine: Option<Arc<Engine>>,
}

impl Tables {
    fn load(path: Option<&Path>) -> Result<Tables, Trouble> {
        let Some(path) = path else {
            let prices = PriceList::new(Vec::new(), Unpriced::Refuse, true);
            return Ok(Tables { prices, engine: None });
        };
        let config = super::load(Some(path))?;
        let own = config.prices.iter().map(|price| NamedPrice {
            model: price.model.clone(),
            price: Price {
                request: price.request,
                ..Price::tokens(price.input, price.cached_input, price.output)
            },
        });
        let prices = PriceList::new(own.collect(), Unpriced::Refuse, config.budget.shipped_prices);
        Ok(Tables { prices, engine: Some(Engine::new(engine_spec(&config, None))) })
    }

    /// What a prompt costs at the first provider that answers for the model.
    fn cost(&self, model: &str, prompt: u64, asked: Option<u64>) -> Option<Cost> {
        let target =
            self.engine.as_ref().and_then(|engine| engine.resolve(model).into_iter().next());
        let (provider, model) = target.unwrap_or_else(|| (String::new(), model.to_owned()));
        let price = self.prices.price(&provider, &model)?;
        let of = |output: u64| {
            price.cost(&Quantity { requests: 1, input: prompt, output, ..Quantity::default() }).ok()
        };
        Some(Cost { prompt: of(0)?, most: asked.and_then(of) })
    }

    fn window(&self, model: &str) -> Option<Window> {
        match &self.engine {
            Some(engine) => engine.reach(model).first()?.window,
            None => Window::of(model, &[]),
        }
    }
}

fn how(exact: bool) -> &'static str {
    if exact { "" } else { " (estimated)" }
}
