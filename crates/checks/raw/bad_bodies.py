"""Bodies that are too large, broken, or not what they say."""

import gzip

from expect import check_refusal, refused
from wire import HOST, KEY, chat, connect, exchange, read_answer, request, send_all

BAD_JSON = ("invalid_request",)


def invalid_json():
    refused(request(body=b'{"model": "gpt-4o-mini", '), 400, BAD_JSON)
    refused(request(body=b"hello"), 400, BAD_JSON)


def empty_body():
    refused(request(body=b""), 400, ("invalid_request", "missing_required_field"))


def json_that_is_no_object():
    for body in (b"[]", b"null", b"42", b'"text"'):
        refused(request(body=body), 400, ("invalid_request", "invalid_value", "missing_required_field"))


def no_model():
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    refused(request(body=body), 400, ("missing_required_field",), code="missing_required_field")


def a_model_that_is_no_text():
    for model in (b"5", b"null", b'["a"]'):
        body = b'{"model": ' + model + b', "messages": []}'
        refused(request(body=body), 400, ("invalid_value", "missing_required_field", "invalid_request"))


def a_key_twice():
    body = chat()[:-1] + b', "model": "other"}'
    refused(request(body=body), 400, ("invalid_request", "invalid_value"))


def deep_nesting():
    deep = b"[" * 200_000 + b"]" * 200_000
    body = b'{"model": "gpt-4o-mini", "messages": ' + deep + b"}"
    answer = exchange(request(body=body))
    assert answer is not None and answer.status in (200, 400), answer


def text_that_is_not_utf8():
    body = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\xff\xfe"}]}'
    refused(request(body=body), 400, ("invalid_request", "invalid_value"))


def a_hundred_megabytes():
    body = b'{"model": "gpt-4o-mini", "messages": "' + b"x" * 100_000_000 + b'"}'
    refused(request(body=body), 413, ("request_too_large",))


def a_hundred_megabytes_in_chunks():
    head = request(body=b"", headers=[("transfer-encoding", "chunked")])
    piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with connect(60) as sock:
        sock.sendall(head)
        for _ in range(100):
            if not send_all(sock, piece):
                break
        else:
            send_all(sock, b"0\r\n\r\n")
        check_refusal(read_answer(sock)[0], 413, ("request_too_large",))


def a_large_body_with_a_wrong_key():
    # The refusal must arrive although the caller is still sending.
    answer = exchange(request(key="sk-wrong", body=b"x" * 8_000_000))
    check_refusal(answer, 401)


def garbage_in_chunks():
    head = request(body=b"", headers=[("transfer-encoding", "chunked")])
    for garbage in (b"zz\r\nhello\r\n", b"-5\r\nhello\r\n", b"ffffffffffffffffff\r\nx", b"5\r\nhelloXX3\r\n"):
        answer = exchange(head + garbage)
        assert answer is None or answer.status == 400, answer


def a_body_that_ends_early():
    # The caller says 500 bytes, sends 20 and closes his side.
    data = request(body=b"", headers=[("content-length", "500")]) + b'{"model": "gpt-4o-m'
    with connect() as sock:
        sock.sendall(data)
        sock.shutdown(1)
        answer = read_answer(sock)[0]
    assert answer is None or answer.status == 400, answer


def length_and_chunks_together():
    # Two ways to say where the body ends: never two requests made of one.
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {KEY}\r\n"
            "content-type: application/json\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n")
    hidden = f"GET /v1/models HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {KEY}\r\n\r\n"
    answer = exchange(head.encode() + b"0\r\n\r\n" + hidden.encode())
    assert answer is None or answer.status == 400, answer


def packed_body():
    packed = gzip.compress(chat())
    answer = exchange(request(body=packed, headers=[("content-encoding", "gzip")]))
    assert answer is not None and answer.status in (200, 415), answer


def a_bomb_in_a_packed_body():
    packed = gzip.compress(b"x" * 300_000_000)
    answer = exchange(request(body=packed, headers=[("content-encoding", "gzip")]), timeout=60)
    check_refusal(answer, (400, 413, 415))


def packing_nobody_knows():
    refused(request(body=chat(), headers=[("content-encoding", "zpaq")]), 415)


def broken_packing():
    answer = exchange(request(body=b"\x1f\x8b\x08 no", headers=[("content-encoding", "gzip")]))
    check_refusal(answer, (400, 415))


def wrong_content_type():
    answer = exchange(request(body=chat(), headers=[("content-type", "text/plain")]))
    assert answer is not None and answer.status in (200, 400, 415), answer


CASES = [(f.__name__, f) for f in (
    invalid_json, empty_body, json_that_is_no_object, no_model, a_model_that_is_no_text, a_key_twice,
    deep_nesting, text_that_is_not_utf8, a_hundred_megabytes, a_hundred_megabytes_in_chunks,
    a_large_body_with_a_wrong_key, garbage_in_chunks, a_body_that_ends_early, length_and_chunks_together,
    packed_body, a_bomb_in_a_packed_body, packing_nobody_knows, broken_packing, wrong_content_type,
)]
