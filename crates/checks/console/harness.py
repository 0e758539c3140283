"""Cases and their results, the gateway under test, and requests past the browser."""

import http.client
import os
import traceback
import urllib.parse

BASE_URL = os.environ["MAINSTAY_BASE_URL"]
ADMIN = os.environ["MAINSTAY_ADMIN_URL"]
HOST = urllib.parse.urlsplit(ADMIN).netloc

_results = {"passed": 0, "failed": 0}


def token():
    """The administration token, from the file that the first start wrote."""
    with open("mainstay.admin-token", encoding="utf-8") as file:
        return file.read().strip()


def configure(text):
    """Adds to the gateway's file, which it reads again by itself."""
    with open("mainstay.toml", "a", encoding="utf-8") as file:
        file.write("\n" + text)


def case(name, work, *arguments):
    """Runs one case and prints how it went."""
    try:
        work(*arguments)
    except Exception as error:  # a case must not end the run
        _results["failed"] += 1
        where = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in where if "console" in frame.filename][-1]
        place = f"{os.path.basename(own.filename)}:{own.lineno}"
        print(f"FAIL console: {name}: {type(error).__name__}: {error} ({place})", flush=True)
    else:
        _results["passed"] += 1
        print(f"ok   console: {name}", flush=True)


def finish():
    """Prints the sums; the exit code of the run."""
    print(f"{_results['passed']} passed, {_results['failed']} failed", flush=True)
    return 0 if _results["failed"] == 0 and _results["passed"] > 0 else 1


def same(what, got, want):
    """Fails with both values unless they are equal."""
    if got != want:
        raise AssertionError(f"{what} is {got!r}, wanted {want!r}")


def holds(what, condition):
    """Fails with a sentence unless it is true."""
    if not condition:
        raise AssertionError(what)


def ask(method, path, form=None, cookie=None, **headers):
    """A request past the browser: status, headers, body."""
    connection = http.client.HTTPConnection(HOST, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = None
    if form is not None:
        body = urllib.parse.urlencode(form)
        sent["content-type"] = "application/x-www-form-urlencoded"
        sent.setdefault("origin", ADMIN)
    if cookie:
        sent["cookie"] = cookie
    try:
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        return answer.status, dict((n.lower(), v) for n, v in answer.getheaders()), answer.read().decode()
    finally:
        connection.close()
