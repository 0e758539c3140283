"""The official Python SDK against a gateway: what has to work, and how each error arrives.

Needs the pinned `openai` package and MAINSTAY_BASE_URL, MAINSTAY_KEY, SIM_URL; see
`crates/checks/sdk/README.md`.
"""

import sys

import openai

import calls
import errors
import keys
import limits
import money
import retries
from harness import case, finish, same

PINNED = "3.52.0"


def main():
    """Every case; the exit code."""
    case("python: the SDK is the pinned one", lambda: same("version", openai.__version__, PINNED))
    calls.run()
    errors.run()
    keys.run()
    limits.run()
    money.run()
    retries.run()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
