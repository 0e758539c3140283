"""The console in a real browser: what a person does there, how it looks, and who is kept out.

Needs Chromium and ChromeDriver, the pinned `openai` package, and MAINSTAY_BASE_URL and
MAINSTAY_ADMIN_URL. Pictures of every page go to `screenshots/` in the working directory.
"""

import sys

import alarms
import callers
import door
import looks
import work
from browser import Browser
from harness import case, finish


def main():
    """Every case; the exit code."""
    browser = Browser()
    try:
        door.before(browser)
        looks.empty(browser)
        work.run(browser)
        callers.run(browser)
        alarms.run(browser)
        looks.run(browser)
        case("the browser had nothing to complain about", door.no_complaints, browser)
        door.after(browser)  # the last: it closes the door for half a minute
    finally:
        browser.close()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
