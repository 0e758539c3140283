"""Keys, paths, methods and headers that are not as they should be."""

from expect import protocol_error, refused
from wire import HOST, KEY, chat, exchange, request

AUTH = ("invalid_authentication", "incorrect_api_key")


def no_key():
    refused(request(key=None, body=chat()), 401, ("invalid_authentication",))


def empty_key():
    refused(request(key="", body=chat()), 401, AUTH)


def key_with_spaces():
    refused(request(key="My API Key", body=chat()), 401, AUTH)


def huge_key():
    refused(request(key="k" * 65536, body=chat()), 401, AUTH)


def key_that_is_not_text():
    refused(request(key=b"sk-\xff\xfe\x80", body=chat()), 401, AUTH)


def wrong_scheme():
    headers = [("authorization", "Basic dXNlcjpwYXNz")]
    refused(request(key=None, body=chat(), headers=headers), 401, AUTH)


def key_with_a_typo():
    wrong = KEY[:-1] + ("A" if KEY[-1] != "A" else "B")
    refused(request(key=wrong, body=chat()), 401, ("incorrect_api_key",), code="invalid_api_key")


def key_in_quotes_is_not_taken_for_it():
    refused(request(key=f'"{KEY}"', body=chat()), 401, AUTH)


def unknown_path():
    refused(request("GET", "/nothing/here"), 404, ("not_found",), says=["/v1"])


def path_without_v1():
    refused(request(path="/chat/completions", body=chat()), 404, ("not_found",), says=["/v1"])


def unknown_path_under_v1():
    # The first key may pass unknown paths on; the provider's own answer comes back.
    refused(request("GET", "/v1/_no_such_path"), 404, ("not_found",), sent_on=True)


def wrong_method():
    refused(request("GET", "/v1/embeddings"), 405, ("method_not_allowed",), sent_on=True)


def strange_method():
    answer = exchange(request("BREW", "/v1/chat/completions", body=chat()))
    assert answer is None or answer.status in (400, 405, 501), answer


PATHS = [
    "/v1/../admin", "/v1/%2e%2e/admin", "/v1/%2E%2E%2fadmin", "/v1/chat/../models", "//v1/models",
    "/v1//models", "/v1/./models", "/v1/models/..%2f..%2fx", "/v1/%2e/models",
]


def path_tricks():
    for path in PATHS:
        refused(request("GET", path), (400, 404))


def absolute_form():
    refused(request("GET", "http://example.com/v1/models"), (400, 404, 421))


def connect_method():
    answer = exchange(f"CONNECT example.com:443 HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode())
    assert answer is not None and answer.status in (400, 404, 405, 501), answer


def options_star():
    answer = exchange(request("OPTIONS", "*"))
    assert answer is None or answer.status in (200, 204, 400, 401, 404, 405), answer


def no_host():
    answer = exchange(request("GET", "/v1/models", host=None))
    assert answer is not None and answer.status in (200, 400), answer


def foreign_host_is_not_sent_on():
    answer = exchange(request("GET", "/v1/models", host="example.com"))
    assert answer is not None and answer.status in (200, 400, 421), answer


def many_headers():
    headers = [(f"x-bomb-{n}", "x") for n in range(2000)]
    protocol_error(request(body=chat(), headers=headers), (400, 431))


def one_huge_header():
    headers = [("x-bomb", "x" * (2 << 20))]
    protocol_error(request(body=chat(), headers=headers), (400, 431))


def huge_path():
    protocol_error(request("GET", "/v1/" + "a" * 100_000), (400, 404, 414, 431))


def header_without_colon():
    protocol_error(f"GET /v1/models HTTP/1.1\r\nhost: {HOST}\r\nno colon here\r\n\r\n".encode())


def control_bytes_in_a_header():
    protocol_error(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: b\x00c\r\n\r\n")


def two_lengths():
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {KEY}\r\n"
    protocol_error(head.encode() + b"content-length: 3\r\ncontent-length: 5\r\n\r\nabcde")


def a_length_that_is_no_number():
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {KEY}\r\n"
    protocol_error(head.encode() + b"content-length: many\r\n\r\nabcde")


def not_http():
    protocol_error(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64)
    protocol_error(b"HELO example.com\r\n\r\n")
    protocol_error(b"GET / HTTP/9.9\r\n\r\n", (400, 505))


def websocket_upgrade():
    headers = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
               ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]
    refused(request("GET", "/v1/realtime?model=gpt-4o", headers=headers), 501)


def spoofed_internal_headers():
    # A caller's x-sim-* must not reach the simulator, which would obey.
    answer = exchange(request(body=chat(), headers=[("x-sim-error", "internal_error")]))
    assert answer is not None and answer.status == 200, answer


CASES = [(f.__name__, f) for f in (
    no_key, empty_key, key_with_spaces, huge_key, key_that_is_not_text, wrong_scheme, key_with_a_typo,
    key_in_quotes_is_not_taken_for_it, unknown_path, path_without_v1, unknown_path_under_v1, wrong_method,
    strange_method, path_tricks, absolute_form, connect_method, options_star, no_host,
    foreign_host_is_not_sent_on, many_headers, one_huge_header, huge_path, header_without_colon,
    control_bytes_in_a_header, two_lengths, a_length_that_is_no_number, not_http, websocket_upgrade,
    spoofed_internal_headers,
)]
