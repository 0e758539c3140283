"""A real browser over WebDriver: Debian's Chromium, headless, driven with the standard library."""

import base64
import json
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

# How long a page may take to show what is waited for, seconds.
PATIENCE = 15
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name of the W3C's standard
DESKTOP = (1280, 860, False)
PHONE = (390, 844, True)

# Nothing but the page: no first run, no updates, no calls home.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
]


class Browser:
    """One window with a profile of its own."""

    def __init__(self):
        self._profile = tempfile.TemporaryDirectory(prefix="profile-", dir=".")
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._base = f"http://127.0.0.1:{self._port()}"
        options = {"args": [*FLAGS, f"--user-data-dir={self._profile.name}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def _port(self):
        for line in self._driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found[1])
        raise RuntimeError("chromedriver did not start")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data=data, method=method)
        request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise LookupError(f"{told['error']}: {told['message'].splitlines()[0]}") from None

    def _do(self, method, path, body=None):
        return self._call(method, self._session + path, body)

    def cdp(self, command, **params):
        """A command of the browser's own protocol."""
        return self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def close(self):
        """Ends browser and driver."""
        try:
            self._do("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(10)
            self._driver.stdout.close()
            self._profile.cleanup()

    def go(self, url):
        """Opens an address."""
        self._do("POST", "/url", {"url": url})

    @property
    def url(self):
        """Where it is."""
        return self._do("GET", "/url")

    def script(self, text, *arguments):
        """What a script in the page returns."""
        return self._do("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def find(self, css):
        """The first element; waits for it."""
        return self.wait(lambda: self._do("POST", "/element", {"using": "css selector", "value": css})[ELEMENT], css)

    def wait(self, work, what):
        """What `work` gives as soon as it gives something."""
        until, told = time.monotonic() + PATIENCE, ""
        while time.monotonic() < until:
            try:
                found = work()
                if found:
                    return found
            except LookupError as error:
                told = f" ({error})"
            time.sleep(0.1)
        raise AssertionError(f"{what} does not come about at {self.url}{told}")

    def _on(self, css, work):
        """Does this with an element; with the one in its place when the page was another before it was done."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return work(self.find(css))
            except LookupError as error:
                if "stale element" not in str(error) or time.monotonic() > until:
                    raise

    def click(self, css):
        """Clicks, as a person does."""
        self._on(css, lambda element: self._do("POST", f"/element/{element}/click", {}))

    def type(self, css, text):
        """Types into a field that is emptied first."""
        def fill(element):
            self._do("POST", f"/element/{element}/clear", {})
            self._do("POST", f"/element/{element}/value", {"text": text})

        self._on(css, fill)

    def keys(self, *keys):
        """Presses keys, wherever the focus is."""
        actions = [step for key in keys for step in
                   ({"type": "keyDown", "value": key}, {"type": "keyUp", "value": key})]
        self._do("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def text(self, css="main"):
        """The text of an element, as it is seen."""
        return self._on(css, lambda element: self._do("GET", f"/element/{element}/text"))

    def says(self, words, css="body"):
        """Waits until an element has these words."""
        self.wait(lambda: words in self.text(css), f"{words!r} in {css}")

    def cookies(self):
        """The cookies of this place."""
        return self._do("GET", "/cookie")

    def complaints(self):
        """What the browser has to complain about since the last time it was asked."""
        return [entry["message"] for entry in self._do("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def look(self, size, scheme):
        """Sets the size of the window and the colours that the system prefers."""
        width, height, phone = size
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.cdp("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": scheme}])

    def shoot(self, path, whole=True):
        """Keeps a picture of the page."""
        part = {}
        if whole:
            size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            part["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        taken = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **part)
        with open(path, "wb") as file:
            file.write(base64.b64decode(taken["data"]))
