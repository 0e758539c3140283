"""`mainstay run` on a terminal: the line that moves, Ctrl-C, and a summary that can be read."""

import json
import os
import pty
import select
import signal
import subprocess
import time
import urllib.request

from tool import BIN, directory, environment, free_port


class Provider:
    """`mainstay sim` with a scenario, for the length of a `with`."""

    def __init__(self, scenario):
        self.cwd, self.port = directory(), free_port()
        with open(os.path.join(self.cwd, "scenario.toml"), "w", encoding="utf-8") as file:
            file.write(scenario)
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        command = [BIN, "sim", "--listen", f"127.0.0.1:{self.port}", "--scenario", "scenario.toml"]
        self.process = subprocess.Popen(
            command, cwd=self.cwd, env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

    def __enter__(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the simulator gives no answer in 20 s")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def requests(self, count):
        """A file of so many requests."""
        body = {"model": "gpt-4o-mini", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
        with open(os.path.join(self.cwd, "in.jsonl"), "w", encoding="utf-8") as file:
            for n in range(count):
                line = {"custom_id": f"{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
                file.write(json.dumps(line) + "\n")


def on_a_terminal(provider, *arguments, interrupt_at=None):
    """Runs a file with a terminal for what is told aside: (exit code, standard output, the terminal)."""
    ours, theirs = pty.openpty()
    command = [BIN, "run", "in.jsonl", "-o", "out.jsonl", "--base-url", provider.base_url, *arguments]
    process = subprocess.Popen(
        command, cwd=provider.cwd, env=environment(OPENAI_API_KEY="sk-any"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
    )
    os.close(theirs)
    seen, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([ours], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux: the other side is closed
            break
        seen += piece
        if interrupt_at is not None and interrupt_at in seen:
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    os.close(ours)
    out = process.communicate(timeout=30)[0].decode()
    return process.returncode, out, seen.decode()


def a_terminal_sees_one_line_that_moves():
    with Provider('latency = { headers = "100ms" }\nlimits = { rpm = 6000, burst = "100ms" }\n') as provider:
        provider.requests(300)
        code, out, seen = on_a_terminal(provider)
    assert code == 0, (code, out, seen)
    states = [state for state in seen.split("\r") if "/300 done (" in state]
    assert len(states) >= 3, seen
    assert all(state.endswith("\x1b[K") for state in states), seen
    assert "\n" not in seen.strip("\n"), "it moves and leaves no lines: " + repr(seen)
    done = [int(state.split("/")[0]) for state in states]
    assert done == sorted(done) and done[0] < done[-1], done
    for part in (" in flight | ", "/s", " tokens/s", " left"):
        assert any(part in state for state in states), (part, states)
    # The limit was learnt: what is done stands beside what is allowed.
    assert any("/s of 100/s" in state for state in states), states
    assert out.startswith("300 lines: 300 answered, 0 failed, 0 left"), out


def ctrl_c_says_what_it_waits_for_and_the_same_command_goes_on():
    with Provider('latency = { headers = "700ms" }\n') as provider:
        provider.requests(40)
        code, out, seen = on_a_terminal(provider, "--concurrency", "4", interrupt_at=b"4/40 done")
        assert code == 1 and "interrupted; the same command goes on" in out, (code, out, seen)
        assert "requests in flight may end within 30 s" in seen, seen
        code, out, seen = on_a_terminal(provider, "--concurrency", "40")
        assert code == 0 and out.startswith("40 lines: 40 answered"), (code, out, seen)
        assert "were done by earlier runs" in out, out


def for_programs_nothing_moves():
    with Provider('latency = { headers = "300ms" }\n') as provider:
        provider.requests(20)
        code, out, seen = on_a_terminal(provider, "--json", "--concurrency", "4")
    assert code == 0 and json.loads(out)["answered"] == 20, (code, out)
    assert seen == "", repr(seen)


CASES = [(f.__name__, f) for f in (
    a_terminal_sees_one_line_that_moves, ctrl_c_says_what_it_waits_for_and_the_same_command_goes_on,
    for_programs_nothing_moves,
)]
