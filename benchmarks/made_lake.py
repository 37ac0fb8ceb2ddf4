"""Days of raw usage events made inside the lake by the compute engine: as many as wanted, without queue and parsing.

What the benchmarks of metering run on; `usage_day.py` makes the days that also go through the contract and the queue.
Every event is a function of its number: 1,000 customers with 3 projects, 3 models, 3 token classes, 3 regions. One in a
hundred is a redelivery.
"""

import tempfile
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.ingest.landing import LAST_RECEIVED
from billing_pipeline.ingest.landing_chain import NEXT_OFFSET
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import DAY_US, MINUTE_US, start_of
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.rollups import roll_up, versions_found
from billing_pipeline.metering.stage import StageResult, Workshop
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS, USAGE_EVENT_KEYS
from billing_pipeline.settings import load_settings

CUSTOMERS, PROJECTS = 1_000, 3
FILE_EVENTS = 1_000_000
_OPEN_US = DAY_US - 60 * MINUTE_US
_KEY = "CAST((CAST({0} AS HUGEINT) * 7046029254386353131) % 9223372036854775783 AS BIGINT)"
_PAYLOAD = (
    """'{"id":"req_' || n || '","source":"gateway","type":"usage","schema_version":2,"customer_id":"' """
    """|| customer_id || '","project_id":"' || project_id || '","unit":"token","quantity":"' || quantity """
    """|| '","dimensions":' || dimensions || ',"correlation_id":"req_' || n || '","session_id":"run_' || n // 40 """
    """|| '","step":"completion"}'"""
)


def new_company() -> Pipeline:
    """The pipeline of the home in the environment, its customers registered by the seed."""
    pipeline = Pipeline(load_settings())
    pipeline.seed = _seed()
    return pipeline


def stages(workshop: Workshop) -> dict[str, Callable[[date], StageResult]]:
    """What makes rollups of a raw day, in order."""
    return {
        "valid, rejected, keys": lambda day: validate(workshop, [day]),
        "unique, corrections": lambda day: identify(workshop, [day]),
        "rollups": lambda day: roll_up(workshop, versions_found(workshop, [day])),
    }


def _seed() -> tuple[RegistryChange, ...]:
    """Every customer on the plan `standard`."""
    since = date(2023, 11, 1)
    changes: list[RegistryChange] = []
    for number in range(CUSTOMERS):
        name = f"customer-{number:04d}"
        changes.append(RegistryChange("customer", name, "register", since))
        changes.append(RegistryChange("plan_assignment", name, "assign", since, {"plan": "standard"}))
        changes += [
            RegistryChange("project", f"{name}/project-{project}", "register", since)
            for project in range(PROJECTS)
        ]
    return tuple(changes)


def key_hash(number: int) -> str:
    """The key hash of an event of this number, as SQL."""
    return _KEY.format(number)


def make_raw_day(
    pipeline: Pipeline, day: date, events: int, first_offset: int, columns: Mapping[str, str] | None = None
) -> int:
    """Append a receipt day of events to the raw table; returns the offset after them.

    Args:
        pipeline: whose lake it is.
        day: all events occur and are received on it, after the close of the day before.
        events: how many.
        first_offset: of the first one.
        columns: SQL in place of what a column would hold.
    """
    files: list[Path] = []
    step_us = max(1, (_OPEN_US - MINUTE_US) // events)
    with pipeline.engine.session() as session:
        for start in range(first_offset, first_offset + events, FILE_EVENTS):
            stop = min(first_offset + events, start + FILE_EVENTS)
            received = f"{start_of(day) + 60 * MINUTE_US} + (i - {first_offset}) * {step_us}"
            values = _columns(day, received) | dict(columns or {})
            chosen = ", ".join(
                f"CAST({values.get(column.name, 'NULL')} AS {column.type}) AS {column.name}"
                for column in RAW_USAGE_EVENTS.columns
            )
            original = "CASE WHEN i % 100 = 50 THEN i - 1 ELSE i END"
            named = (
                f"SELECT i, {original} AS n, printf('customer-%04d', {original} * 7919 % {CUSTOMERS}) AS customer_id, "
                f"'project-' || {original} % {PROJECTS} AS project_id, 1 + {original} * 7919 % 5000 AS quantity, "
                f"""'{{"model":"' || ['atlas-large', 'atlas-small', 'atlas-embed'][1 + {original} // 3 % 3] """
                f"""|| '","region":"' || ['eu', 'us', 'ap'][1 + {original} // 9 % 3] """
                f"""|| '","token_class":"' || ['input_uncached', 'input_cached', 'output'][1 + {original} // 27 % 3] """
                f"""|| '"}}' AS dimensions FROM range({start}, {stop}) AS made(i)"""
            )
            files.append(_write(session, pipeline, f"SELECT {chosen} FROM ({named})"))
    end = first_offset + events
    properties = {NEXT_OFFSET: str(end), LAST_RECEIVED: str(start_of(day) + DAY_US)}
    pipeline.lake.append(RAW_USAGE_EVENTS, files, properties)
    return end


def make_key_history(pipeline: Pipeline, before: date, days: int, events: int) -> None:
    """Key files alone, of some days before a day: what identity looks through. Nothing in them is ever sent again."""
    files, keys = [], []
    with pipeline.engine.session() as session:
        for back in range(1, days + 1):
            day = before - timedelta(days=back)
            first = -back * events
            query = (
                f"SELECT DATE '{day}' AS receipt_day, CAST(hash(i, {back}) >> 1 AS BIGINT) AS key_hash, "
                f"i AS queue_offset, unhex(md5(CAST(i AS VARCHAR))) AS payload_digest "
                f"FROM range({first}, {first + events}) AS made(i)"
            )
            path = pipeline.lake.new_file(USAGE_EVENT_KEYS)
            _statement(session, query)
            session.write(USAGE_EVENT_KEYS, "made_rows", path)
            files.append(path)
            keys.append(PartitionKey(day))
    pipeline.lake.replace(USAGE_EVENT_KEYS, keys, files)


def _columns(day: date, received: str) -> dict[str, str]:
    return {
        "receipt_day": f"DATE '{day}'",
        "queue_offset": "i",
        "received_at": f"make_timestamptz({received})",
        "producer": "'gateway'",
        "kind": "'usage'",
        "source": "'gateway'",
        "id": "'req_' || n",
        "schema_version": "2",
        "payload_digest": "unhex(md5(CAST(n AS VARCHAR)))",
        "key_hash": _KEY.format("n"),
        "occurred_at": f"make_timestamptz({received} - n % 600000000)",
        "customer_id": "customer_id",
        "project_id": "project_id",
        "unit": "'token'",
        "quantity": "quantity",
        "dimensions": "dimensions",
        "correlation_id": "'req_' || n",
        "session_id": "'run_' || n // 40",
        "step": "'completion'",
        "billable": "true",
        "payload": f"encode({_PAYLOAD})",
    }


def _write(session: Session, pipeline: Pipeline, query: str) -> Path:
    path = pipeline.lake.new_file(RAW_USAGE_EVENTS)
    _statement(session, query)
    session.write(RAW_USAGE_EVENTS, "made_rows", path)
    return path


def _statement(session: Session, query: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
        file.write(query)
        file.flush()
        session.define("made_rows", Path(file.name))
