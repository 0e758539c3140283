"""Every page in light and dark, on a desk and on a phone: nothing missing for anybody, and a picture."""

import os
import pathlib

from browser import DESKTOP, PHONE
from harness import ADMIN, case, same
from work import KEYS

AUDIT = pathlib.Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
LOOKS = [(name, size, scheme) for name, size in (("desktop", DESKTOP), ("phone", PHONE))
         for scheme in ("light", "dark")]
PAGES = {
    "overview": "/", "requests": "/requests", "providers": "/providers", "alerts": "/alerts",
    "usage": "/usage", "budgets": "/budgets", "keys": "/keys", "organizations": "/organizations",
    "errors": "/errors", "error": "/errors/insufficient_quota", "settings": "/settings",
    "nothing": "/errors/no-such-kind",
}


def empty(browser):
    """Before anything was done: what a new installation shows."""
    case("pages without data say what to do next, and pass the audit", all_of, browser, "empty",
         {name: path for name, path in PAGES.items() if name not in ("error", "errors", "nothing")}, LOOKS[:1])


def run(browser):
    """With data, every page in each look."""
    pages = dict(PAGES)
    pages["request-failed"] = f"/requests/{KEYS.get('sim-overloaded')}"
    pages["request-answered"] = f"/requests/{KEYS.get('good')}"
    pages["key"] = f"/keys/{KEYS.get('id')}"
    for look in LOOKS:
        name, _, scheme = look
        case(f"every page passes the audit, {name}, {scheme}", all_of, browser, "page", pages, [look])
    browser.look(DESKTOP, "light")


def all_of(browser, prefix, pages, looks):
    """Audits pages and keeps their pictures; tells all faults at once."""
    os.makedirs("screenshots", exist_ok=True)
    faults = []
    for look, size, scheme in looks:
        browser.look(size, scheme)
        for name, path in pages.items():
            browser.go(ADMIN + path)
            browser.find("h1")
            found = browser.script(AUDIT)
            faults += [f"{path}: {fault}" for fault in found]
            browser.shoot(f"screenshots/{prefix}-{name}-{look}-{scheme}.png")
    same("faults", faults, [])
