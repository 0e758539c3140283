"""Who comes in, who does not, and what a page may load."""

from harness import ADMIN, ask, case, holds, same, token


def before(browser):
    """Cases of the way in."""
    case("nobody sees a page without logging in", led_to_the_door, browser)
    case("pages may load nothing but our own files", protected)
    case("another name of the host is refused", other_host)
    case("a wrong token is told with what to do", wrong_token, browser)
    case("the token leads to the page that was asked for", right_token, browser)
    case("the session is kept from scripts and other sites", kept_from_scripts, browser)
    case("a form from another page is not obeyed", foreign_form, browser)


def after(browser):
    """Cases of the way out."""
    case("logging out ends the session", logged_out, browser)
    case("after too many tries nobody is looked at, and the wait is told", too_many_tries, browser)


def led_to_the_door(browser):
    """Pages, forms and live figures."""
    browser.go(ADMIN + "/keys")
    holds(f"{browser.url} is the login", browser.url.endswith("/login?to=%2Fkeys"))
    status, headers, _ = ask("POST", "/keys", {"name": "x"})
    same("status of a form", (status, headers["location"]), (303, "/login"))
    same("status of live figures", ask("GET", "/live/overview")[0], 401)
    same("status of the API", ask("GET", "/mainstay/keys")[0], 401)


def protected():
    """The policy of a page, and that files are ours."""
    _, headers, body = ask("GET", "/login")
    policy = headers["content-security-policy"]
    holds(f"nothing is allowed by default: {policy}", "default-src 'none'" in policy)
    holds(f"no inline script or style: {policy}", "unsafe" not in policy)
    holds("no frame around it", "frame-ancestors 'none'" in policy)
    same("sniffing", headers["x-content-type-options"], "nosniff")
    same("kept by the browser", headers["cache-control"], "no-store")
    holds("no other host is named", "//" not in body.replace("http://www.w3.org", ""))


def other_host():
    """DNS rebinding."""
    same("status", ask("GET", "/", host="evil.example")[0], 403)


def wrong_token(browser):
    """The login says what is wrong and where the token is."""
    browser.type("#admin-token", "not-the-token")
    browser.click("button")
    browser.says("This is not the administration token")
    holds("tries are told", "more tries" in browser.text("[role=alert]"))


def right_token(browser):
    """After the login one is where one wanted to be."""
    browser.go(ADMIN + "/keys?done=")
    browser.type("#admin-token", token())
    browser.click("button")
    browser.says("Make a key")
    holds(f"{browser.url} is the page of keys", "/keys" in browser.url)


def session(browser):
    """The session's cookie."""
    found = [one for one in browser.cookies() if one["name"].startswith("mainstay-console-")]
    same("cookies of a session", len(found), 1)
    return found[0]


def kept_from_scripts(browser):
    """What the cookie says of itself."""
    cookie = session(browser)
    same("HttpOnly", cookie["httpOnly"], True)
    same("SameSite", cookie["sameSite"], "Strict")
    same("what a script sees", browser.script("return document.cookie"), "")
    holds("the token is not in it", token() not in cookie["value"])


def foreign_form(browser):
    """A form with the session's cookie, but not from a page of ours, or not of this session."""
    cookie = session(browser)
    sent = f"{cookie['name']}={cookie['value']}"
    form = {"name": "stolen"}
    good = browser.script("return document.querySelector('main form [name=token]').value")
    for name, extra in [("no form token", {}), ("another session's", {"token": "0" * 48})]:
        status, _, body = ask("POST", "/keys", {**form, **extra}, cookie=sent)
        same(f"status with {name}", status, 403)
        holds("it says what to do", "Load the page" in body)
    for origin in ("http://127.0.0.1:1", "null", "http://evil.example"):
        same(f"status from {origin}", ask("POST", "/keys", {**form, "token": good}, cookie=sent, origin=origin)[0], 403)
    status, _, _ = ask("POST", "/keys", {**form, "token": good}, cookie=sent, sec_fetch_site="cross-site")
    same("status across sites", status, 403)
    holds("nothing was made", "stolen" not in ask("GET", "/keys", cookie=sent)[2])


def logged_out(browser):
    """The cookie is worth nothing afterwards."""
    browser.go(ADMIN + "/")
    cookie = session(browser)
    sent = f"{cookie['name']}={cookie['value']}"
    same("status before", ask("GET", "/keys", cookie=sent)[0], 200)
    browser.click("form[action='/logout'] button")
    browser.find("#admin-token")
    same("status after", ask("GET", "/keys", cookie=sent)[0], 303)


def too_many_tries(browser):
    """Five wrong tokens, then a wait that is told; the right token is not looked at."""
    browser.go(ADMIN + "/login")
    for _ in range(5):
        browser.type("#admin-token", "wrong")
        browser.click("button")
        browser.find("[role=alert]")
    browser.says("Too many wrong tokens")
    browser.says("The next try is possible in")
    status, headers, body = ask("POST", "/login", {"admin-token": token()})
    same("status with the right token", status, 429)
    holds(f"retry-after is {headers.get('retry-after')}", 0 < int(headers["retry-after"]) <= 30)
    holds("no session is begun", "set-cookie" not in headers and "Too many" in body)


def no_complaints(browser):
    """Violations of the policy, faults of the script, things not found."""
    # Refusals that the cases before have asked for.
    told = [text for text in browser.complaints() if "status of 4" not in text]
    same("complaints", told, [])
