"""The row that SQL makes of a plain event is the row of what the contract makes of it, column by column."""

from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body, body_of, plain_line, record_line
from billing_pipeline.contract.parsing import parse
from billing_pipeline.contract.plain_usage import plain_usage
from billing_pipeline.ingest import landing
from billing_pipeline.ingest.landing import define_landed
from billing_pipeline.ingest.line_table import line_table
from billing_pipeline.ingest.queue import Batch
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory
from billing_pipeline.lake.engine import Session
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS
from billing_pipeline_tests.contract.made_events import plain_payloads

WHOLE = {
    "schema_version",
    "key_hash",
    "occurred_at",
    "emitted_at",
    "corrects_key_hash",
    "effective_from",
    "first_received_at",
    "requeued_offset",
}
OTHER = {
    "kind": "usage",
    "payload": None,
    "payload_base64": "Ynl0ZXM=",
    "payload_digest": "00" * 16,
    "quantity": "1.5",
    "quantity_delta": "-1.5",
    "billable": False,
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    engine = DuckDBEngine(in_memory, 1000, 2, tmp_path_factory.mktemp("scratch"))
    with engine.session() as opened:
        opened.load("days", landing.DAY_COLUMNS, [(date(2026, 10, 5), 0, 1 << 60)])
        yield opened


def rows(session: Session, body: Body) -> list[tuple[object, ...]]:
    session.load_arrow("lines", line_table([Batch(0, body.count, "test", 1, body.lines)]))
    define_landed(session, days=1)
    columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in RAW_USAGE_EVENTS.columns)
    return session.rows(f"SELECT {columns} FROM landed ORDER BY queue_offset")


def many(examples: int) -> settings:
    """So many examples, all in the one session."""
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@many(25)
@given(st.lists(plain_payloads(), min_size=1, max_size=20))
def test_both_forms_of_a_line_give_the_same_row(session: Session, payloads: list[bytes]) -> None:
    """What SQL makes of a plain line is what the contract makes of it."""
    check_both_forms(session, payloads)


@pytest.mark.torture
@many(1500)
@given(st.lists(plain_payloads(), min_size=1, max_size=20))
def test_both_forms_of_many_lines_give_the_same_row(session: Session, payloads: list[bytes]) -> None:
    """The same over many more lines."""
    check_both_forms(session, payloads)


def check_both_forms(session: Session, payloads: list[bytes]) -> None:
    """The plain ones of some payloads, as they are sent and as the contract writes them."""
    plain = [payload for payload in payloads if plain_usage(payload) is not None]
    assume(plain)
    made_by_sql = rows(session, body_of(map(plain_line, plain)))
    made_by_contract = rows(session, body_of(record_line(parse(payload)) for payload in plain))
    assert made_by_sql == made_by_contract


def test_nearly_every_payload_that_is_meant_to_be_plain_is() -> None:
    """The property above is about something: made events are plain but for a customer's slash or a digit too many."""
    found: list[bool] = []

    @settings(max_examples=200, deadline=None, database=None)
    @given(plain_payloads())
    def count(payload: bytes) -> None:
        found.append(plain_usage(payload) is not None)

    count()
    assert sum(found) > len(found) * 0.95


def test_a_record_keeps_every_field_that_it_has(session: Session) -> None:
    """No field of a record is left behind on the way into the raw table."""
    texts = {name: f"{name} ü" for name in LogRecord.__struct_fields__ if name not in WHOLE | OTHER.keys()}
    record = LogRecord(**texts, **dict.fromkeys(WHOLE, 7), **OTHER)  # type: ignore[arg-type]  # by their names
    ((*row,),) = rows(session, body_of([record_line(record)]))
    found = dict(zip(RAW_USAGE_EVENTS.column_names, row, strict=True))
    assert [name for name, text in texts.items() if found[name] != text] == []
    assert [name for name, value in found.items() if value is None] == []
    assert found["payload"] == b"bytes"
    assert str(found["quantity"]) == "1.500000000"
