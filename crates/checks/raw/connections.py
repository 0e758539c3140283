"""Connections: pipelined, slow, half closed, left early, many."""

import os
import resource
import time

from wire import ADDRESS, chat, connect, exchange, read_answer, request, scenario, sim_stats

FULL = bool(os.environ.get("MAINSTAY_TEST_FULL"))


def pipelined():
    one = request("GET", "/v1/models")
    with connect() as sock:
        sock.sendall(one + one + one)
        rest, statuses = b"", []
        for _ in range(3):
            answer, rest = read_answer(sock, rest, "GET")
            statuses.append(answer.status if answer else None)
    assert statuses == [200, 200, 200], statuses


def kept_alive_after_a_refusal():
    with connect() as sock:
        sock.sendall(request(key="sk-wrong", body=chat()))
        first, rest = read_answer(sock)
        sock.sendall(request(body=chat()))
        second, _ = read_answer(sock, rest)
    assert first.status == 401 and second is not None and second.status == 200, (first, second)


def slow_headers():
    data = request("GET", "/v1/models")
    with connect() as sock:
        for at in range(0, len(data), 8):
            sock.sendall(data[at:at + 8])
            time.sleep(0.02)
        answer, _ = read_answer(sock, method="GET")
    assert answer is not None and answer.status == 200, answer


def slow_body():
    data = request(body=chat())
    with connect() as sock:
        for at in range(0, len(data), 16):
            sock.sendall(data[at:at + 16])
            time.sleep(0.02)
        answer, _ = read_answer(sock)
    assert answer is not None and answer.status == 200, answer


def headers_that_never_end():
    # Bounded by the gateway; only the long form waits for the bound.
    with connect(90 if FULL else 15) as sock:
        sock.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-slow: ")
        if not FULL:
            return
        answer, _ = read_answer(sock, method="GET")
        assert answer is None or answer.status in (400, 408), answer


def half_closed():
    with connect() as sock:
        sock.sendall(request(body=chat()))
        sock.shutdown(1)
        answer, _ = read_answer(sock)
    assert answer is None or answer.status == 200, answer


SLOW = """
[[fault]]
fault = "hang"
models = ["hang"]
[[fault]]
fault = "slow_drip"
models = ["drip"]
for = "500ms"
"""


def left_while_waiting():
    # A caller who leaves takes his attempt along: the provider's work ends.
    scenario(SLOW)
    sock = connect()
    sock.sendall(request(body=chat("hang")))
    _until(lambda: sim_stats()["in_flight"] == 1, "the call did not reach the provider")
    sock.close()
    _until(lambda: sim_stats()["in_flight"] == 0, "the provider still works for a caller who left")
    attempts = sim_stats()["attempts"]
    assert attempts == 1, f"{attempts} attempts for a caller who left"
    scenario("")


def left_in_a_stream():
    scenario(SLOW)
    with connect() as sock:
        sock.sendall(request(body=chat("drip", stream=True)))
        seen = b""
        while b"data:" not in seen:
            piece = sock.recv(4096)
            assert piece, f"the stream ended: {seen[:200]!r}"
            seen += piece
        assert seen.startswith(b"HTTP/1.1 200"), seen[:200]
        assert sim_stats()["in_flight"] == 1, "no call is in flight"
    _until(lambda: sim_stats()["in_flight"] == 0, "the provider still streams for a caller who left")
    assert sim_stats()["client_gone"] == 1, "the provider was read to the end"
    scenario("")


def many_connections():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    socks = [connect() for _ in range(300)]
    try:
        answer = exchange(request("GET", "/v1/models"))
        assert answer is not None and answer.status == 200, answer
    finally:
        for sock in socks:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def head_has_no_body():
    with connect() as sock:
        sock.sendall(request("HEAD", "/healthz", key=None) + request("GET", "/healthz", key=None))
        first, rest = read_answer(sock, method="HEAD")
        second, _ = read_answer(sock, rest, "GET")
    assert first is not None and first.status in (200, 405), first
    assert second is not None and second.status == 200, second


def old_http():
    host = f"{ADDRESS[0]}:{ADDRESS[1]}"
    answer = exchange(f"GET /healthz HTTP/1.0\r\nhost: {host}\r\n\r\n".encode())
    assert answer is not None and answer.status == 200, answer


def _until(holds, otherwise, limit=10):
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


CASES = [(f.__name__, f) for f in (
    pipelined, kept_alive_after_a_refusal, slow_headers, slow_body, headers_that_never_end, half_closed,
    left_while_waiting, left_in_a_stream, many_connections, head_has_no_body, old_http,
)]
