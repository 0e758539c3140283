"""Malformed and hostile HTTP against a running gateway.

Each case says which answers are right; after each one the process must be there and answer a new
caller. A refusal of ours carries all four keys of an error, a request id and its kind.
"""

import sys
import traceback

import bad_bodies
import bad_requests
import connections
import surface
from wire import alive

CASES = bad_requests.CASES + bad_bodies.CASES + connections.CASES + surface.CASES


def main():
    """Every case, a line each; the exit code."""
    passed = failed = 0
    for name, work in CASES:
        try:
            work()
            alive()
        except Exception as error:  # one case must not end the run
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1].lineno
            print(f"FAIL raw: {name}: {type(error).__name__}: {error} (line {where})", flush=True)
        else:
            passed += 1
            print(f"ok   raw: {name}", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
