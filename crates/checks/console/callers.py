"""Who calls, and how much: people become members and leave, limits are set, changed and taken away."""

import json
import time

import openai

from door import session
from harness import ADMIN, ask, case, configure, holds, same, token
from work import KEYS, MESSAGES, client


def run(browser):
    """Cases in their order; each builds on the one before."""
    case("a person is made, joins an organization and one of its projects", join, browser)
    case("a key in the name of that person works, and ends with the membership", leave, browser)
    case("a limit is set, refuses in the SDK, and shows what is used", limit, browser)
    case("a limit is changed to only count, and is taken away", loosen, browser)
    case("a tier of the configuration is given", tier, browser)


def api(path):
    """What the JSON API tells."""
    status, _, body = ask("GET", path, authorization=f"Bearer {token()}")
    same(f"status of {path}", status, 200)
    return json.loads(body)


def choose(browser, css, label):
    """Chooses in a list by what is read there."""
    found = browser.script(
        "const s = document.querySelector(arguments[0]); const o = [...s.options].find((o) => o.text === arguments[1]);"
        "if (o) s.value = o.value; return Boolean(o)", css, label)
    holds(f"{label!r} can be chosen in {css}", found)


def join(browser):
    """By the pages that lead from one to the next."""
    browser.go(ADMIN + "/organizations")
    browser.type("#f-user", "ann <b>o'hara</b>")
    browser.click("form[action='/organizations/users'] .button")
    browser.says("The user is there.", "[role=status]")
    org = next(one["id"] for one in api("/mainstay/orgs")["data"] if one["name"] == "acme & sons")
    KEYS["members"] = f"/organizations/{org}/members"
    browser.click(f"a[href='{KEYS['members']}']")
    browser.says("It has no member")
    choose(browser, "#f-user", "ann <b>o'hara</b>")
    choose(browser, "#f-role", "reader")
    browser.click("form[action$='/members'] .button:not(.second)")
    browser.says("The membership holds.", "[role=status]")
    choose(browser, "table select", "member")
    browser.click("table .button.second")
    browser.says("The membership holds.", "[role=status]")
    same("roles", [one["role"] for one in api("/mainstay" + KEYS["members"].replace("organizations", "orgs"))["data"]], ["member"])
    project = next(one["id"] for one in api("/mainstay/projects")["data"] if one["name"] == "web")
    browser.go(ADMIN + f"/projects/{project}/members")
    choose(browser, "#f-user", "ann <b>o'hara</b>")
    browser.click("form[action$='/members'] .button:not(.second)")
    browser.says("The membership holds.", "[role=status]")
    browser.says("ann <b>o'hara</b>", "table")


def made(browser, name, project, user=""):
    """A key by the form: its secret and its id."""
    browser.go(ADMIN + "/keys")
    browser.type("#f-name", name)
    choose(browser, "#f-project", project)
    if user:
        browser.click("details.all summary")
        browser.type("#f-user", user)
    browser.click("form[action='/keys'] .button")
    secret = browser.text("#secret")
    browser.click("a[href^='/keys/key_']")
    return secret, browser.url.rsplit("/", 1)[1]


def leave(browser):
    """The official SDK before and after."""
    secret, _ = made(browser, "ann's laptop", "acme & sons / web", "ann <b>o'hara</b>")
    time.sleep(1)
    client(secret).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    browser.go(ADMIN + KEYS["members"])
    browser.click("table .ask summary")
    browser.click("table .danger")
    browser.says("The membership is over.", "[role=status]")
    browser.says("It has no member")
    time.sleep(1)
    try:
        client(secret).chat.completions.create(model="gpt-4o", messages=MESSAGES)
        raise AssertionError("a key without its member works")
    except openai.AuthenticationError as error:
        same("kind", error.response.headers["x-mainstay-kind"], "not_organization_member")
    # For the pictures: somebody is there again.
    choose(browser, "#f-user", "ann <b>o'hara</b>")
    browser.click("form[action$='/members'] .button:not(.second)")
    browser.says("The membership holds.", "[role=status]")


def limit(browser):
    """Three calls a minute; the fourth is refused."""
    KEYS["limited"], KEYS["limited-id"] = made(browser, "limited", "default / default")
    browser.go(ADMIN + f"/limits?key={KEYS['limited-id']}")
    browser.type("#f-rpm", "many")
    browser.click("form[action='/limits'] > .button")
    browser.says("is a whole number", "[role=alert]")
    same("the fault", browser.script("return document.querySelector('#f-rpm').getAttribute('aria-invalid')"), "true")
    browser.type("#f-rpm", "3")
    browser.type("#f-tpm", "200,000")
    browser.click("form[action='/limits'] > .button")
    browser.says("The limit holds.", "[role=status]")
    time.sleep(1)
    api = client(KEYS["limited"])
    for _ in range(3):
        api.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    try:
        api.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        raise AssertionError("a fourth call in a minute was let through")
    except openai.RateLimitError as error:
        KEYS["refused"] = error.response.headers["x-request-id"]
        same("the limit told", error.response.headers["x-ratelimit-limit-requests"], "3")
    browser.go(ADMIN + "/limits")
    browser.says("3 requests a minute")
    browser.says("refused 1 call")
    browser.go(ADMIN + f"/requests/{KEYS['refused']}")
    browser.says("Refused here with 429")


def loosen(browser):
    """An empty part of the form is taken away."""
    browser.go(ADMIN + "/limits")
    browser.click(".ask summary")
    browser.type(".ask input[name=tpm]", "")
    browser.click(".ask input[name=shadow]")
    browser.click(".ask .button")
    browser.says("The limit holds.", "[role=status]")
    browser.says("only counts")
    holds("tokens are not limited any more", "tokens a minute" not in browser.text("section.card .limits"))
    time.sleep(1)
    client(KEYS["limited"]).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    browser.click(".ask + .ask summary")
    browser.click(".ask .danger")
    browser.says("The limit is gone.", "[role=status]")
    browser.says("No limit is set")


def tier(browser):
    """The file is read again while the gateway runs."""
    configure('[[tier]]\nname = "small"\nrpm = 600\ntpm = 90000\n\n[[tier]]\nname = "small"\nmodel = "gpt-4*"\nconcurrency = 20\nshadow = true\n')
    browser.wait(lambda: api("/mainstay/tiers")["data"], "the tier is read")
    browser.go(ADMIN + "/limits")
    choose(browser, "#t-owner", "acme & sons")
    browser.click("form[action='/limits/tiers'] .button")
    browser.says("The limits of the tier hold.", "[role=status]")
    browser.says("90,000 tokens a minute")
    browser.says("of the tier small")
    cookie = session(browser)
    page = ask("GET", "/settings", cookie=f"{cookie['name']}={cookie['value']}")[2]
    holds("it is on record as the console's", "limit.set" in page and "org.member.remove" in page)
