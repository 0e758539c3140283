"""Alerts: somebody is told, signed, that something is wrong and that it is over; the page shows both."""

import hashlib
import hmac
import http.server
import json
import threading
import time

import openai

import looks
from callers import made
from harness import ADMIN, case, configure, holds, same
from work import KEYS, MESSAGES, client

SECRET = "the console suite's own secret"


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes messages at `/ok`, and nothing anywhere else."""

    told = []

    def do_POST(self):  # noqa: N802  (the name is the library's)
        """Keeps a message and answers."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/ok":
            Hook.told.append((dict(self.headers), body))
        self.send_response(204 if self.path == "/ok" else 410)
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


def run(browser):
    """Cases in their order."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        case("receivers added to the file are there without a restart", receivers, browser, server.server_port)
        case("a provider without quota is told, signed, and stands on the page", raised, browser)
        case("the page of what is raised passes the audit in every look", looks.all_of, browser, "alerts-raised",
             {"alerts": "/alerts", "overview": "/"}, looks.LOOKS)
        case("the recovery is told, and the page is calm again", recovered, browser)
    finally:
        server.shutdown()


def receivers(browser, port):
    """One that takes messages, and one that refuses them."""
    browser.go(ADMIN + "/alerts")
    browser.says("Nobody is told")
    configure(f"""
[alerts]
calm = "1s"

[[alert]]
name = "ops"
url = "http://127.0.0.1:{port}/ok"
secret = "{SECRET}"

[[alert]]
name = "closed"
url = "http://127.0.0.1:{port}/gone"
rules = ["quota_exhausted"]
""")
    browser.wait(lambda: (browser.go(ADMIN + "/alerts"), "ops" in browser.text())[1], "the receiver")
    holds("the path of a webhook is a password", "/ok" not in browser.text())


def told(change):
    """The messages of a kind that the receiver has."""
    return [json.loads(body) for _, body in Hook.told if json.loads(body)["change"] == change]


def raised(browser):
    """The message, its signature, and the page."""
    # In a project without a budget: a hard one refuses what has no price.
    KEYS["alarm"], _ = made(browser, "alarm", "acme & sons / web")
    time.sleep(1)
    try:
        client(KEYS["alarm"]).chat.completions.create(model="sim-insufficient_quota", messages=MESSAGES)
        raise AssertionError("a provider without quota answered")
    except openai.APIStatusError as error:
        same("code", error.code, "insufficient_quota")
        same("who says so", error.response.headers["x-mainstay-provider"], "sim")
    message = browser.wait(lambda: told("raised"), "a message")[0]
    same("what it is about", (message["rule"], message["severity"]), ("quota_exhausted", "critical"))
    headers, body = Hook.told[0]
    parts = dict(part.split("=", 1) for part in headers["x-mainstay-signature"].split(","))
    holds("it is fresh", abs(time.time() - int(parts["t"])) < 60)
    wanted = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    same("the signature", parts["v1"], wanted)
    browser.wait(lambda: (browser.go(ADMIN + "/alerts"), "410" in browser.text())[1], "the trouble of a receiver")
    browser.says("quota_exhausted", "section[aria-labelledby=active]")
    browser.says("critical", "section[aria-labelledby=active]")
    row = "return [...document.querySelectorAll('section[aria-labelledby=receivers] tbody tr')].map((r) => r.innerText)"
    rows = {text.split()[0]: text for text in browser.script(row)}
    holds(f"one is ready and was told: {rows['ops']}", "ready" in rows["ops"])
    holds(f"the other fails: {rows['closed']}", "failing" in rows["closed"])
    browser.says("raised", "section[aria-labelledby=recent]")
    browser.go(ADMIN + "/")
    browser.says("the quota of provider sim is used up", ".note-box.bad")


def recovered(browser):
    """After an answer, and the calm."""
    client(KEYS["alarm"]).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    message = browser.wait(lambda: told("recovered"), "a message")[0]
    same("what is over", message["rule"], "quota_exhausted")
    browser.go(ADMIN + "/alerts")
    browser.says("Nothing is wrong")
    browser.says("over", "section[aria-labelledby=recent]")
