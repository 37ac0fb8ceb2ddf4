"""The client against a gateway that answers by a script: what is settled, sent again, split, held and told."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing_pipeline.contract.events import CorrectedEvent, Correction
from billing_pipeline.contract.parsing import parse
from billing_pipeline.emit.client import Client
from billing_pipeline.emit.options import Options
from billing_pipeline.emit.refusal import Refusal
from billing_pipeline.errors import ClientClosedError, EmitError, EventFaultsError, SpoolFullError
from billing_pipeline_tests.emit.made_events import Noted, event
from billing_pipeline_tests.emit.scripted_gateway import Reply, ScriptedGateway, failed, refusing

FLUSH_SECONDS = 60.0
BROKEN: Reply = (0, {}, None)


def test_events_arrive_once_with_key_and_content_type_and_leave_the_spool(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    with Client(gateway.url, "the-key", source="chat", spool_directory=tmp_path) as client:
        made = client.usage(customer_id="acme", project_id="bot", unit="token", quantity=12)
        client.emit(event("b"))
        assert client.flush(FLUSH_SECONDS)
        counts = client.counts
    assert (counts.emitted, counts.acknowledged, counts.refused, counts.retried, counts.waiting) == (
        2,
        2,
        0,
        0,
        0,
    )
    assert [event_id for ids in gateway.ids() for event_id in ids] == [made.id, "b"]
    assert set(gateway.paths) == {"/v1/events"}
    assert gateway.headers[0]["authorization"] == "Bearer the-key"
    assert gateway.headers[0]["content-type"] == "application/x-ndjson"
    assert not list(tmp_path.glob("*.spool"))


def test_what_usage_builds_is_a_valid_event_that_says_when_it_was_sent(gateway: ScriptedGateway) -> None:
    with Client(gateway.url, "k", source="chat", durability="memory") as client:
        client.usage(
            customer_id="acme", project_id="bot", unit="token", quantity="1.5", dimensions={"model": "m"}
        )
        client.emit({"customer_id": "acme", "project_id": "bot", "unit": "call", "quantity": 1, "correlation_id": "c",
                     "occurred_at": "2026-03-01T12:00:00Z"})  # fmt: skip
        client.emit(
            Correction(
                id="c1",
                source="chat",
                occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
                corrects=CorrectedEvent("chat", "x"),
                action="void",
                reason_code="metering_error",
            )
        )
        assert client.flush(FLUSH_SECONDS)
    sent = [sent for body in gateway.bodies for sent in body]
    assert [parse(json.dumps(one).encode()).kind for one in sent] == ["usage", "usage", "correction"]
    assert all("emitted_at" in one for one in sent[:2])


@pytest.mark.parametrize(
    "failure", [failed(408), failed(429), failed(500), failed(502), failed(503), failed(504), BROKEN]
)
def test_what_may_mend_itself_is_sent_again_with_the_same_bytes(
    gateway: ScriptedGateway, tmp_path: Path, failure: Reply
) -> None:
    gateway.script = [failure, failure]
    noted = Noted()
    with Client(gateway.url, "k", spool_directory=tmp_path, options=noted.options()) as client:
        client.emit_all([event("a"), event("b")])
        assert client.flush(FLUSH_SECONDS)
        assert client.counts.retried == 2
        assert client.last_problem is None
    assert gateway.bodies[0] == gateway.bodies[-1]
    assert gateway.ids() == [["a", "b"]] * 3
    assert noted.pauses == [0.125, 0.25]  # half of a bound that doubles


def test_retry_after_is_the_least_pause(gateway: ScriptedGateway, tmp_path: Path) -> None:
    gateway.script = [failed(429, Retry_After="7"), failed(503, Retry_After="Thu, 01 Jan 2026 00:00:00 GMT")]
    noted = Noted()
    with Client(gateway.url, "k", spool_directory=tmp_path, options=noted.options()) as client:
        client.emit(event("a"))
        assert client.flush(FLUSH_SECONDS)
    assert noted.pauses == [7.125, 0.25]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 415, 301])
def test_what_a_person_must_mend_is_kept_told_and_tried_again_after_a_long_pause(
    gateway: ScriptedGateway, tmp_path: Path, status: int
) -> None:
    gateway.script = [failed(status)]
    noted, told = Noted(), list[str]()
    options = noted.options(on_problem=told.append)
    with Client(gateway.url, "k", spool_directory=tmp_path, options=options) as client:
        client.emit(event("a"))
        assert client.flush(FLUSH_SECONDS)
    assert noted.pauses == [60.0]
    assert str(status) in told[0]
    assert gateway.ids() == [["a"], ["a"]]


def test_a_key_that_is_asked_for_is_asked_for_each_request(gateway: ScriptedGateway) -> None:
    gateway.script = [failed(401)]
    keys = iter(["old", "new"])
    with Client(gateway.url, lambda: next(keys), durability="memory", options=Noted().options()) as client:
        client.emit(event("a"))
        assert client.flush(FLUSH_SECONDS)
    assert [headers["authorization"] for headers in gateway.headers] == ["Bearer old", "Bearer new"]


def test_a_key_that_cannot_be_had_is_told_and_asked_for_again(gateway: ScriptedGateway) -> None:
    keys = iter(list[str | OSError]([OSError("no vault"), "key"]))

    def key() -> str:
        found = next(keys)
        if isinstance(found, OSError):
            raise found
        return found

    told: list[str] = []
    options = Noted().options(on_problem=told.append)
    with Client(gateway.url, key, durability="memory", options=options) as client:
        client.emit(event("a"))
        assert client.flush(FLUSH_SECONDS)
    assert "no vault" in told[0]


@pytest.mark.parametrize("key", ["", "sec ret", "sec\nret", "sécret"])
def test_a_key_that_no_header_can_carry_is_refused_without_quoting_it(key: str) -> None:
    with pytest.raises(EmitError) as caught:
        Client("http://127.0.0.1:1", key, durability="memory")
    assert "ret" not in str(caught.value)


def test_files_that_vanish_under_the_client_are_told(gateway: ScriptedGateway, tmp_path: Path) -> None:
    told, gone = list[str](), threading.Event()

    def note(problem: str) -> None:
        told.append(problem)
        gone.set()

    options = Noted().options(batch_age_seconds=1e6, on_problem=note)
    with Client(gateway.url, "k", spool_directory=tmp_path, options=options) as client:
        client.emit(event("a"))
        next(tmp_path.glob("*.spool")).write_bytes(b"")
        assert client.flush(0.0) is False
        assert gone.wait(FLUSH_SECONDS)
        client.close(0.0)
    assert "changed or removed" in told[0]
    assert gateway.bodies == []


@pytest.mark.parametrize("directory", [True, False])
def test_refused_events_are_told_with_their_reason_and_never_sent_again(
    gateway: ScriptedGateway, tmp_path: Path, directory: bool
) -> None:
    gateway.script = [refusing("b"), refusing("c")]
    refusals = list[Refusal]()
    options = Noted().options(on_refused=refusals.append)
    client = (
        Client(gateway.url, "k", spool_directory=tmp_path, options=options)
        if directory
        else Client(gateway.url, "k", durability="memory", options=options)
    )
    with client:
        client.emit_all([event("a"), event("b")])
        assert client.flush(FLUSH_SECONDS)
        client.emit(event("c"))  # 422
        assert client.flush(FLUSH_SECONDS)
        counts = client.counts
    assert gateway.ids() == [["a", "b"], ["c"]]
    assert (counts.acknowledged, counts.refused) == (1, 2)
    assert [(json.loads(one.event)["id"], one.code, one.field) for one in refusals] == [
        ("b", "missing_field", "unit"),
        ("c", "missing_field", "unit"),
    ]
    if directory:
        lines = [json.loads(line) for line in (tmp_path / "refused.ndjson").read_text().splitlines()]
        assert [line["event"]["id"] for line in lines] == ["b", "c"]
        assert lines[0]["message"] == "unit must be given"


def test_a_listener_that_fails_does_not_stop_the_sending(gateway: ScriptedGateway) -> None:
    gateway.script = [failed(500), refusing("a")]

    def fail(_: object) -> None:
        raise RuntimeError("the listener's own")

    options = Noted().options(on_refused=fail, on_problem=fail)
    with Client(gateway.url, "k", durability="memory", options=options) as client:
        client.emit(event("a"))
        assert client.flush(FLUSH_SECONDS)
        assert client.counts.refused == 1


def test_a_request_that_is_too_large_is_halved_until_it_passes(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    def at_most_two(body: list[dict[str, object]]) -> Reply:
        return failed(413) if len(body) > 2 else (202, {}, {"accepted": len(body), "refused": 0})

    gateway.script = [at_most_two] * 20
    ids = [f"e{number}" for number in range(9)]
    with Client(gateway.url, "k", spool_directory=tmp_path, options=Noted().options()) as client:
        client.emit_all([event(one) for one in ids])
        assert client.flush(FLUSH_SECONDS)
    assert [one for taken in gateway.ids() if len(taken) <= 2 for one in taken] == ids


def test_one_event_that_is_too_large_for_the_gateway_is_held_and_told(gateway: ScriptedGateway) -> None:
    gateway.script = [failed(413)]
    noted = Noted()
    with Client(gateway.url, "k", durability="memory", options=noted.options()) as client:
        client.emit(event("a"))
        assert client.flush(FLUSH_SECONDS)
    assert noted.pauses == [60.0]


@pytest.mark.parametrize(
    "answer",
    [
        (202, {}, b"<html>welcome</html>"),
        (202, {}, {"accepted": 1, "refused": 0}),
        (207, {}, {"accepted": 1, "refused": 1, "errors": []}),
        (207, {}, {"accepted": 1, "refused": 1, "errors": [{"index": 7, "code": "x"}]}),
    ],
)
def test_an_answer_that_does_not_account_for_every_event_settles_nothing(
    gateway: ScriptedGateway, tmp_path: Path, answer: Reply
) -> None:
    gateway.script = [answer]
    with Client(gateway.url, "k", spool_directory=tmp_path, options=Noted().options()) as client:
        client.emit_all([event("a"), event("b")])
        assert client.flush(FLUSH_SECONDS)
        assert client.counts.acknowledged == 2
    assert gateway.ids() == [["a", "b"], ["a", "b"]]


def test_an_event_with_faults_is_refused_at_once_with_all_of_them(gateway: ScriptedGateway) -> None:
    with Client(gateway.url, "k", source="chat", durability="memory") as client:
        with pytest.raises(EventFaultsError) as caught:
            client.usage(customer_id="a/b", project_id="", unit="token", quantity="1e3")
        assert {fault.field for fault in caught.value.faults} == {"customer_id", "project_id", "quantity"}
        with pytest.raises(EventFaultsError, match="JSON"):
            client.emit({"id": object()})
        with pytest.raises(EventFaultsError):
            client.emit_all([event("good"), event("bad", unit="")])
        assert client.counts.emitted == 0
    assert gateway.bodies == []


def test_without_validation_the_gateway_decides_but_size_is_still_refused(gateway: ScriptedGateway) -> None:
    with Client(gateway.url, "k", durability="memory", options=Options(validate=False)) as client:
        client.emit(event("bad", unit=""))
        with pytest.raises(EventFaultsError, match="65536"):
            client.emit(event("large", unit="x" * 70_000))
        assert client.flush(FLUSH_SECONDS)
    assert gateway.ids() == [["bad"]]


def test_a_large_body_is_compressed_and_a_small_one_is_not(gateway: ScriptedGateway) -> None:
    with Client(gateway.url, "k", durability="memory", options=Noted().options()) as client:
        client.emit(event("small"))
        assert client.flush(FLUSH_SECONDS)
        client.emit_all([event(f"e{number}") for number in range(100)])
        assert client.flush(FLUSH_SECONDS)
    assert "content-encoding" not in gateway.headers[0]
    assert gateway.headers[-1]["content-encoding"] == "gzip"


@pytest.mark.parametrize("limits", [{"batch_events": 4}, {"batch_bytes": 1000}])
def test_batches_keep_to_their_limits_and_to_the_order_of_emission(
    gateway: ScriptedGateway, tmp_path: Path, limits: dict[str, int]
) -> None:
    ids = [f"e{number}" for number in range(10)]
    with Client(gateway.url, "k", spool_directory=tmp_path, options=Noted().options(**limits)) as client:
        client.emit_all([event(one) for one in ids])
        assert client.flush(FLUSH_SECONDS)
    assert [one for taken in gateway.ids() for one in taken] == ids
    assert max(map(len, gateway.ids())) <= 4


def test_a_full_batch_is_sent_without_waiting_for_its_age(gateway: ScriptedGateway) -> None:
    arrived = threading.Event()

    def note(body: list[dict[str, object]]) -> Reply:
        arrived.set()
        return 202, {}, {"accepted": len(body), "refused": 0}

    gateway.script = [note]
    options = Noted().options(batch_age_seconds=1e6, batch_events=2)
    with Client(gateway.url, "k", durability="memory", options=options) as client:
        client.emit_all([event("a"), event("b")])
        assert arrived.wait(FLUSH_SECONDS)


def emit_until_full(client: Client) -> int:
    for taken in range(100):
        try:
            client.emit(event(f"e{taken}"))
        except SpoolFullError:
            return taken
    raise AssertionError("never full")


@pytest.mark.parametrize("durability", ["disk", "memory"])
def test_a_full_spool_refuses_the_event_and_takes_it_again_when_there_is_room(
    gateway: ScriptedGateway, tmp_path: Path, durability: str
) -> None:
    gate = threading.Event()

    def wait(_: object) -> Reply:
        gate.wait(FLUSH_SECONDS)
        return failed(503)

    gateway.script = [wait]
    options = Noted().options(spool_bytes=1000)
    with Client(
        gateway.url,
        "k",
        durability="disk" if durability == "disk" else "memory",
        spool_directory=tmp_path if durability == "disk" else None,
        options=options,
    ) as client:
        with pytest.raises(SpoolFullError) as caught:
            client.emit_all([event(f"far {number}") for number in range(100)])
        assert caught.value.limit_bytes == 1000
        taken = emit_until_full(client)
        assert client.counts.emitted == taken > 1
        gate.set()
        assert client.flush(FLUSH_SECONDS)
        client.emit(event("again"))
        assert client.flush(FLUSH_SECONDS)
    assert len({one for ids in gateway.ids() for one in ids}) == taken + 1


def test_flush_that_runs_out_of_time_says_so_and_close_keeps_the_rest_for_the_next_client(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    gateway.script = [failed(503)] * 3
    slow = Options(batch_age_seconds=1e6)  # pauses for real, so nothing is settled within no time
    client = Client(gateway.url, "k", spool_directory=tmp_path, options=slow)
    client.emit_all([event("a"), event("b")])
    assert client.flush(0.0) is False
    assert client.close(0.0) is False
    assert client.close() is True
    with pytest.raises(ClientClosedError):
        client.emit(event("c"))
    with Client(gateway.url, "k", spool_directory=tmp_path, options=Noted().options()) as following:
        assert following.flush(FLUSH_SECONDS)
        assert following.counts.emitted == 0
    assert gateway.ids()[-1] == ["a", "b"]


def test_what_memory_loses_at_the_end_is_told(
    gateway: ScriptedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(gateway.url, "k", durability="memory", options=Options(batch_age_seconds=1e6))
    client.emit(event("a"))
    assert client.close(0.0) is False
    assert "1 events were not sent and are lost" in caplog.text


def test_a_client_says_what_it_cannot_be_made_of(tmp_path: Path) -> None:
    with pytest.raises(EmitError, match="spool_directory"):
        Client("http://127.0.0.1:1", "k")
    with pytest.raises(EmitError, match="leave one of them out"):
        Client("http://127.0.0.1:1", "k", durability="memory", spool_directory=tmp_path)
    with (
        Client("http://127.0.0.1:1", "k", durability="memory") as client,
        pytest.raises(EmitError, match="source"),
    ):
        client.usage(customer_id="a", project_id="b", unit="token", quantity=1)


def test_many_threads_emit_and_every_event_arrives_exactly_once(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    options = Noted().options(segment_bytes=4_000, batch_events=50)
    with Client(gateway.url, "k", spool_directory=tmp_path, options=options) as client:

        def produce(name: int) -> None:
            for number in range(50):
                client.emit(event(f"{name}/{number}"))

        threads = [threading.Thread(target=produce, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(FLUSH_SECONDS)
    arrived = [one for ids in gateway.ids() for one in ids]
    assert sorted(arrived) == sorted(f"{name}/{number}" for name in range(4) for number in range(50))
    assert not list(tmp_path.glob("*.spool"))
