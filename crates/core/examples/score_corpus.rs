//! Scores the classification against labelled answers: `cargo run --example score_corpus FILE`.
//!
//! FILE holds JSON lines with `status`, `headers`, `body`, `stream` and `expect`; only the first
//! four reach the classifier. Prints the shares and every row that differs.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use mainstay_core::classify::jsonl;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Default)]
struct Score {
    rows: u32,
    strict: u32,
    lenient: u32,
    retryable: u32,
    scope: u32,
    delays: u32,
    delays_right: u32,
}

impl Score {
    fn add(&mut self, row: &Value, said: &Value) -> bool {
        let expect = &row["expect"];
        let among =
            |list: &Value, item: &Value| list.as_array().is_some_and(|list| list.contains(item));
        let strict = said["kind"] == expect["kind"];
        let lenient = strict || among(&expect["alt_kinds"], &said["kind"]);
        let retryable = said["retryable"] == expect["retryable"];
        let scope =
            said["scope"] == expect["scope"] || among(&expect["alt_scopes"], &said["scope"]);
        self.rows += 1;
        self.strict += u32::from(strict);
        self.lenient += u32::from(lenient);
        self.retryable += u32::from(retryable);
        self.scope += u32::from(scope);
        let mut delay_right = true;
        if let Some(wanted) = expect["retry_after_s"].as_f64() {
            let got = said["retry_after_s"].as_f64().unwrap_or(f64::INFINITY);
            delay_right = (got - wanted).abs() <= f64::max(1.0, wanted * 0.05);
            self.delays += 1;
            self.delays_right += u32::from(delay_right);
        }
        lenient && retryable && delay_right
    }

    fn print(&self, title: &str) {
        let share = |n: u32| f64::from(n) * 100.0 / f64::from(self.rows.max(1));
        println!(
            "{title}: {} rows, kind strict {:.1} %, lenient {:.1} %, retryable {:.1} %, scope {:.1} %, \
             delays {}/{}",
            self.rows,
            share(self.strict),
            share(self.lenient),
            share(self.retryable),
            share(self.scope),
            self.delays_right,
            self.delays,
        );
    }
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        println!("usage: score_corpus FILE");
        return ExitCode::from(2);
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            println!("cannot read {path}: {error}");
            return ExitCode::from(3);
        }
    };
    let (mut http, mut transport) = (Score::default(), Score::default());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (Ok(row), Ok(out)) = (serde_json::from_str::<Value>(line), jsonl::line(line)) else {
            println!("cannot read: {line:.80}");
            return ExitCode::from(1);
        };
        let said: Value = serde_json::from_str(&out).unwrap_or_default();
        let score = if row["status"].is_null() { &mut transport } else { &mut http };
        if !score.add(&row, &said) {
            let body = row["body"].as_str().unwrap_or_default();
            println!(
                "{} {} {out}\n  expected {}\n  {body:.400}",
                row["id"], row["status"], row["expect"]
            );
        }
    }
    http.print("http");
    transport.print("transport");
    ExitCode::SUCCESS
}
