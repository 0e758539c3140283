//! Suites against the release binary: each a script that prints a line per case and
//! `N passed, N failed`, beside a gateway and a simulator of its own.

use crate::places::{binary, fresh, root};
use crate::process::{Show, run};
use crate::sdk::{Tool, unpacked_tests};
use crate::server::Server;
use crate::tally::Tally;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a suite may take.
const LIMIT: Duration = Duration::from_mins(6);
/// How long its long form may take.
const FULL_LIMIT: Duration = Duration::from_mins(20);

/// A suite: a script and what it needs.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) tool: Tool,
    /// The script, relative to `crates/checks`.
    script: &'static str,
    /// The gateways it is played against, each beside a simulator; none: it starts its own.
    fronts: &'static [Front],
}

/// Whose key the gateway sends to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    /// None: the simulator itself. The suite and the simulator must agree before a gateway is judged.
    Provider,
    /// The gateway's: callers have keys of ours.
    Gateway,
    /// The caller's, passed on: a provider's 401 is then the caller's own.
    Pass,
    /// The gateway's, with any key let in, before a simulator that makes up what it is asked for.
    Open,
    /// The gateway's, with time for uploads and short waits between attempts.
    Surface,
    /// The gateway's, before two simulators: `both…` goes to either, `lone…` to the first only.
    Two,
}

/// Every suite, the quickest first.
pub(crate) const ALL: &[Suite] = &[
    Suite { name: "suite: command line", tool: Tool::Python, script: "cli/main.py", fronts: &[] },
    Suite {
        name: "suite: raw sockets",
        tool: Tool::Python,
        script: "raw/main.py",
        fronts: &[Front::Gateway],
    },
    Suite {
        name: "suite: Prometheus",
        tool: Tool::Prometheus,
        script: "observability/main.py",
        fronts: &[],
    },
    Suite {
        name: "suite: official SDK for Python",
        tool: Tool::PythonSdk,
        script: "sdk/python/main.py",
        fronts: &[Front::Provider, Front::Gateway, Front::Pass],
    },
    Suite {
        name: "suite: the SDK for Python's own tests",
        tool: Tool::PythonSdkTests,
        script: "sdk/suite/main.py",
        fronts: &[Front::Open],
    },
    Suite {
        name: "suite: official SDK for Node",
        tool: Tool::NodeSdk,
        script: "sdk/node/main.mjs",
        fronts: &[Front::Provider, Front::Gateway, Front::Pass],
    },
    Suite {
        name: "suite: every error on every family, official SDK for Python",
        tool: Tool::PythonSdk,
        script: "sdk/python/families.py",
        fronts: &[Front::Provider, Front::Surface],
    },
    Suite {
        name: "suite: whole pieces of work, official SDK for Python",
        tool: Tool::PythonSdk,
        script: "sdk/python/surface.py",
        fronts: &[Front::Surface],
    },
    Suite {
        name: "suite: whole pieces of work, official SDK for Node",
        tool: Tool::NodeSdk,
        script: "sdk/node/surface.mjs",
        fronts: &[Front::Surface],
    },
    Suite {
        name: "suite: console in a browser",
        tool: Tool::Browser,
        script: "console/main.py",
        fronts: &[Front::Gateway],
    },
    Suite {
        name: "suite: broken streams, official SDK for Python",
        tool: Tool::PythonSdk,
        script: "sdk/python/streams.py",
        fronts: &[Front::Two],
    },
    Suite {
        name: "suite: broken streams, official SDK for Node",
        tool: Tool::NodeSdk,
        script: "sdk/node/streams.mjs",
        fronts: &[Front::Two],
    },
];

/// A large upload takes its time; what goes wrong once is tried again soon.
const WORKING: &str = "
[policy.retry]
transient_base = \"1ms\"
transient_cap = \"10ms\"

[policy.breaker]
enabled = false
";

/// The tests of the SDK call with ids that were never made.
const MAKING_UP: &str = "[objects]\nstep = \"0s\"\nunknown = \"make_up\"\n";

/// Waits short enough for a test, and attempts few enough to count; the rules are the same.
const POLICY: &str = "
[policy.retry]
attempts_max = 3
attempts_per_call_max = 3
wait_max = \"300ms\"

[policy.breaker]
failures = 1000

[policy.timeouts]
first_content = \"2s\"
headers = \"2s\"
total = \"8s\"
";

/// Who is believed about where a caller is: whoever is on this machine.
const PLACES: &str = "trusted_proxies = [\"127.0.0.1/32\"]\ncountry_header = \"x-country\"\n";

/// Short silences, and no memory of failures: each stream is broken on purpose.
const BREAKING: &str = "
[policy.retry]
transient_base = \"1ms\"
transient_cap = \"10ms\"
budget_capacity = 1000000

[policy.breaker]
enabled = false

[policy.timeouts]
first_content_soft = \"400ms\"
first_content = \"800ms\"
idle = \"800ms\"
total = \"20s\"

[[route]]
model = \"both*\"
targets = [\"first\", \"second\"]

[[route]]
model = \"lone*\"
targets = [\"first\"]
";

/// The configuration of the gateway before two simulators.
fn config_of_two(first: &Server, second: &Server) -> String {
    let provider = |name: &str, sim: &Server| {
        let url = sim.base_url();
        format!(
            "\n[[provider]]\nname = \"{name}\"\nbase_url = \"{url}\"\napi_key = \"sk-sim-{name}-0001\"\n"
        )
    };
    format!("{BREAKING}{}{}", provider("first", first), provider("second", second))
}

/// The configuration of the gateway under test.
fn config(auth: &str, sim: &Server) -> String {
    config_with(auth, POLICY, sim)
}

fn config_with(auth: &str, policy: &str, sim: &Server) -> String {
    format!(
        "[server]\nauth = \"{auth}\"\n{PLACES}{policy}\n[[provider]]\nname = \"sim\"\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-sim-upstream-0001\"\n",
        sim.base_url()
    )
}

/// Plays one suite against each of its fronts.
///
/// # Errors
///
/// When servers do not start, do not survive, or the suite did not end by itself.
pub(crate) fn play(suite: &Suite, tool: &Path, full: bool) -> Result<Tally, String> {
    let directory = fresh(&suite.name.replace([' ', ':'], "-"))?;
    if suite.fronts.is_empty() {
        return outcome(&mut script(suite, tool, &directory, full), full);
    }
    let mut sum = Tally::default();
    for front in suite.fronts {
        let place = directory.join(format!("{front:?}").to_lowercase());
        std::fs::create_dir_all(&place).map_err(|e| format!("create {}: {e}", place.display()))?;
        let tally = play_against(*front, script(suite, tool, &place, full), &place, full)?;
        sum.passed += tally.passed;
        sum.failed += tally.failed;
    }
    Ok(sum)
}

fn script(suite: &Suite, tool: &Path, directory: &Path, full: bool) -> Command {
    let mut command = Command::new(tool);
    command.arg(root().join("crates/checks").join(suite.script)).current_dir(directory);
    command.env("MAINSTAY_BIN", binary()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("MAINSTAY_TEST_FULL", if full { "1" } else { "" });
    if let (Tool::PythonSdkTests, Ok(tests)) = (suite.tool, unpacked_tests()) {
        command.env("MAINSTAY_SDK_TESTS", tests);
    }
    if suite.tool == Tool::NodeSdk {
        // The script is not beside the directory where npm put the SDK.
        let modules = tool.ancestors().nth(3).unwrap_or(tool);
        command.env("MAINSTAY_NODE_MODULES", modules);
    }
    command
}

fn play_against(
    front: Front,
    mut command: Command,
    place: &Path,
    full: bool,
) -> Result<Tally, String> {
    let scenario = place.join("scenario.toml");
    let scenario_path = scenario.to_string_lossy();
    let arguments: &[&str] = if front == Front::Open {
        std::fs::write(&scenario, MAKING_UP)
            .map_err(|e| format!("write {}: {e}", scenario.display()))?;
        &["--scenario", &scenario_path]
    } else {
        &[]
    };
    let sim = Server::sim(place, arguments, None)?;
    command.env("SIM_URL", format!("http://{}", sim.address));
    command.env("MAINSTAY_FRONT", format!("{front:?}").to_lowercase());
    command.env("MAINSTAY_BASE_URL", sim.base_url()).env("MAINSTAY_KEY", "sk-sim-caller-0001");
    let beside = place.join("second");
    let mut second = None;
    let config = match front {
        Front::Provider => return outcome(&mut command, full),
        Front::Gateway => config("keys", &sim),
        Front::Open => config("open", &sim),
        Front::Surface => config_with("keys", WORKING, &sim),
        Front::Pass => config("pass", &sim),
        Front::Two => {
            std::fs::create_dir_all(&beside)
                .map_err(|e| format!("create {}: {e}", beside.display()))?;
            config_of_two(&sim, second.insert(Server::sim(&beside, &[], None)?))
        }
    };
    let mut gateway = Server::serve(place, &config, None)?;
    println!("   {front:?}: first answer {} ms after the start", gateway.start_up.as_millis());
    if front != Front::Pass {
        command.env("MAINSTAY_KEY", &gateway.key);
    }
    command.env("MAINSTAY_BASE_URL", gateway.base_url());
    command.env("MAINSTAY_ADMIN_URL", format!("http://{}", gateway.admin));
    command.env("MAINSTAY_PID", gateway.pid().to_string());
    let tally = outcome(&mut command, full);
    if !gateway.is_alive() {
        return Err(format!("the gateway did not survive:\n{}", gateway.output()));
    }
    tally
}

fn outcome(command: &mut Command, full: bool) -> Result<Tally, String> {
    let ran = run(command, Show::Live, if full { FULL_LIMIT } else { LIMIT });
    let tally = Tally::read(&ran.lines);
    if tally == Tally::default() {
        return Err(format!("it printed no result: {}", ran.end));
    }
    if tally.failed == 0 && !ran.ok {
        return Err(ran.end);
    }
    Ok(tally)
}
