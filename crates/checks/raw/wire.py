"""Raw HTTP/1.1 over a socket: bytes out, one answer in. Standard library only."""

import json
import os
import socket
import urllib.parse
import urllib.request

BASE_URL = os.environ["MAINSTAY_BASE_URL"]
KEY = os.environ["MAINSTAY_KEY"]
SIM_URL = os.environ["SIM_URL"]
PID = int(os.environ["MAINSTAY_PID"])
_PARTS = urllib.parse.urlsplit(BASE_URL)
ADDRESS = (_PARTS.hostname, _PARTS.port)
HOST = f"{_PARTS.hostname}:{_PARTS.port}"
FOUR_KEYS = {"message", "type", "param", "code"}


class Answer:
    """Status, headers (names in lower case) and body of one answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def error(self):
        """The `error` object, checked to have all four keys."""
        error = json.loads(self.body)["error"]
        missing = FOUR_KEYS - set(error)
        assert not missing, f"the error lacks {missing}: {error}"
        assert error["message"], "the error has no message"
        return error

    def __repr__(self):
        return f"{self.status} {self.headers.get('x-mainstay-kind')} {self.body[:300]!r}"


def connect(timeout=15):
    """A new connection to the gateway."""
    return socket.create_connection(ADDRESS, timeout=timeout)


def send_all(sock, data, piece=1 << 20):
    """Sends until done, or until the other side has had enough; whether all of it went."""
    view = memoryview(data)
    for at in range(0, len(view), piece):
        try:
            sock.sendall(view[at:at + piece])
        except (BrokenPipeError, ConnectionResetError):
            return False
    return True


def read_answer(sock, rest=b"", method="POST"):
    """(answer, bytes that came after it); (None, …) when the connection ends without one."""
    data = rest
    while b"\r\n\r\n" not in data:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            piece = b""
        if not piece:
            return None, data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if status in (204, 304) or method == "HEAD":
        return Answer(status, headers, b""), body
    body, after = _body(sock, headers, body)
    return Answer(status, headers, body), after


def _body(sock, headers, body):
    if "chunked" in headers.get("transfer-encoding", ""):
        while not (body.endswith(b"0\r\n\r\n")):
            piece = sock.recv(65536)
            if not piece:
                break
            body += piece
        return _dechunked(body), b""
    if "content-length" not in headers:
        while True:
            piece = sock.recv(65536)
            if not piece:
                return body, b""
            body += piece
    length = int(headers["content-length"])
    while len(body) < length:
        piece = sock.recv(65536)
        if not piece:
            break
        body += piece
    return body[:length], body[length:]


def _dechunked(data):
    out = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size.split(b";")[0] or b"0", 16)
        if count == 0:
            break
        out, data = out + data[:count], data[count + 2:]
    return out


def exchange(data, timeout=15):
    """One connection, bytes out, the first answer in; None when there is none."""
    with connect(timeout) as sock:
        send_all(sock, data)
        method = data.split(b" ", 1)[0].decode("latin-1")
        return read_answer(sock, method=method)[0]


def request(method="POST", path="/v1/chat/completions", key=KEY, body=b"", headers=(), host=HOST):
    """The bytes of a request; `key` None leaves the header out, bytes go as they are."""
    lines = [f"{method} {path} HTTP/1.1".encode("latin-1")]
    if host is not None:
        lines.append(b"host: " + host.encode())
    if key is not None:
        lines.append(b"authorization: Bearer " + (key if isinstance(key, bytes) else key.encode()))
    names = {name.lower() for name, _ in headers}
    if method not in ("GET", "HEAD") and not names & {"content-length", "transfer-encoding"}:
        lines.append(b"content-length: %d" % len(body))
    if method == "POST" and "content-type" not in names:
        lines.append(b"content-type: application/json")
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chat(model="gpt-4o-mini", **fields):
    """The body of a chat call."""
    messages = [{"role": "user", "content": "hello"}]
    return json.dumps({"model": model, "messages": messages} | fields).encode()


def sim_stats():
    """The simulator's counters."""
    with urllib.request.urlopen(SIM_URL + "/sim/stats", timeout=10) as answer:
        return json.load(answer)


def scenario(text):
    """Begins a scenario in the simulator; counters start anew. Empty text: no trouble, no limits."""
    call = urllib.request.Request(SIM_URL + "/sim/scenario", data=text.encode(), method="PUT")
    with urllib.request.urlopen(call, timeout=10):
        pass


def alive():
    """The process is there and answers a new caller."""
    os.kill(PID, 0)
    answer = exchange(request("GET", "/healthz", key=None))
    assert answer is not None and answer.status == 200, f"/healthz says {answer}"
