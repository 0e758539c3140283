"""Commands that print and end."""

import json

from tool import run

KINDS = 37


def version():
    code, out, _ = run("--version")
    assert code == 0 and out.startswith("mainstay "), (code, out)


def help_has_examples():
    for arguments in (("--help",), ("serve", "--help"), ("classify", "--help"), ("explain", "--help")):
        code, out, _ = run(*arguments)
        assert code == 0 and "mainstay" in out, (arguments, code, out[:200])
    assert "xample" in run("serve", "--help")[1], "no example in the help of serve"


def wrong_usage_is_two_and_says_so_on_stderr():
    for arguments in (("no-such-command",), ("serve", "--no-such-option"), ("explain",)):
        code, out, errors = run(*arguments)
        assert code == 2 and errors and not out, (arguments, code, out, errors)


def explain_finds_a_kind():
    for what, wanted in (
        ("insufficient_quota", "insufficient_quota"),
        ("Incorrect API key provided", "incorrect_api_key"),
        ("429", "rate_limit"),
        ("RateLimitError", "rate_limit"),
        ("unsupported_country_region_territory", "unsupported_region"),
    ):
        code, out, errors = run("explain", what)
        assert code == 0 and wanted in out, (what, code, out[:300], errors)


def explain_is_json_on_demand():
    code, out, _ = run("explain", "insufficient_quota", "--json")
    assert code == 0 and "insufficient_quota" in json.dumps(json.loads(out)), out[:300]


def explain_suggests_for_a_typo():
    code, out, errors = run("explain", "insuficient_qouta")
    assert "insufficient_quota" in out + errors, (code, out, errors)


def classify_reads_and_writes_lines():
    quota = {"error": {"message": "You exceeded your current quota, please check your plan and billing details.",
                       "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}}
    rows = [
        {"id": "a", "status": 429, "headers": {}, "body": json.dumps(quota), "stream": False},
        {"id": "b", "status": 502, "headers": {}, "body": "<html><h1>502 Bad Gateway</h1></html>", "stream": False},
        {"id": "c", "status": 429, "headers": {"retry-after": "7"}, "body": "", "stream": False},
    ]
    stdin = "".join(json.dumps(row) + "\n" for row in rows)
    code, out, errors = run("classify", stdin=stdin)
    got = {row["id"]: row for row in map(json.loads, out.splitlines())}
    assert code == 0 and set(got) == {"a", "b", "c"}, (code, out, errors)
    assert got["a"]["kind"] == "insufficient_quota" and got["a"]["retryable"] is False, got["a"]
    assert got["b"]["kind"] == "bad_gateway" and got["b"]["retryable"] is True, got["b"]
    assert got["c"]["retry_after_s"] == 7, got["c"]
    fields = {"id", "kind", "class", "retryable", "scope", "retry_after_s"}
    assert all(fields <= set(row) for row in got.values()), got


def classify_survives_garbage():
    code, _, errors = run("classify", stdin='not json\n{"id": "x"}\n\x00\n')
    assert code in (1, 2) and errors, (code, errors)


def sim_lists_every_kind():
    code, out, _ = run("sim", "--list")
    kinds = sum(1 for word in ("insufficient_quota", "stream_interrupted", "unknown") if word in out)
    assert code == 0 and kinds == 3, (code, out[:300])


def completions_are_printed():
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = run("completions", shell)
        assert code == 0 and "mainstay" in out, (shell, code)


CASES = [(f.__name__, f) for f in (
    version, help_has_examples, wrong_usage_is_two_and_says_so_on_stderr, explain_finds_a_kind,
    explain_is_json_on_demand, explain_suggests_for_a_typo, classify_reads_and_writes_lines,
    classify_survives_garbage, sim_lists_every_kind, completions_are_printed,
)]
