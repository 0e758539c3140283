"""What a person does: makes a key, uses it, looks at a request, withdraws the key, sets a budget."""

import csv
import io
import json
import pathlib
import re
import time
import zipfile

import openai

from door import session
from harness import ADMIN, BASE_URL, ask, case, holds, same, token

KEYS = {}
MESSAGES = [{"role": "user", "content": "the secret of the console is 4711"}]


def run(browser):
    """Cases in the order of a day."""
    case("a key is made and shown once", make_key, browser)
    case("a form with a fault keeps what was written and says what is wrong", faulty_form, browser)
    case("the key works with the official SDK", use_key)
    case("the request is there with its timeline", see_request, browser)
    case("a failure tells its cause, its steps and each attempt", see_failure, browser)
    case("the support bundle is downloaded, and no secret is in it", bundle, browser)
    case("requests can be filtered", filtered, browser)
    case("providers show circuits and their last failures", providers, browser)
    case("the overview counts without being loaded again", live, browser)
    case("an organization, a project and a key of it", organization, browser)
    case("a budget is set, drawn, raised and taken away", budget, browser)
    case("usage adds up and comes as a file", usage, browser)
    case("a key is replaced, and both work in the grace", rotate, browser)
    case("a revoked key is refused, and the refusal is explained", revoke, browser)
    case("the catalogue answers to a message", catalogue, browser)
    case("settings show what holds and no secret", settings, browser)
    case("colours can be chosen", colours, browser)
    case("the keyboard leads past the menu, and each stop is seen", keyboard, browser)
    case("everything can be reached with the keyboard, and is marked", every_stop, browser)
    case("a key is made with the keyboard alone", by_keys_alone, browser)


def client(key):
    """The official SDK."""
    return openai.OpenAI(base_url=BASE_URL, api_key=key, max_retries=0, timeout=20)


def make_key(browser):
    """By the form; the secret is not on any page afterwards."""
    browser.go(ADMIN + "/keys")
    browser.type("#f-name", "browser <b>suite</b>")
    browser.click("form[action='/keys'] .button")
    secret = browser.text("#secret")
    holds(f"{secret[:10]} is a key", re.fullmatch(r"sk-ms-[A-Za-z0-9_-]+", secret))
    KEYS["secret"] = secret
    browser.click("a[href^='/keys/key_']")
    KEYS["id"] = browser.url.rsplit("/", 1)[1]
    browser.says("browser <b>suite</b>", "h1")
    for path in ("/keys", f"/keys/{KEYS['id']}"):
        browser.go(ADMIN + path)
        holds(f"the secret is not on {path}", secret not in browser.script("return document.documentElement.outerHTML"))


def faulty_form(browser):
    """What was written is there to be corrected."""
    browser.go(ADMIN + "/keys")
    browser.type("#f-name", "short-lived")
    browser.type("#f-expires", "soon")
    browser.click("form[action='/keys'] .button")
    browser.says("duration with a unit", "[role=alert]")
    same("the name", browser.script("return document.querySelector('#f-name').value"), "short-lived")
    same("the fault", browser.script("return document.querySelector('#f-expires').getAttribute('aria-invalid')"), "true")


def use_key():
    """Calls of each outcome."""
    time.sleep(1)
    api = client(KEYS["secret"])
    for _ in range(3):
        answer = api.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        holds("there is an answer", answer.choices[0].message.content)
    raw = api.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES, stream=True)
    KEYS["good"] = raw.headers["x-request-id"]
    holds("the stream has pieces", sum(1 for _ in raw.parse()) > 1)
    for model in ("sim-overloaded", "sim-rate_limit_tokens"):
        try:
            api.chat.completions.create(model=model, messages=MESSAGES)
        except openai.APIStatusError as error:
            KEYS[model] = error.response.headers["x-request-id"]
    holds("failures came", len([name for name in KEYS if name.startswith("sim-")]) == 2)


def see_request(browser):
    """From the list to one request."""
    browser.go(ADMIN + "/requests")
    browser.says("gpt-4o", "table")
    browser.says("browser <b>suite</b>", "table")
    browser.go(ADMIN + f"/requests/{KEYS['good']}")
    browser.says("Answered by sim with 200")
    drawn = browser.script("return document.querySelectorAll('.timeline svg rect.ok, .timeline svg rect.second').length")
    holds("the attempt is drawn", drawn >= 1)
    spoken = browser.script("return document.querySelector('.timeline svg').getAttribute('aria-label')")
    holds(f"it is said in words: {spoken}", "1. sim / gpt-4o: answered" in spoken)
    holds("no prompt is there", "4711" not in browser.script("return document.documentElement.outerHTML"))


def see_failure(browser):
    """Each attempt, the waits between, what to do."""
    browser.go(ADMIN + "/requests")
    browser.type("#id", KEYS["sim-overloaded"])
    browser.click("form[role=search] button")
    browser.says("What to do")
    browser.says("overloaded")
    lanes = browser.script("return document.querySelectorAll('.timeline .draw svg').length")
    same("attempts", lanes, 3)
    holds("a wait is drawn", browser.script("return document.querySelectorAll('.timeline rect.wait').length") >= 1)
    same("failed ones", browser.script("return document.querySelectorAll('.timeline rect.failed').length"), 3)
    browser.click("a[href='/errors/overloaded']")
    browser.says("Sending it again")


def bundle(browser):
    """By the button; the same as the API's, and readable by others."""
    folder = pathlib.Path("downloads").resolve()
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    request = KEYS["sim-overloaded"]
    browser.go(ADMIN + f"/requests/{request}")
    browser.click("form[action$='/report'] .button")
    path = folder / f"{request}.zip"
    browser.wait(path.exists, "the file")
    with zipfile.ZipFile(path) as archive:
        same("the first file that is not whole", archive.testzip(), None)
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    for name in ("manifest.json", "report.txt", "request.json", "config.json", "limits.json", "log.txt"):
        holds(f"{name} is in {sorted(texts)}", name in texts)
    for said in (request, "Error kind: overloaded", "Model asked for: sim-overloaded", "Attempt 3: sim/sim-overloaded"):
        holds(f"{said!r} in {texts['report.txt']}", said in texts["report.txt"])
    same("attempts", len(json.loads(texts["request.json"])["timeline"]), 3)
    holds("what was left out is told", json.loads(texts["manifest.json"])["left_out"])
    cookie = session(browser)
    for secret in (KEYS["secret"], "sk-sim-upstream-0001", token(), cookie["value"], "4711"):
        holds("a secret is in it", all(secret not in text for text in texts.values()))
    same("without a session", ask("GET", f"/requests/{request}/report")[0], 303)


def filtered(browser):
    """By kind, and by a status that nothing has."""
    browser.go(ADMIN + "/requests?kind=overloaded")
    browser.says("overloaded", "table")
    rows = browser.script("return [...document.querySelectorAll('tbody tr')].every((row) => row.textContent.includes('overloaded'))")
    holds("every line is of the kind", rows)
    browser.go(ADMIN + "/requests?status=499")
    browser.says("No request fits")


def providers(browser):
    """What the calls before have left."""
    browser.go(ADMIN + "/providers")
    browser.says("answering", "section[aria-labelledby=sim]")
    row = browser.script("return [...document.querySelectorAll('tbody tr')].find((r) => r.cells[0].textContent === 'gpt-4o')?.innerText || ''")
    for word in ("closed", "none known"):
        holds(f"{word!r} in {row!r}", word in row)
    browser.says("Last failures")
    browser.says("overloaded", "section[aria-labelledby=sim] .list")


def live(browser):
    """A call is counted on a page that is open."""
    browser.go(ADMIN + "/")
    browser.script("window.marked = true")
    browser.find("[data-live-switch]:not([hidden])")
    before = browser.text("[data-live]")
    for _ in range(5):
        client(KEYS["secret"]).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    browser.wait(lambda: browser.text("[data-live]") != before, "a new count")
    holds("the page is the same", browser.script("return window.marked === true"))
    browser.says("overloaded", "section[aria-labelledby=kinds]")
    for part in ("traffic", "ttfc", "cost"):
        browser.find(f"section[aria-labelledby={part}] svg[role=img]")
    browser.click("[data-live-switch]")
    browser.says("Updates are paused", "[data-live-state]")


def organization(browser):
    """Made by forms, each known to the next."""
    browser.go(ADMIN + "/organizations")
    browser.type("#f-name", "acme & sons")
    browser.click("form[action='/organizations'] button")
    browser.says("The organization is there.", "[role=status]")
    browser.script("const s = document.querySelector('#f-org'); s.value = [...s.options].find((o) => o.text === 'acme & sons').value")
    browser.type("#f-project", "web")
    browser.click("form[action='/organizations/projects'] button")
    browser.says("The project is there.", "[role=status]")
    browser.type("#f-name", "acme & sons")
    browser.click("form[action='/organizations'] button")
    browser.says("Nothing was changed", "[role=alert]")


def budget(browser):
    """For the key, with what was spent already drawn."""
    browser.go(ADMIN + f"/budgets?key={KEYS['id']}")
    browser.type("#f-amount_usd", "five dollars")
    browser.click("form[action='/budgets'] .button")
    browser.says("is an amount such as 5.00", "[role=alert]")
    browser.type("#f-amount_usd", "5.00")
    browser.click("form[action='/budgets'] .button")
    browser.says("The budget holds.", "[role=status]")
    browser.says("of $5.00")
    holds("it is drawn", browser.script("return document.querySelectorAll('.chart path.limit').length") == 1)
    browser.click(".ask summary")
    browser.type(".ask input[name=amount_usd]", "2.50")
    browser.click(".ask .button")
    browser.says("The credit is added.", "[role=status]")
    browser.says("of $7.50, $2.50 of it credit")
    browser.click(".ask + .ask summary")
    browser.click(".ask .danger")
    browser.says("No budget is set")
    browser.script("document.querySelector('#f-owner').value = [...document.querySelector('#f-owner').options].find((o) => o.value.startsWith('project:')).value")
    browser.type("#f-amount_usd", "25.00")
    browser.click("form[action='/budgets'] .button")
    browser.says("of $25.00")


def usage(browser):
    """The page, and the file beside it."""
    browser.go(ADMIN + "/usage?by=model&since=7d")
    browser.wait(lambda: "gpt-4o" in browser.text("table"), "a line of the model")
    cookie = session(browser)
    path = browser.script("return document.querySelector('a[href^=\"/usage.csv\"]').getAttribute('href')")
    status, headers, body = ask("GET", path, cookie=f"{cookie['name']}={cookie['value']}")
    same("status", (status, headers["content-type"]), (200, "text/csv; charset=utf-8"))
    lines = list(csv.DictReader(io.StringIO(body)))
    of_model = [line for line in lines if line["id"] == "gpt-4o"]
    same("lines of the model", len(of_model), 1)
    holds(f"requests in {of_model}", int(of_model[0]["requests"]) >= 3)
    holds(f"a cost in {of_model}", float(of_model[0]["cost_usd"]) > 0)
    sums = {}
    for by in ("model", "project", "key", "org", "day"):
        browser.go(ADMIN + f"/usage?by={by}&since=7d")
        browser.find("section[aria-labelledby=lines] tbody tr")
        path = browser.script("return document.querySelector('a[href^=\"/usage.csv\"]').getAttribute('href')")
        file = ask("GET", path, cookie=f"{cookie['name']}={cookie['value']}")[2]
        lines = list(csv.DictReader(io.StringIO(file)))
        sums[by] = (sum(int(one["requests"]) for one in lines), sum(int(one["output_tokens"]) for one in lines))
    holds(f"every view adds up to the same: {sums}", len(set(sums.values())) == 1)


def rotate(browser):
    """A successor, and a grace."""
    browser.go(ADMIN + f"/keys/{KEYS['id']}")
    browser.click(".ask summary")
    browser.click("form[action$='/rotate'] .button")
    KEYS["successor"] = browser.text("#secret")
    time.sleep(1)
    for name in ("secret", "successor"):
        client(KEYS[name]).models.list()
    browser.go(ADMIN + f"/keys/{KEYS['id']}")
    browser.says("replaced, in grace")


def revoke(browser):
    """The SDK is refused, and the refusal stands among the requests with what to do."""
    browser.click(".ask + .ask summary")
    browser.click("form[action$='/revoke'] .button")
    browser.says("The key is revoked.", "[role=status]")
    time.sleep(1)
    try:
        client(KEYS["secret"]).chat.completions.create(model="gpt-4o", messages=MESSAGES)
        raise AssertionError("a revoked key works")
    except openai.AuthenticationError as error:
        refused = error.response.headers["x-request-id"]
        same("code", error.code, "revoked_api_key")
    browser.go(ADMIN + f"/requests/{refused}")
    browser.says("Refused here with 401")
    browser.says("revoked_api_key")
    browser.says("What to do")
    browser.click("a[href='/errors/revoked_api_key']")
    browser.says("What to do")


def catalogue(browser):
    """A message as it was received; and filtering while typing."""
    browser.go(ADMIN + "/errors")
    same("kinds", browser.script("return document.querySelectorAll('#kinds tr').length"), 37)
    browser.type("#q", "quota")
    left = browser.script("return [...document.querySelectorAll('#kinds tr')].filter((r) => !r.hidden).length")
    holds(f"{left} kinds are left", 0 < left < 15)
    browser.type("#q", "You exceeded your current quota, please check your plan and billing details")
    browser.click("form[role=search] button")
    browser.says("insufficient_quota", "table")


def settings(browser):
    """The provider's credential is in the file, and not here."""
    browser.go(ADMIN + "/settings")
    browser.says("Who changed what")
    page = browser.script("return document.documentElement.outerHTML")
    holds("the credential is not there", "sk-sim-upstream-0001" not in page)
    holds("policies are there", "policy.retry" in page and "300ms" in page)
    holds("changes are there, with who made them", "console" in browser.text() and "key.create" in page)


def colours(browser):
    """By a button, kept from page to page, whatever the system says."""
    browser.go(ADMIN + "/settings")
    ground = "return getComputedStyle(document.body).backgroundColor"
    found = {}
    for theme in ("dark", "light"):
        browser.click(f".themes button[value={theme}]")
        browser.find(f":root[data-theme={theme}]")
        holds("one stays on the page", browser.url.endswith("/settings"))
        found[theme] = browser.script(ground)
    holds(f"they differ: {json.dumps(found)}", found["dark"] != found["light"])
    browser.click(".themes button[value=auto]")
    browser.wait(lambda: not browser.script("return document.documentElement.dataset.theme || ''"), "no choice")


def keyboard(browser):
    """The first stop leads past the menu; each stop is seen."""
    browser.go(ADMIN + "/keys")
    browser.keys("\ue004")
    same("the first stop", browser.script("return document.activeElement.className"), "skip")
    browser.keys("\ue007")
    browser.wait(lambda: browser.script("return location.hash") == "#main", "the way past the menu")
    browser.keys("\ue004")
    same("the next stop", browser.script("return document.activeElement.id"), "f-name")
    outline = browser.script("return getComputedStyle(document.activeElement).outlineStyle")
    same("how it is marked", outline, "solid")


def every_stop(browser):
    """As many stops as there are things to use."""
    tab = "\ue004"
    for path in ("/keys", "/budgets", "/requests"):
        browser.go(ADMIN + path)
        wanted = browser.script(
            "window.stops = new Set(); return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, [tabindex=\"0\"]')]"
            ".filter((e) => e.checkVisibility() && !e.disabled).length")
        bare = []
        for _ in range(wanted):
            browser.keys(tab)
            bare += browser.script(
                "const e = document.activeElement; window.stops.add(e);"
                "return getComputedStyle(e).outlineStyle === 'none' ? [e.outerHTML.slice(0, 80)] : []")
        same(f"stops of {path}", browser.script("return window.stops.size"), wanted)
        same(f"stops of {path} that are not marked", bare, [])


def by_keys_alone(browser):
    """Past the menu, into the field, and sent with Enter."""
    browser.go(ADMIN + "/keys")
    browser.keys("\ue004", "\ue007")
    browser.wait(lambda: browser.script("return location.hash") == "#main", "the way past the menu")
    browser.keys("\ue004", *"no mouse", "\ue007")
    holds("it is made", browser.text("#secret").startswith("sk-ms-"))
    browser.says("“no mouse”")
