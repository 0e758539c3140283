//! `mainstay tokens`: how many tokens text or requests are, what they cost before they are answered,
//! and whether they fit their model's window.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay::Engine;
use mainstay_core::money::{NamedPrice, Price, PriceList, Quantity, Unpriced, Usd};
use mainstay_gateway::engine_spec;
use mainstay_tokens::fits::{Fit, fits};
use mainstay_tokens::models::Window;
use mainstay_tokens::request::{Count, count, count_text};
use serde_json::{Value, json};

use super::inputs::{Inputs, read};
use crate::args::TokensArgs;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(args: &TokensArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let tables = Tables::load(args.config.as_deref())?;
    let Inputs { files, many } = Inputs::of(&args.files)?;
    let (mut exit, mut sums) = (Exit::Worked, Sums::default());
    for file in &files {
        let text = read(file)?;
        let text = String::from_utf8(text).map_err(|error| {
            let what = format!("`{}` is not UTF-8", file.display());
            let why = format!("byte {} does not belong to it", error.utf8_error().valid_up_to());
            Trouble::new(Exit::Failed, what, why, "save it as UTF-8")
        })?;
        let model = args.model.as_deref();
        let input = Input { file: many.then_some(file), text: &text, model, tables: &tables };
        if !input.count(&mut sums, show)? {
            exit = Exit::Failed;
        }
    }
    if !show.json() && (many || sums.lines > 0) && sums.counted() > 0 {
        show.line(&sums.told())?;
    }
    Ok(exit)
}

/// A file's text and what it is counted for.
struct Input<'a> {
    /// Its name, where there are several.
    file: Option<&'a PathBuf>,
    text: &'a str,
    model: Option<&'a str>,
    tables: &'a Tables,
}

impl Input<'_> {
    /// Counts all of it; `false` when a line is no request.
    fn count(&self, sums: &mut Sums, show: &mut Show) -> Result<bool, Trouble> {
        if !self.text.trim_start().starts_with('{') {
            self.plain(sums, show)?;
            return Ok(true);
        }
        if let Some(whole) = Row::of(self.text, self.model, self.tables) {
            sums.add(&whole);
            self.show(&whole.object(None), &whole.told(), show)?;
            return Ok(true);
        }
        self.lines(sums, show)
    }

    fn plain(&self, sums: &mut Sums, show: &mut Show) -> Result<(), Trouble> {
        let model = self.model.unwrap_or_default();
        let (tokens, range) = count_text(model, self.text);
        let exact = range.0 == range.1;
        let cost = self.tables.cost(model, tokens, None);
        let value = json!({"tokens": tokens, "exact": exact, "at_least": range.0, "at_most": range.1,
            "cost_usd": cost.map(|cost| cost.prompt.to_string())});
        let price = cost.map_or_else(String::new, |cost| format!(", {} USD", cost.prompt));
        sums.texts += 1;
        sums.sum(tokens, cost);
        self.show(&value, &format!("{tokens} tokens{}{price}", how(exact, Some(range))), show)
    }

    fn lines(&self, sums: &mut Sums, show: &mut Show) -> Result<bool, Trouble> {
        let mut all = true;
        let lines = self.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        for (index, line) in lines {
            let number = index + 1;
            let Some(row) = Row::of(line, self.model, self.tables) else {
                all = false;
                let place =
                    self.file.map_or_else(String::new, |file| format!("{}: ", file.display()));
                let what = format!("{place}line {number} is no JSON object");
                let why = "a request is one, and nothing was counted";
                let fix = "`mainstay check` shows the place";
                show.warn(&Trouble::new(Exit::Failed, what, why, fix));
                continue;
            };
            sums.lines += 1;
            sums.add(&row);
            self.show(&row.object(Some(number)), &format!("{number}: {}", row.told()), show)?;
        }
        Ok(all)
    }

    fn show(&self, value: &Value, text: &str, show: &mut Show) -> Result<(), Trouble> {
        let Some(file) = self.file else { return show.either(value, text) };
        let mut value = value.clone();
        value["file"] = json!(file.to_string_lossy());
        show.either(&value, &format!("{}: {text}", file.display()))
    }
}

/// What one request is and costs.
struct Row {
    /// What a Batch line calls itself.
    custom_id: Option<String>,
    count: Count,
    cost: Option<Cost>,
    window: Option<Window>,
}

impl Row {
    /// Counts a request, or the body of a Batch line; `None` when it is no JSON object.
    fn of(text: &str, model: Option<&str>, tables: &Tables) -> Option<Row> {
        let line: Value = serde_json::from_str(text).ok().filter(Value::is_object)?;
        let id = line.get("custom_id");
        let custom_id = id.and_then(Value::as_str).map(str::to_owned);
        let inner = id.and_then(|_| line.get("body"));
        let body = inner.unwrap_or(&line);
        let count = count(body.to_string().as_bytes(), model).ok()?;
        let named = body.get("model").and_then(Value::as_str);
        let model = model.or(named).unwrap_or_default();
        let cost = tables.cost(model, count.prompt(), count.asked);
        Some(Row { custom_id, count, cost, window: tables.window(model) })
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
        let how = how(exact, self.count.range);
        format!("{} tokens{how}{asked}{cost}{long}", self.count.prompt())
    }

    fn object(&self, line: Option<usize>) -> Value {
        let Count { messages, tools, format, media, asked, exact, .. } = self.count;
        let fits = self.fit().map(|fit| match fit {
            Fit::Fits { .. } => true,
            Fit::TooLong(_) => false,
        });
        json!({
            "line": line,
            "custom_id": self.custom_id,
            "tokens": self.count.prompt(),
            "messages": messages,
            "tools": tools,
            "format": format,
            "media": media,
            "asked": asked,
            "exact": exact,
            "at_least": self.count.range.map(|range| range.0),
            "at_most": self.count.range.map(|range| range.1),
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
    texts: usize,
    /// How many of the requests were lines.
    lines: usize,
    tokens: u64,
    cost: Usd,
    unpriced: usize,
}

impl Sums {
    fn add(&mut self, row: &Row) {
        self.requests += 1;
        self.sum(row.count.prompt(), row.cost);
    }

    fn sum(&mut self, tokens: u64, cost: Option<Cost>) {
        self.tokens = self.tokens.saturating_add(tokens);
        match cost.and_then(|cost| self.cost.plus(cost.prompt)) {
            Some(sum) => self.cost = sum,
            None => self.unpriced += 1,
        }
    }

    fn counted(&self) -> usize {
        self.requests + self.texts
    }

    fn told(&self) -> String {
        let Sums { requests, texts, lines: _, tokens, cost, unpriced } = self;
        let counted = |number: usize, noun: &str| match number {
            0 => None,
            1 => Some(format!("1 {noun}")),
            _ => Some(format!("{number} {noun}s")),
        };
        let what = [counted(*requests, "request"), counted(*texts, "text")];
        let what = what.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let without =
            if *unpriced == 0 { String::new() } else { format!(" ({unpriced} without a price)") };
        format!("{what}, {tokens} tokens, {cost} USD{without}")
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

/// Between what a count that is not exact is, where that is known.
fn how(exact: bool, range: Option<(u64, u64)>) -> String {
    match (exact, range) {
        (true, _) => String::new(),
        (false, Some((least, most))) => format!(" (estimated, {least} to {most})"),
        (false, None) => " (estimated)".to_owned(),
    }
}
