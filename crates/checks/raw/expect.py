"""What a right answer is."""

from wire import exchange, sim_stats


def refused(data, status, kinds=(), code=None, says=(), sent_on=False):
    """The bytes are refused by us: status, kind, four keys, request id; nothing is sent on."""
    before = sim_stats()["attempts"]
    answer = exchange(data)
    check_refusal(answer, status, kinds, code, says)
    if not sent_on:
        after = sim_stats()["attempts"]
        assert after == before, f"the provider was sent {after - before} requests"
    return answer


def check_refusal(answer, status, kinds=(), code=None, says=()):
    """The answer is a refusal in full."""
    assert answer is not None, "no answer came"
    wanted = status if isinstance(status, tuple) else (status,)
    assert answer.status in wanted, f"wanted {wanted}, got {answer}"
    error = answer.error()
    identity = answer.headers.get("x-request-id", "")
    assert identity.startswith("req_"), f"x-request-id is {identity!r}"
    kind = answer.headers.get("x-mainstay-kind")
    assert kind, f"no x-mainstay-kind: {answer}"
    assert not kinds or kind in kinds, f"kind is {kind}, wanted one of {kinds}"
    assert code is None or error["code"] == code, f"code is {error['code']}, wanted {code}"
    for text in says:
        assert text in error["message"], f"{text!r} is not in {error['message']!r}"


def protocol_error(data, statuses=(400,), timeout=15):
    """Not HTTP: an error status or a closed connection; no four keys are asked for."""
    before = sim_stats()["attempts"]
    answer = exchange(data, timeout)
    assert answer is None or answer.status in statuses, f"got {answer}"
    assert sim_stats()["attempts"] == before, "the provider was sent something"
