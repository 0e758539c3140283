"""The command line as people and scripts meet it: what it prints, where, and its exit codes.

Needs MAINSTAY_BIN. Works in the directory it is started in, which must be empty.
"""

import sys
import traceback

import commands
import running
import starting

CASES = commands.CASES + running.CASES + starting.CASES


def main():
    """Every case, a line each; the exit code."""
    passed = failed = 0
    for name, work in CASES:
        try:
            work()
        except Exception as error:  # one case must not end the run
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1].lineno
            print(f"FAIL cli: {name}: {type(error).__name__}: {error} (line {where})", flush=True)
        else:
            passed += 1
            print(f"ok   cli: {name}", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
