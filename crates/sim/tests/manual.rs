//! The manual says what the simulator does.

use mainstay_sim::{Acts, Fault, Scenario, kinds};

fn manual() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/simulator.md");
    std::fs::read_to_string(path).expect("the manual is in docs/simulator.md")
}

#[test]
fn the_manual_has_each_kind_with_what_it_answers() {
    let manual = manual();
    for kind in kinds() {
        let row = manual.lines().find(|line| line.starts_with(&format!("| `{}` |", kind.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not in the table of kinds", kind.name));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        match kind.acts {
            Acts::Json { status, kind: name, code, param, hint, .. } => {
                assert!(cells[2].starts_with(&status.to_string()), "{row}");
                assert_eq!(cells[2].contains("retry-after"), hint, "{row}");
                assert_eq!(&cells[3..6], [name, code.unwrap_or(""), param.unwrap_or("")], "{row}");
            }
            Acts::Page { status, .. } => assert_eq!(cells[2], status.to_string(), "{row}"),
            Acts::Wire(fault) => {
                assert!(cells[2].contains(&format!("`{}`", fault.name())), "{row}");
            }
        }
    }
}

#[test]
fn the_manual_has_each_fault() {
    let manual = manual();
    for fault in Fault::ALL {
        let in_first_cell = |line: &str| {
            line.starts_with("| `")
                && line
                    .split('|')
                    .nth(1)
                    .is_some_and(|cell| cell.contains(&format!("`{}`", fault.name())))
        };
        assert!(
            manual.lines().any(in_first_cell),
            "{} is not in the table of faults",
            fault.name()
        );
    }
}

#[test]
fn the_scenario_in_the_manual_is_sound() {
    let manual = manual();
    let start = manual.find("```toml\n").expect("there is an example") + "```toml\n".len();
    let end = start + manual[start..].find("```").expect("the example ends");
    Scenario::from_toml(&manual[start..end]).expect("the example can be read");
}
