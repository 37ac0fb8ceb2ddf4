"""`POST /v1/events`: what is accepted, what is refused, and what the log then holds."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from billing_pipeline.access.scope import Scope

Make = Callable[..., dict[str, Any]]


def cloudevent(event_id: str = "ce-1") -> dict[str, Any]:
    """A usage event as a CloudEvent."""
    return {
        "specversion": "1.0",
        "type": "com.example.usage",
        "source": "app",
        "id": event_id,
        "subject": "acme",
        "time": "2026-11-25T10:00:00Z",
        "data": {
            "schema_version": 2,
            "project_id": "p",
            "unit": "token",
            "quantity": "1",
            "correlation_id": "c",
        },
    }


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


def test_an_accepted_event_is_in_the_log(door: Any, event: Make) -> None:
    """Under the producer's name, with the bytes as they came."""
    body = json.dumps(event()).encode()
    answer = door.send(body)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "refused": 0})
    [batch] = door.queue.read_from(0, 10)
    assert batch.producer == "producer-0"
    assert [record.payload for record in batch.records()] == [body.decode()]


def test_every_content_type_brings_its_events(door: Any, event: Make, correction: Make) -> None:
    """Own events, corrections and CloudEvents may stand side by side in arrays and lines."""
    mixed = [event(), correction(), cloudevent()]
    for body, content_type, count in (
        (event(), "application/json", 1),
        (mixed, "application/json; charset=utf-8", 3),
        (lines(*mixed), "application/x-ndjson", 3),
        (lines(*mixed).replace(b"\n", b"\r\n\r\n"), "application/jsonl", 3),
        (cloudevent(), "application/cloudevents+json", 1),
        ([cloudevent("a"), cloudevent("b")], "application/cloudevents-batch+json; charset=UTF-8", 2),
    ):
        answer = door.send(body, content_type)
        assert (answer.status_code, answer.json()) == (202, {"accepted": count, "refused": 0}), content_type
    assert door.queue.next_offset() == 13


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity"])
def test_a_compressed_body_is_read(door: Any, event: Make, encoding: str) -> None:
    body = json.dumps([event(str(number)) for number in range(1000)]).encode()
    packed = {"gzip": gzip.compress(body), "zstd": zstandard.compress(body), "identity": body}
    answer = door.send(packed[encoding], content_encoding=encoding)
    assert answer.json() == {"accepted": 1000, "refused": 0}


def test_refused_events_are_answered_one_by_one_and_kept(door: Any, event: Make) -> None:
    """The valid ones beside them are durable."""
    answer = door.send([event("a"), event("b", unit=None), "text", event("c")])
    told = answer.json()
    assert answer.status_code == 207
    assert (told["accepted"], told["refused"]) == (2, 2)
    assert [(each["index"], each["code"], each["field"]) for each in told["errors"]] == [
        (1, "missing_field", "unit"),
        (2, "not_an_object", ""),
    ]
    assert "unit must" in told["errors"][0]["message"]
    assert door.records() == [
        ("usage", None),
        ("invalid", "missing_field"),
        ("invalid", "not_an_object"),
        ("usage", None),
    ]


def test_where_every_event_is_refused_the_status_says_so(door: Any, event: Make) -> None:
    """They are in the log all the same."""
    answer = door.send(lines(event(quantity="-1")), "application/x-ndjson")
    assert (answer.status_code, answer.json()["accepted"]) == (422, 0)
    assert door.records() == [("invalid", "negative_quantity")]


def test_bad_text_in_one_event_is_that_events_fault(door: Any, event: Make) -> None:
    """In an array as in lines; so is JSON that is no object, or nests too deep."""
    good = json.dumps(event()).encode()
    deep = b"[" * 9 + b"]" * 9
    parts = [good, good.replace(b"acme", b"a\xffme"), b"7", deep]
    for body, content_type in (
        (b"[" + b",".join(parts) + b"]", "application/json"),
        (b"\n".join(parts), "application/jsonl"),
    ):
        told = door.send(body, content_type).json()
        codes = [(each["index"], each["code"]) for each in told["errors"]]
        assert codes == [(1, "invalid_utf8"), (2, "not_an_object"), (3, "too_deep")]


def test_an_atomic_request_leaves_nothing_where_one_event_is_refused(door: Any, event: Make) -> None:
    """And is taken whole where none is."""
    answer = door.send([event("a"), event("b", unit="")], query="?atomic=true")
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["refused"]) == (422, 0, 1)
    assert told["errors"][0]["index"] == 1
    assert door.queue.next_offset() == 0
    assert door.send([event("a"), event("b")], query="?atomic=true").status_code == 202
    assert door.send([event("a"), event("b", unit="")], query="?atomic=false").status_code == 207


def test_events_beyond_the_keys_scope_are_refused_and_kept(door: Any, event: Make, correction: Make) -> None:
    """By source, by each customer named, and corrections where the key is limited to customers."""
    key = door.issue(Scope(customers=frozenset({"acme", "globex"}), sources=("app", "eu/*")))
    shares = [
        {"customer_id": "acme", "project_id": "p", "share": "0.5"},
        {"customer_id": "initech", "project_id": "p", "share": "0.5"},
    ]
    answer = door.send(
        [
            event("a"),
            event("b", source="eu/1", customer_id="globex"),
            event("c", source="us/1"),
            event("d", customer_id="initech"),
            event("e", allocations=shares),
            correction(),
        ],
        key=key,
    )
    told = answer.json()
    assert [(each["index"], each["code"], each["field"], each["value"]) for each in told["errors"]] == [
        (2, "not_permitted", "source", "us/1"),
        (3, "not_permitted", "customer_id", "initech"),
        (4, "not_permitted", "customer_id", "initech"),
        (5, "not_permitted", "type", "correction"),
    ]
    assert told["accepted"] == 2
    assert door.records()[2:] == [("invalid", "not_permitted")] * 4


def test_a_key_limited_to_sources_corrects_only_their_events(door: Any, correction: Make) -> None:
    key = door.issue(Scope(sources=("app",)))
    other = correction("c-2", corrects={"source": "other", "id": "e-1"})
    told = door.send([correction(), other], key=key).json()
    assert told["accepted"] == 1
    assert [(each["index"], each["field"]) for each in told["errors"]] == [(1, "corrects.source")]


def test_the_correlation_id_is_answered_and_logged(door: Any, event: Make) -> None:
    """The producer's own where it is fit for a header, else a new one; and neither payload nor secret is logged."""
    assert door.send(event(), x_correlation_id="trace-7").headers["x-correlation-id"] == "trace-7"
    made = door.send(event(), x_correlation_id="no good").headers["x-correlation-id"]
    assert made not in {"", "no good"}
    log = door.log()
    logged = [json.loads(line) for line in log.splitlines()]
    assert [line["correlation_id"] for line in logged] == ["trace-7", made]
    assert logged[0]["accepted"] == 1
    assert logged[0]["key_id"] == door.keys[0].key_id
    assert "acme" not in log
    assert door.key.rpartition("_")[2] not in log


def test_ten_thousand_events_are_taken_at_once(door: Any, event: Make) -> None:
    answer = door.send(lines(*[event(str(number)) for number in range(10_000)]), "application/x-ndjson")
    assert answer.json() == {"accepted": 10_000, "refused": 0}
