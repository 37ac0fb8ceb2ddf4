"""Registry files are entered once, all or nothing, beside what the log and the queue know."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.registry import Registry, RegistryChange, change_of
from billing_pipeline.errors import DocumentError, LakeError, RegistryRefusedError
from billing_pipeline.ingest import spool
from billing_pipeline.ingest.registry_changes import Entry, apply_file, rerate
from billing_pipeline.ingest.registry_log import registry_now
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.registered_agreement import agreement_of

NOW = instant_us("2040-02-10T12:00:00Z") or 0
FILE = """\
customers:
  - id: acme
    name: Acme
    effective_from: 2026-01-01
    plan: growth
    projects: [p]
  - id: bolt
    effective_from: 2026-02-01
    plans: [{plan: standard, effective_from: 2026-02-01}]
"""
ENTERED = [("customer", "acme"), ("plan_assignment", "acme"), ("project", "acme/p")]
ENTERED += [("customer", "bolt"), ("plan_assignment", "bolt")]


def open_queue(pipeline: Pipeline) -> SqliteQueue:
    path = pipeline.settings.queue_path
    path.parent.mkdir(parents=True, exist_ok=True)
    return SqliteQueue(path, wall_clock=lambda: NOW, steady_clock=lambda: NOW)


@pytest.fixture
def enter(pipeline: Pipeline, tmp_path: Path) -> Callable[..., list[Entry]]:
    """Applies a file to the company."""

    def run(text: str, *, dry_run: bool = False) -> list[Entry]:
        path = tmp_path / "registry.yaml"
        path.write_text(text, "utf-8")
        with open_queue(pipeline) as queue:
            return apply_file(pipeline.workshop, pipeline.lander(queue), path, dry_run=dry_run)

    return run


def log_of(pipeline: Pipeline) -> list[LogRecord]:
    with open_queue(pipeline) as queue:
        return [record for batch in queue.read_from(0, 1000) for record in batch.records()]


def known_to(pipeline: Pipeline) -> Registry:
    with open_queue(pipeline) as queue:
        return registry_now(pipeline.workshop, pipeline.lander(queue))


def land(pipeline: Pipeline) -> None:
    with open_queue(pipeline) as queue:
        pipeline.lander(queue).land()


def test_a_file_is_entered_in_its_order_as_one_batch(
    pipeline: Pipeline, enter: Callable[..., list[Entry]]
) -> None:
    """Each change is a control record, which says what the entry said."""
    entries = enter(FILE)
    assert [(each.queue_offset, each.is_new) for each in entries] == [(n, True) for n in range(5)]
    records = log_of(pipeline)
    assert [(record.entity, record.entity_id) for record in records] == ENTERED
    assert all(record.kind == "control" and record.source == "registry" for record in records)
    assert len({record.id for record in records}) == 5
    changes = [change_of(record, offset) for offset, record in enumerate(records)]
    assert all(change.says_the_same(entry.change) for change, entry in zip(changes, entries, strict=True))
    with open_queue(pipeline) as queue:
        assert [batch.producer for batch in queue.read_from(0, 1000)] == ["registry"]


@pytest.mark.parametrize("landed", [False, True], ids=["waiting in the queue", "landed"])
def test_applied_again_nothing_is_appended(
    pipeline: Pipeline, enter: Callable[..., list[Entry]], landed: bool
) -> None:
    """What the log has is known, with its offset, whether it has been landed or not."""
    enter(FILE)
    if landed:
        land(pipeline)
    again = enter(FILE)
    assert [(each.queue_offset, each.is_new) for each in again] == [(n, False) for n in range(5)]
    assert len(log_of(pipeline)) == 5


def test_only_what_is_new_is_appended(pipeline: Pipeline, enter: Callable[..., list[Entry]]) -> None:
    """Half of it landed, half of it waiting; a file grows with its company."""
    enter(FILE.split("  - id: bolt", maxsplit=1)[0])
    land(pipeline)
    enter(FILE)
    grown = enter(FILE + "    coupons: []\n    plan_ends: 2026-05-01\n")
    assert [each.queue_offset for each in grown] == [0, 1, 2, 3, 4, 5]
    assert [each.is_new for each in grown] == [False] * 5 + [True]
    assert agreement_of(known_to(pipeline), "bolt").plan_on(date(2026, 5, 1)) is None


def test_a_dry_run_shows_and_appends_nothing(pipeline: Pipeline, enter: Callable[..., list[Entry]]) -> None:
    """Not even the queue is made."""
    entries = enter(FILE, dry_run=True)
    assert [(each.queue_offset, each.is_new) for each in entries] == [(None, True)] * 5
    assert not pipeline.settings.queue_path.exists()


def test_one_fault_and_nothing_is_appended(pipeline: Pipeline, enter: Callable[..., list[Entry]]) -> None:
    """All faults are listed, those beside the rule books and the registry too."""
    with pytest.raises(DocumentError) as caught:
        enter(FILE.replace("plan: growth", "plan: grwth").replace("plan: standard", "plan: none"))
    assert [fault.field for fault in caught.value.faults] == [
        "customers[0].plan",
        "customers[1].plans[0].plan",
    ]
    assert not pipeline.settings.queue_path.exists()


def test_what_was_changed_back_is_entered_once_more(
    pipeline: Pipeline, enter: Callable[..., list[Entry]]
) -> None:
    """Only the last word counts as known, and each record has an id of its own."""
    until = FILE.replace("plan: standard,", "plan: standard, until: 2026-04-01,")
    for text in (FILE, until, FILE, until):
        enter(text)
    records = log_of(pipeline)
    assert len(records) == 5 + 3
    assert len({record.id for record in records}) == len(records)
    assert agreement_of(known_to(pipeline), "bolt").plan_on(date(2026, 4, 1)) is None


def test_what_an_import_registered_is_known(
    pipeline: Pipeline,
    enter: Callable[..., list[Entry]],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    usage: Callable[..., LogRecord],
) -> None:
    """An entry without a start of its own adds to it; records that are no changes are skipped."""
    records = registered("acme", ("p",), plan="growth")
    at = "2026-03-01T00:00:00Z"
    receive(pipeline, [(at, record) for record in records])
    with open_queue(pipeline) as queue:
        queue.append("test", [usage("e-1", at)])
    [entry] = enter("customers: [{id: acme, plans: [{plan: standard, effective_from: 2026-05-01}]}]")
    assert (entry.queue_offset, entry.is_new) == (len(records) + 1, True)
    assert entry.is_retroactive


def test_what_begins_with_the_running_period_is_not_retroactive(enter: Callable[..., list[Entry]]) -> None:
    """Nor is what a customer agreed to who has just been registered."""
    assert not any(each.is_retroactive for each in enter(FILE))
    plans = "[{plan: standard, effective_from: 2040-01-31}, {plan: growth, effective_from: 2040-02-01}]"
    entries = enter(f"customers: [{{id: acme, plans: {plans}}}]")
    assert [each.is_retroactive for each in entries] == [True, False]


def test_a_large_file_goes_in_batches(
    pipeline: Pipeline, enter: Callable[..., list[Entry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offsets go on from one to the next."""
    monkeypatch.setattr(spool, "BATCH_RECORDS", 2)
    assert [each.queue_offset for each in enter(FILE)] == [0, 1, 2, 3, 4]
    with open_queue(pipeline) as queue:
        assert [batch.count for batch in queue.read_from(0, 1000)] == [2, 2, 1]


def test_two_at_once_take_turns(
    pipeline: Pipeline, enter: Callable[..., list[Entry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one is about to append, the other must know."""
    monkeypatch.setattr("billing_pipeline.lake.iceberg.LOCK_TIMEOUT_SECONDS", 0.05)
    with pipeline.lake.lock("registry"), pytest.raises(LakeError, match="another process"):
        enter(FILE)


def ask(pipeline: Pipeline, **changed: Any) -> Entry:
    """Have acme's January rated again."""
    request = {"rules": None, "who": "finance", "why": "Signed late."} | changed
    customer_id, period = request.pop("customer_id", "acme"), request.pop("period", date(2040, 1, 1))
    with open_queue(pipeline) as queue:
        return rerate(pipeline.workshop, pipeline.lander(queue), customer_id, period, **request)


def test_a_rerating_is_a_record_of_its_own_each_time(
    pipeline: Pipeline, enter: Callable[..., list[Entry]]
) -> None:
    """Asked for twice, the period is rated twice: something else may have changed in between."""
    enter(FILE)
    first, second = ask(pipeline, rules="2026-10-16"), ask(pipeline, rules="2026-10-16")
    assert (first.queue_offset, second.queue_offset) == (5, 6)
    assert first.change == RegistryChange(
        "rerating",
        "acme",
        "rerate",
        date(2040, 1, 1),
        {"usage_period": "2040-01-01", "rules": "2026-10-16", "who": "finance", "why": "Signed late."},
    )
    records = log_of(pipeline)
    assert records[5].id != records[6].id
    assert [each.queue_offset for each in agreement_of(known_to(pipeline), "acme").reratings] == [5, 6]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"customer_id": "nobody"}, "customer 'nobody' is not registered"),
        ({"period": date(2040, 1, 2)}, "give 2040-01-01 or 2040-02-01"),
        ({"period": date(2040, 2, 1)}, "the period ends on 2040-02-29 only"),
        ({"rules": "none"}, "there is no rule version 'none'; known are 2023-11-01, 2026-10-16"),
        ({"who": " "}, "--who is blank"),
        ({"why": ""}, "--why is blank"),
    ],
)
def test_a_rerating_that_is_not_possible_says_why(
    pipeline: Pipeline, enter: Callable[..., list[Entry]], changed: dict[str, Any], told: str
) -> None:
    """And nothing is appended."""
    enter(FILE)
    with pytest.raises(RegistryRefusedError, match="nothing was appended") as caught:
        ask(pipeline, **changed)
    assert told in str(caught.value)
    assert len(log_of(pipeline)) == 5
