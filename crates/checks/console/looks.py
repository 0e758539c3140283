"""Every page in light and dark, on a desk and on a phone: nothing missing for anybody, and a picture."""

import os
import pathlib

from browser import DESKTOP, PHONE
from harness import ADMIN, case, holds, same
from work import KEYS

AUDIT = pathlib.Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
LOOKS = [(name, size, scheme) for name, size in (("desktop", DESKTOP), ("phone", PHONE))
         for scheme in ("light", "dark")]
PAGES = {
    "overview": "/", "requests": "/requests", "providers": "/providers", "alerts": "/alerts",
    "usage": "/usage", "budgets": "/budgets", "keys": "/keys", "limits": "/limits", "organizations": "/organizations",
    "errors": "/errors", "error": "/errors/insufficient_quota", "settings": "/settings",
    "nothing": "/errors/no-such-kind",
}


# What a screen reader must be able to call by a name, by the roles of the browser's own tree.
NAMED = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "image", "region", "navigation",
         "DisclosureTriangle"}


def empty(browser):
    """Before anything was done: what a new installation shows."""
    case("an empty part says what will stand there or what to do", guided, browser)
    case("pages without data say what to do next, and pass the audit", all_of, browser, "empty",
         {name: path for name, path in PAGES.items() if name not in ("error", "errors", "nothing")}, LOOKS[:1])


def run(browser):
    """With data, every page in each look."""
    pages = dict(PAGES)
    pages["request-failed"] = f"/requests/{KEYS.get('sim-overloaded')}"
    pages["request-answered"] = f"/requests/{KEYS.get('good')}"
    pages["request-refused"] = f"/requests/{KEYS.get('refused')}"
    pages["key"] = f"/keys/{KEYS.get('id')}"
    pages["members"] = KEYS.get("members")
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
            found = browser.script(AUDIT) + nameless(browser)
            faults += [f"{path}: {fault}" for fault in found]
            browser.shoot(f"screenshots/{prefix}-{name}-{look}-{scheme}.png")
    same("faults", faults, [])


def nameless(browser):
    """What would be read out without a name."""
    nodes = browser.cdp("Accessibility.getFullAXTree")["nodes"]
    seen = [node for node in nodes if not node.get("ignored")]
    holds("the tree has links", any(node["role"]["value"] == "link" for node in seen))
    bare = [node for node in seen if node["role"]["value"] in NAMED and not node.get("name", {}).get("value", "").strip()]
    return [f"a {node['role']['value']} has no name in the tree of the browser" for node in bare]


def guided(browser):
    """Each has a heading and a sentence; those that a person can fill lead there."""
    for name, least in (("overview", 2), ("requests", 1), ("alerts", 2), ("budgets", 1), ("limits", 1), ("usage", 1)):
        browser.go(ADMIN + PAGES[name])
        parts = browser.script("return [...document.querySelectorAll('.empty')].map((e) => [e.querySelector('h2, h3')?.textContent || '', e.querySelector('p')?.textContent || ''])")
        holds(f"{name} has {len(parts)} empty parts", len(parts) >= least)
        for heading, words in parts:
            holds(f"{name}: {heading!r} {words!r}", len(heading) > 5 and len(words) > 30)
