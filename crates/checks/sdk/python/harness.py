"""Cases, their results, and the simulator's count of what it was sent.

A case is a function; it fails by an exception. Each prints a line; the last line of a run is
`N passed, N failed`.
"""

import json
import os
import traceback
import urllib.request

BASE_URL = os.environ["MAINSTAY_BASE_URL"]
KEY = os.environ["MAINSTAY_KEY"]
SIM_URL = os.environ["SIM_URL"]
# "gateway": a gateway with the provider's credentials; "pass": one that passes the caller's on;
# "provider": no gateway at all, to see that the suite agrees with the simulator.
FRONT = os.environ.get("MAINSTAY_FRONT", "gateway")

_passed = 0
_failed = 0


def case(name, work, *arguments):
    """Runs one case and prints how it went."""
    global _passed, _failed
    try:
        work(*arguments)
    except BaseException as error:  # a case must not end the run, whatever it raises
        _failed += 1
        where = traceback.extract_tb(error.__traceback__)[-1]
        told = f"{type(error).__name__}: {error}".strip()
        print(f"FAIL {name}: {told} ({os.path.basename(where.filename)}:{where.lineno})", flush=True)
        if isinstance(error, KeyboardInterrupt):
            raise
    else:
        _passed += 1
        print(f"ok   {name}", flush=True)


def finish():
    """Prints the sums; the exit code of the run."""
    print(f"{_passed} passed, {_failed} failed", flush=True)
    return 0 if _failed == 0 and _passed > 0 else 1


def same(what, got, want):
    """Fails with both values unless they are equal."""
    if got != want:
        raise AssertionError(f"{what} is {got!r}, wanted {want!r}")


def holds(what, condition):
    """Fails with a sentence unless it is true."""
    if not condition:
        raise AssertionError(what)


def sim_stats():
    """The simulator's counters."""
    with urllib.request.urlopen(SIM_URL + "/sim/stats", timeout=10) as answer:
        return json.load(answer)


def sends(model):
    """How many calls the simulator has received for a model."""
    models = sim_stats().get("models", {})
    return int(models.get(model, 0))
