"""Rules, dashboard and scraping with a real Prometheus.

Needs MAINSTAY_BIN, `prometheus` and `promtool`. Works in the directory it is started in.
"""

import json
import os
import re
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cli"))
import tool  # noqa: E402  (its place is known only now)

ROOT = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
FILES = os.path.join(ROOT, "docs", "observability")
TOKEN = "admin-token-of-this-suite-0001"


def promtool(*arguments, stdin=None):
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"promtool {arguments}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def documented():
    with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as page:
        rows = re.findall(r"^\| `(mainstay_\w+)` \| (\w+) \|", page.read(), re.M)
    names = {name for name, _ in rows}
    for name, kind in rows:
        if kind == "histogram":
            names |= {f"{name}_{end}" for end in ("bucket", "sum", "count")}
    assert len(names) > 30
    return names


def expressions():
    with open(os.path.join(FILES, "grafana.json"), encoding="utf-8") as file:
        dashboard = json.load(file)
    assert dashboard["panels"], "the dashboard is empty"
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]


def rules_are_sound():
    out = promtool("check", "rules", os.path.join(FILES, "rules.yml"))
    assert "rules found" in out, out
    promtool("test", "rules", os.path.join(FILES, "rules.test.yml"))
    with open(os.path.join(FILES, "rules.yml"), encoding="utf-8") as file:
        names = re.findall(r"- alert: (\w+)", file.read())
    with open(os.path.join(FILES, "rules.test.yml"), encoding="utf-8") as file:
        fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n\s+- exp_labels", file.read()))
    assert names and set(names) == fired, f"no test fires {sorted(set(names) - fired)}"


def every_metric_named_is_documented():
    known = documented()
    with open(os.path.join(FILES, "rules.yml"), encoding="utf-8") as file:
        named = set(re.findall(r"mainstay_\w+", " ".join(re.findall(r"expr:(.*?)(?:for:|labels:)", file.read(), re.S))))
    for _, expression in expressions():
        named |= set(re.findall(r"mainstay_\w+", expression))
    assert len(named) > 25, named
    assert named <= known, f"not documented: {sorted(named - known)}"


def post(port, key, model):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", body,
        {"authorization": f"Bearer {key}", "content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def api(port, path, token=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


class Prometheus:
    def __init__(self, target):
        self.cwd = tool.directory()
        self.port = tool.free_port()
        config = f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{FILES}/rules.yml"]
scrape_configs:
  - job_name: mainstay
    authorization: {{credentials: "{TOKEN}"}}
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
"""
        path = os.path.join(self.cwd, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        promtool("check", "config", path)
        with open(os.path.join(self.cwd, "log.txt"), "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={self.cwd}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], cwd=self.cwd, stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, path):
        return json.loads(api(self.port, path))["data"]

    def query(self, expression):
        quoted = urllib.parse.quote(expression)
        return self.ask(f"/api/v1/query?query={quoted}")["result"]

    def until(self, what, holds, limit=40):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            try:
                if found := holds():
                    return found
            except (OSError, KeyError):
                pass
            time.sleep(0.3)
        raise AssertionError(f"{what} did not come about in {limit} s")


def a_real_prometheus_scrapes_and_evaluates():
    place = tool.directory()
    with open(os.path.join(place, "mainstay.toml"), "w", encoding="utf-8") as file:
        file.write(f'[admin]\ntoken = "{TOKEN}"\n')
    with tool.Serving(cwd=place) as gateway:
        key = gateway.key()
        assert post(gateway.port, key, "gpt-4o") == 200
        assert post(gateway.port, key, "sim-invalid_value") == 400
        api(gateway.admin, "/mainstay/requests", TOKEN)  # waits for what is counted beside the path
        lint = promtool("check", "metrics", stdin=api(gateway.admin, "/metrics", TOKEN))
        assert "error" not in lint.lower(), lint
        with Prometheus(gateway.admin) as prometheus:
            up = prometheus.until("a scrape", lambda: prometheus.query('mainstay_requests_total{status="2xx"}'))
            assert up[0]["metric"]["endpoint"] == "chat" and up[0]["value"][1] == "1", up
            target = prometheus.ask("/api/v1/targets")["activeTargets"][0]
            assert target["health"] == "up" and not target["lastError"], target
            failed = prometheus.query('sum(mainstay_failures_total)')
            assert failed[0]["value"][1] == "1", failed
            groups = lambda: [rule for group in prometheus.ask("/api/v1/rules")["groups"] for rule in group["rules"]]
            prometheus.until("every rule evaluated", lambda: all(rule["health"] == "ok" for rule in groups()))
            bad = [(rule["name"], rule.get("lastError")) for rule in groups() if rule["health"] != "ok"]
            assert not bad and len(groups()) >= 12, bad
            for title, expression in expressions():
                prometheus.query(expression.replace("$__rate_interval", "1m"))
                assert title
            names = set(prometheus.ask("/api/v1/label/__name__/values"))
            ours = {name for name in names if name.startswith("mainstay_")}
            assert ours <= documented(), sorted(ours - documented())


CASES = [
    ("the alert rules are sound, and each fires when it should", rules_are_sound),
    ("rules and dashboard name documented metrics only", every_metric_named_is_documented),
    ("a real Prometheus scrapes a gateway and evaluates rules and dashboard", a_real_prometheus_scrapes_and_evaluates),
]


def main():
    """Every case, a line each; the exit code."""
    passed = failed = 0
    for name, work in CASES:
        try:
            work()
        except Exception as error:  # one case must not end the run
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1].lineno
            print(f"FAIL observability: {name}: {type(error).__name__}: {error} (line {where})", flush=True)
        else:
            passed += 1
            print(f"ok   observability: {name}", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
