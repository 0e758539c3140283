"""Running the binary: once to its end, or as a server on a free port."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

BIN = os.environ["MAINSTAY_BIN"]
FOREIGN = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MAINSTAY_CONFIG", "MAINSTAY_ADMIN_TOKEN", "DATABASE_URL")


def environment(**more):
    """Ours, without what would configure the binary."""
    return {k: v for k, v in os.environ.items() if k not in FOREIGN} | {"NO_COLOR": "1"} | more


def directory():
    """A new empty directory below the one this suite works in."""
    return tempfile.mkdtemp(prefix="case-", dir=os.getcwd())


def run(*arguments, stdin="", cwd=None, timeout=30, **more):
    """(exit code, standard output, standard error)."""
    done = subprocess.run(
        [BIN, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout,
        cwd=cwd or directory(), env=environment(**more), check=False,
    )
    return done.returncode, done.stdout, done.stderr


def free_port():
    """A loopback port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Serving:
    """`mainstay serve` on free ports in a directory of its own; stopped at the end of `with`."""

    def __init__(self, *arguments, cwd=None, **more):
        self.cwd = cwd or directory()
        self.port, self.admin = free_port(), free_port()
        self.log = os.path.join(self.cwd, "output.txt")
        command = [BIN, "serve", "--listen", f"127.0.0.1:{self.port}",
                   "--admin-listen", f"127.0.0.1:{self.admin}", *arguments]
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                command, cwd=self.cwd, env=environment(**more), stdin=subprocess.DEVNULL,
                stdout=out, stderr=out,
            )

    def __enter__(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert self.process.poll() is None, f"it ended by itself: {self.output()}"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"no answer in 20 s: {self.output()}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def output(self):
        """What it has printed so far."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def key(self):
        """The key it printed."""
        end = time.monotonic() + 5
        while not (found := re.search(r"sk-ms-[A-Za-z0-9_-]+", self.output())):
            assert time.monotonic() < end, f"no key was printed: {self.output()}"
            time.sleep(0.02)
        return found.group(0)

    def stop(self, limit=15):
        """Asks it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit)
