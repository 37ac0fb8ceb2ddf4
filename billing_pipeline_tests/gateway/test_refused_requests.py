"""Requests that cannot be taken: every status of the interface, and nothing of any of them in the log."""

import gzip
import json
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
import zstandard

from billing_pipeline.access.scope import Scope
from billing_pipeline.errors import QueueError, QueueFailedError, QueueFullError, QueueLockedError
from billing_pipeline.gateway import limits

Make = Callable[..., dict[str, Any]]
MIB = 1 << 20


def refused(door: Any, answer: Any, status: int, code: str) -> dict[str, Any]:
    """The answer's error; nothing of the request is in the log."""
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-correlation-id"]
    assert door.queue.next_offset() == 0
    error: dict[str, Any] = answer.json()["error"]
    return error


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{broken", "application/json"),
        (b'[{"a": 1}', "application/json"),
        (b'[{"a": 1},]', "application/json"),
        (b'{"a": 1} {"b": 2}', "application/json"),
        (b"\xef\xbb\xbf[]", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"[" * 100_000 + b"]" * 100_000, "application/json"),
        (b"[{}]", "application/cloudevents+json"),
        (b"{}", "application/cloudevents-batch+json"),
    ],
)
def test_a_body_without_readable_framing_is_refused(door: Any, body: bytes, content_type: str) -> None:
    refused(door, door.send(body, content_type), 400, "invalid_framing")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b" \n", "application/json"),
        (b"[]", "application/json"),
        (b"", "application/x-ndjson"),
        (b"\n\r\n \n", "application/x-ndjson"),
    ],
)
def test_a_body_without_an_event_is_refused(door: Any, body: bytes, content_type: str) -> None:
    refused(door, door.send(body, content_type), 400, "no_events")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_that_cannot_be_decompressed_is_refused(door: Any, event: Make, encoding: str) -> None:
    """Broken, ending early, of another format, or with anything behind its end."""
    body = json.dumps(event()).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    for bad in (b"", b"text", packed[:-1], packed + b"x", packed + packed, zlib.compress(body)):
        refused(door, door.send(bad, content_encoding=encoding), 400, "bad_compression")


def test_an_unknown_value_of_atomic_is_refused(door: Any, event: Make) -> None:
    for query in ("?atomic=yes", "?atomic=", "?atomic=true&atomic=false"):
        refused(door, door.send(event(), query=query), 400, "invalid_parameter")


def test_without_a_good_key_nothing_is_taken(door: Any, event: Make) -> None:
    """None, an unknown one, an expired one, a revoked one; in either header."""
    known = door.key
    ended = (door.issue(expires_at=1), door.issue(revoked_at=1), "", known[:-1], f"bk_{'0' * 12}_{'0' * 64}")
    for key in ended:
        answer = door.send(event(), key=key)
        refused(door, answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    headers = {"content-type": "application/json"}
    answer = door.client.post("/v1/events", content=json.dumps(event()), headers=headers)
    refused(door, answer, 401, "unauthenticated")
    answer = door.client.post(
        "/v1/events", content=json.dumps(event()), headers=headers | {"x-api-key": known}
    )
    assert answer.status_code == 202


def test_a_key_without_the_right_is_refused(door: Any, event: Make) -> None:
    refused(door, door.send(event(), key=door.issue(Scope(frozenset()))), 403, "forbidden")


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded"])
def test_an_unknown_content_type_is_refused(door: Any, event: Make, content_type: str | None) -> None:
    error = refused(door, door.send(event(), content_type), 415, "unsupported_content_type")
    assert "application/x-ndjson" in error["message"]


def test_another_character_set_or_encoding_is_refused(door: Any, event: Make) -> None:
    """As are CloudEvents in binary mode."""
    answer = door.send(event(), "application/json; charset=latin-1")
    refused(door, answer, 415, "unsupported_charset")
    for encoding in ("br", "deflate", "gzip, gzip"):
        answer = door.send(event(), content_encoding=encoding)
        refused(door, answer, 415, "unsupported_content_encoding")
    refused(door, door.send(event(), ce_specversion="1.0"), 415, "unsupported_content_mode")


def test_too_many_events_are_refused(door: Any) -> None:
    """As an array, as lines, and as more values than are worth counting."""
    for body, content_type in (
        (b"[" + b"1," * limits.EVENTS + b"1]", "application/json"),
        (b"{}\n" * (limits.EVENTS + 1), "application/x-ndjson"),
        (b"\n" * (limits.EVENTS + 1), "application/x-ndjson"),
        (b"[" + b"1," * (limits.JSON_COMMAS + 1) + b"1]", "application/json"),
    ):
        error = refused(door, door.send(body, content_type), 413, "too_many_events")
        assert error["limit"] == limits.EVENTS


def test_a_body_too_large_on_the_wire_is_refused(door: Any) -> None:
    error = refused(door, door.send(b" " * (limits.WIRE_BYTES + 1)), 413, "body_too_large")
    assert error["limit"] == limits.WIRE_BYTES


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_stops_at_the_cap(door: Any, encoding: str) -> None:
    """Whatever it would become."""
    zeros = b"\0" * (256 * MIB)
    bomb = gzip.compress(zeros, 1) if encoding == "gzip" else zstandard.compress(zeros)
    error = refused(door, door.send(bomb, content_encoding=encoding), 413, "body_too_large")
    assert error["limit"] == limits.BODY_BYTES
    assert door.gateway.budget.taken_bytes == 0


def test_lines_too_large_for_the_log_are_refused(door: Any) -> None:
    """What a request's events become in the log is bounded as well as the request."""
    text = b'"' + b"\\u0001" * 10_000 + b'"'
    body = b"[" + b",".join([text] * 250) + b"]"
    error = refused(door, door.send(gzip.compress(body), content_encoding="gzip"), 413, "batch_too_large")
    assert error["limit"] == limits.LINES_BYTES


def test_a_key_beyond_its_rate_waits(door: Any, event: Make) -> None:
    """A batch larger than the bucket passes, what it overdraws is waited for; other keys are not concerned."""
    key = door.issue(events_per_second=10)
    assert door.send([event(str(number)) for number in range(40)], key=key).status_code == 202
    answer = door.send(event(), key=key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert answer.json()["error"]["limit"] == 10
    assert int(answer.headers["retry-after"]) in {3, 4}
    assert door.send(event()).status_code == 202
    assert door.queue.next_offset() == 41


def test_where_memory_is_taken_up_a_request_waits(door: Any, event: Make) -> None:
    with door.gateway.budget.share() as share:
        share.take(door.gateway.budget.total_bytes)
        answer = door.send(event())
        refused(door, answer, 503, "gateway_busy")
        assert answer.headers["retry-after"] == "1"
    assert door.send(event()).status_code == 202


def test_while_stopping_nothing_is_taken(door: Any, event: Make) -> None:
    """And the connection is closed, so that a client turns elsewhere."""
    door.gateway.draining = True
    answer = door.send(event())
    refused(door, answer, 503, "shutting_down")
    assert answer.headers["connection"] == "close"
    assert answer.headers["retry-after"]
    assert door.client.get("/readyz").status_code == 503
    assert door.client.get("/healthz").status_code == 200


def test_where_the_clock_jumped_nothing_is_taken(door: Any, event: Make) -> None:
    """Until it is set right."""
    right = door.clock_us
    assert door.queue.clock() == 0
    door.queue.advance(1)
    door.clock_us = lambda: right() + 7_200_000_000
    answer = door.send(event())
    refused(door, answer, 503, "clock_not_trusted")
    assert answer.headers["retry-after"] == "60"
    door.clock_us = right
    assert door.send(event()).status_code == 202
    assert door.failures == []


class Refusing:
    """Stands before a queue and refuses what is handed in."""

    def __init__(self, queue: Any, error: QueueError, *, later: bool) -> None:
        self._queue, self._error, self._later = queue, error, later

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def submit(self, _producer: str, _body: object) -> Future[range]:
        if not self._later:
            raise self._error
        future: Future[range] = Future()
        future.set_exception(self._error)
        return future


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "retry_after"),
    [
        (QueueFullError(7, 0.0), "queue_full", "1"),
        (QueueLockedError("queue.sqlite.lock", 10.0), "queue_locked", "5"),
        (QueueError("no space left on device"), "queue_not_written", "10"),
    ],
)
def test_what_passes_is_waited_for(
    door: Any, event: Make, error: QueueError, code: str, retry_after: str, later: bool
) -> None:
    """The queue full, another process writing it, or its disk full: the gateway goes on."""
    door.gateway.queue = Refusing(door.queue, error, later=later)
    answer = door.send(event())
    refused(door, answer, 503, code)
    assert answer.headers["retry-after"] == retry_after
    assert door.failures == []
    door.gateway.queue = door.queue
    assert door.send(event()).status_code == 202


@pytest.mark.parametrize("later", [False, True])
def test_once_the_queue_has_failed_nothing_is_ever_taken(door: Any, event: Make, later: bool) -> None:
    """The failure is told once, and a queue that would take events again gets none."""
    door.gateway.queue = Refusing(door.queue, QueueFailedError("queue.sqlite", "disk on fire"), later=later)
    refused(door, door.send(event()), 503, "queue_failed")
    door.gateway.queue = door.queue
    answer = door.send(event())
    refused(door, answer, 503, "queue_failed")
    assert answer.headers["retry-after"]
    assert door.failures == ["failed"]
    assert door.client.get("/readyz").json() == {"ready": False, "reason": "queue_failed"}
    assert "disk on fire" in door.log()


def test_an_event_that_was_under_way_when_the_queue_failed_is_not_acknowledged(
    door: Any, event: Make
) -> None:
    """Though its own commit may have gone well: it is sent again, and found to be a duplicate."""
    submit = door.queue.submit

    def fail_after(producer: str, body: Any) -> Future[range]:
        future: Future[range] = submit(producer, body)
        future.result()
        door.gateway.fail(QueueFailedError("queue.sqlite", "disk on fire"))
        return future

    door.queue.submit = fail_after
    assert door.send(event()).status_code == 503


def test_a_fault_of_the_gateway_is_told_without_the_payload(door: Any, event: Make) -> None:
    """As one request's, and the next is taken."""
    submit = door.queue.submit
    door.queue.submit = lambda _producer, _body: 1 // 0
    answer = door.send(event())
    refused(door, answer, 500, "internal")
    assert '"kind":"ZeroDivisionError"' in door.log()
    assert "acme" not in door.log()
    door.queue.submit = submit
    assert door.send(event()).status_code == 202


def test_another_path_or_method_is_refused_as_json(door: Any) -> None:
    assert door.client.get("/v1/events").json()["error"]["code"] == "method_not_allowed"
    answer = door.client.get("/nowhere")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
