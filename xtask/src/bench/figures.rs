//! What was measured: a line of JSON each, and tables of all rounds.

use crate::places::target;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// One measurement.
#[derive(Clone, Debug)]
pub(super) struct Line {
    peer: String,
    round: u64,
    test: String,
    values: Vec<(String, f64)>,
}

impl Line {
    pub(super) fn new(peer: &str, round: u64, test: &str) -> Line {
        Line { peer: peer.to_owned(), round, test: test.to_owned(), values: Vec::new() }
    }

    pub(super) fn with(mut self, name: &str, value: f64) -> Line {
        self.values.push((name.to_owned(), value));
        self
    }

    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    fn json(&self) -> String {
        let Line { peer, round, test, values } = self;
        let mut text = format!(r#"{{"peer":"{peer}","round":{round},"test":"{test}""#);
        for (name, value) in values {
            let _ = write!(text, r#","{name}":{value:.2}"#);
        }
        text.push('}');
        text
    }
}

/// Rounds and values of each peer.
type ByPeer<'a> = BTreeMap<&'a str, Vec<(u64, f64)>>;

/// All of them; each is printed and written down as it comes.
pub(super) struct Figures {
    lines: Vec<Line>,
    file: File,
}

impl Figures {
    pub(super) fn new(directory: &Path) -> Result<Figures, String> {
        let path = directory.join("figures.jsonl");
        let shown = path.strip_prefix(target()).unwrap_or(&path).display();
        println!("each line is in {shown} of the build directory too");
        let file = File::create(&path).map_err(|e| format!("create {shown}: {e}"))?;
        Ok(Figures { lines: Vec::new(), file })
    }

    pub(super) fn add(&mut self, line: Line) -> Result<(), String> {
        let text = line.json();
        println!("{text}");
        self.lines.push(line);
        writeln!(self.file, "{text}").map_err(|e| format!("write figures: {e}"))
    }

    pub(super) fn has_failures(&self) -> bool {
        self.lines.iter().any(|line| line.value("failed").is_some_and(|failed| failed > 0.0))
    }

    /// A figure of one peer by the same of another, within a round: least, median and greatest.
    pub(super) fn ratio(&self, (test, name): (&str, &str), of: &str, to: &str) -> [f64; 3] {
        let values = |peer: &str| -> Vec<(u64, f64)> {
            let lines = self.lines.iter().filter(|line| line.peer == peer && line.test == test);
            lines.filter_map(|line| Some((line.round, line.value(name)?))).collect()
        };
        spread(ratios(&values(of), &values(to)))
    }

    /// A table: each figure of each test, by peer, and its ratio to nginx within a round.
    pub(super) fn print(&self) {
        let mut tests: BTreeMap<(&str, &str), ByPeer<'_>> = BTreeMap::new();
        for line in &self.lines {
            for (name, value) in line.values.iter().filter(|(name, _)| !name.starts_with("core")) {
                let of = tests.entry((&line.test, name)).or_default();
                of.entry(&line.peer).or_default().push((line.round, *value));
            }
        }
        println!("\n| test | figure | peer | min / median / max | to nginx |");
        println!("| --- | --- | --- | --- | --- |");
        for ((test, name), peers) in tests.iter().filter(|((_, name), _)| *name != "failed") {
            for (peer, values) in peers {
                let nginx = peers.get("nginx").map_or(&[][..], Vec::as_slice);
                let all = show(spread(values.iter().map(|(_, value)| *value)), 1);
                let ratios = ratios(values, nginx);
                println!("| {test} | {name} | {peer} | {all} | {} |", show(spread(ratios), 2));
            }
        }
    }
}

/// Each value by nginx's in the same round.
fn ratios(values: &[(u64, f64)], nginx: &[(u64, f64)]) -> impl Iterator<Item = f64> {
    let of = |round: u64| nginx.iter().find(|(known, _)| *known == round).map(|(_, base)| *base);
    let of = move |round: u64| of(round).filter(|base| *base > 0.0);
    values.iter().filter_map(move |(round, value)| Some(value / of(*round)?))
}

/// Least, median and greatest of some numbers.
fn spread(numbers: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut all: Vec<f64> = numbers.collect();
    all.sort_by(f64::total_cmp);
    match all.as_slice() {
        [] => [0.0; 3],
        some => [some[0], some[some.len() / 2], some[some.len() - 1]],
    }
}

fn show([least, median, greatest]: [f64; 3], digits: usize) -> String {
    format!("{least:.digits$} / {median:.digits$} / {greatest:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_and_a_spread_is_least_median_greatest() {
        let line = Line::new("nginx", 1, "idle").with("rss_mib", 14.0);
        assert_eq!(line.json(), r#"{"peer":"nginx","round":1,"test":"idle","rss_mib":14.00}"#);
        assert_eq!(show(spread([3.0, 1.0, 2.0].into_iter()), 0), "1 / 2 / 3");
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let (ours, nginx) = ([(1, 4.0), (2, 9.0)], [(2, 3.0), (1, 2.0)]);
        assert_eq!(ratios(&ours, &nginx).collect::<Vec<_>>(), [2.0, 3.0]);
        assert_eq!(ratios(&ours, &[]).count(), 0);
        assert_eq!(ratios(&ours, &[(1, 0.0), (2, 0.0)]).count(), 0);
    }
}
