"""Bytes of any kind in both directions: forms, downloads by range, uploads that ask first, WebSockets."""

import json
import re

from expect import refused
from wire import PID, connect, exchange, read_answer, request, scenario, send_all

BOUNDARY = "raw-boundary"
FORM = (("content-type", f"multipart/form-data; boundary={BOUNDARY}"),)
# By how much a large upload may raise the gateway's peak of memory, KiB.
GROWTH_MAX = 24 << 10


def memory():
    """The most memory that the gateway has had, KiB."""
    with open(f"/proc/{PID}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1))


def form(content, purpose="user_data"):
    """A form with one file."""
    head = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="f.bin"\r\n\r\n'
    )
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def upload(content):
    """The id of a file with this content."""
    answer = exchange(request(path="/v1/files", body=form(content), headers=FORM))
    assert answer is not None and answer.status == 200, answer
    return json.loads(answer.body)["id"]


def bytes_in_both_directions():
    scenario("")
    content = bytes(range(256)) * 40
    file = upload(content)
    answer = exchange(request("GET", f"/v1/files/{file}/content"))
    assert answer.status == 200 and answer.body == content, (answer.status, len(answer.body))
    assert answer.headers["content-length"] == str(len(content)), answer.headers


def ranges():
    scenario("")
    file = upload(b"0123456789")
    part = exchange(request("GET", f"/v1/files/{file}/content", headers=(("range", "bytes=2-4"),)))
    assert (part.status, part.body) == (206, b"234"), part
    assert part.headers["content-range"] == "bytes 2-4/10", part.headers
    beyond = exchange(request("GET", f"/v1/files/{file}/content", headers=(("range", "bytes=50-"),)))
    assert beyond.status == 416, beyond


def asks_before_it_uploads():
    scenario("")
    body = form(b"x" * 100_000)
    head = request(path="/v1/files", headers=FORM + (("content-length", len(body)), ("expect", "100-continue")))
    with connect() as sock:
        sock.sendall(head)
        told = b""
        while b"\r\n\r\n" not in told:
            told += sock.recv(1024)
        assert told.startswith(b"HTTP/1.1 100"), told
        send_all(sock, body)
        answer, _ = read_answer(sock, told.partition(b"\r\n\r\n")[2])
    assert answer is not None and answer.status == 200, answer


def large_upload_in_little_memory():
    scenario("")
    before, size = memory(), 96 << 20
    head, tail = form(b"").split(b"\r\n\r\n\r\n", 1)[0] + b"\r\n\r\n", f"\r\n--{BOUNDARY}--\r\n".encode()
    length = len(head) + size + len(tail)
    with connect(60) as sock:
        sock.sendall(request(path="/v1/files", headers=FORM + (("content-length", length),)) + head)
        piece = bytes(1 << 20)
        for _ in range(size >> 20):
            sock.sendall(piece)
        sock.sendall(tail)
        answer, _ = read_answer(sock)
    assert answer is not None and answer.status == 200, answer
    assert json.loads(answer.body)["bytes"] == size, answer
    # Other cases have filled other buffers before; this one adds little to them.
    grown = memory() - before
    assert grown < GROWTH_MAX, f"the gateway grew by {grown} KiB for an upload of {size >> 10} KiB"


def websocket():
    more = (
        ("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    )
    for path in ("/v1/realtime?model=gpt-realtime", "/v1/responses"):
        answer = refused(request("GET", path, headers=more), 501, says=("WebSocket",))
        assert answer.headers.get("x-should-retry") == "false", answer.headers


CASES = [(f.__name__, f) for f in (
    bytes_in_both_directions, ranges, asks_before_it_uploads, large_upload_in_little_memory, websocket,
)]
