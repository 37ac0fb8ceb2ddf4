"""`verify`: an untouched company has no fault, and what is changed behind the pipeline's back is found and named."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from billing_pipeline.audit.report import EVERY_DAY, Check, DayRange
from billing_pipeline.audit.verify import verify
from billing_pipeline.control.database import writing
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import (
    INVOICE_LINES,
    RAW_USAGE_EVENTS,
    UNIQUE_USAGE_EVENTS,
    USAGE_ROLLUPS,
)

OLD, NEW = "2023-11-01", "2026-10-16"
OTHER, DAY, END = date(2026, 10, 5), date(2026, 10, 20), date(2026, 10, 31)
Edit = Callable[[Table, PartitionKey, str], None]


def checks(pipeline: Pipeline, days: DayRange = EVERY_DAY) -> dict[str, Check]:
    """All checks by name."""
    return {check.name: check for check in verify(pipeline.workshop, pipeline.control, days, lambda *_: None)}


def faults(pipeline: Pipeline, days: DayRange = EVERY_DAY) -> dict[str, list[str]]:
    """The faults of the checks that have any."""
    return {name: check.faults for name, check in checks(pipeline, days).items() if check.faults}


def tamper(pipeline: Pipeline, table: str, statement: str) -> None:
    """Change a fact of the control database, as somebody who first drops what protects it."""
    with writing(pipeline.control) as connection:
        for verb in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER {table}_refuses_{verb}"))
        connection.execute(text(statement))


def raw_file(pipeline: Pipeline, day: date = DAY) -> Path:
    """A file of the raw table."""
    return Path(pipeline.lake.files(RAW_USAGE_EVENTS, [day])[0].path)


def test_an_untouched_company_has_no_fault_and_everything_is_looked_at(company: Pipeline) -> None:
    found = checks(company)
    assert not any(check.faults for check in found.values())
    assert found["raw: chain of landings"].looked_at == "2 landings"
    assert found["raw: bytes of files"].looked_at == "3 files, SHA-256 each"
    assert found["raw: offsets"].looked_at == "26 offsets"
    assert found["hashes: usage_rollups"].looked_at.startswith("3 partitions, ")
    assert found["conservation: rollups"].looked_at == "2 closed days"


def test_a_raw_file_replaced_by_another_is_found(company: Pipeline) -> None:
    """By its bytes, though it is as good a Parquet file as before."""
    first, other = raw_file(company), raw_file(company, OTHER)
    shutil.copy(other, first)
    found = faults(company)
    (fault,) = found["raw: bytes of files"]
    assert fault.startswith(f"{first} is not as it was landed")
    assert "land it anew from the queue" in fault
    assert "hashes: raw_usage_events" in found


@pytest.mark.parametrize(
    "place",
    [0.01, pytest.param(0.5, marks=pytest.mark.torture), pytest.param(0.8, marks=pytest.mark.torture), 0.999],
)
def test_one_byte_of_a_raw_file_is_found(company: Pipeline, place: float) -> None:
    """Wherever it is, and whether or not the file can still be read."""
    path = raw_file(company)
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)
    assert str(path) in faults(company)["raw: bytes of files"][0]


def test_a_raw_file_that_is_gone_is_found_and_the_other_checks_are_made(company: Pipeline) -> None:
    path = raw_file(company)
    path.unlink()
    found = faults(company)
    assert found["raw: bytes of files"][0].startswith(f"{path} is missing on the disk")
    assert "could not be made to its end" in found["conservation: records"][0]
    assert "rule books" not in found


def test_a_raw_file_that_something_else_appended_is_found(company: Pipeline) -> None:
    """By the snapshot, by the file, and by the offsets that it doubles."""
    foreign = company.lake.new_file(RAW_USAGE_EVENTS)
    shutil.copy(raw_file(company), foreign)
    company.lake.append(RAW_USAGE_EVENTS, [foreign], {})
    found = faults(company)
    snapshot = company.lake.snapshot(RAW_USAGE_EVENTS)
    assert found["raw: snapshots"][0].startswith(f"snapshot {snapshot} is no landing's")
    assert found["raw: set of files"][0].startswith(f"{foreign} is in the table, but no landing wrote it")
    assert "conservation: records" in found


def test_a_raw_partition_that_was_deleted_is_found(company: Pipeline) -> None:
    """By the snapshot's operation and by the missing file."""
    name = raw_file(company, OTHER).name
    company.lake._table(RAW_USAGE_EVENTS).delete("receipt_day = '2026-10-05'")
    found = faults(company)
    assert "did not append but" in found["raw: snapshots"][0]
    assert found["raw: set of files"][0].startswith(f"{name}, landed with offsets 0 to ")


def test_a_link_of_the_chain_that_was_changed_is_found(company: Pipeline) -> None:
    """Whoever adapts the hash of a file breaks the link; whoever adapts the link breaks the next one."""
    tamper(
        company,
        "landings",
        "UPDATE landings SET files = replace(files, substr(files, 50, 8), '00000000') WHERE id = 1",
    )
    found = faults(company)["raw: chain of landings"]
    assert any("its record gives another hash than it carries" in fault for fault in found)
    assert any("its record and its snapshot differ" in fault for fault in found)


def test_a_landing_that_was_removed_from_the_record_is_found(company: Pipeline) -> None:
    tamper(company, "landings", "DELETE FROM landings WHERE id = 1")
    found = faults(company)
    assert "does not carry on the landing before it" in found["raw: chain of landings"][0]
    assert "raw: set of files" in found


def test_offsets_that_are_not_there_once_each_are_found(company: Pipeline, edit: Edit) -> None:
    """Also where file hashes and chain were adapted to it with care."""
    from billing_pipeline.control.landings import files_text, recorded_landings
    from billing_pipeline.ingest.landing_chain import chain_of, landed_file

    first, second = recorded_landings(company.control)
    edit(
        RAW_USAGE_EVENTS,
        PartitionKey(OTHER),
        "FROM part WHERE queue_offset <> 8 UNION ALL (FROM part LIMIT 1)",
    )
    files = [landed_file(raw_file(company, OTHER))] + [
        file for file in first.files if file.name != raw_file(company, OTHER).name
    ]
    chain = chain_of(first.previous_chain, first.first_offset, first.next_offset, files)
    tamper(
        company,
        "landings",
        f"UPDATE landings SET files = '{files_text(files)}', chain = '{chain}' WHERE chain = '{first.chain}'",
    )
    found = faults(company)
    assert "there must be each once" in found["raw: offsets"][0]
    assert second.previous_chain == first.chain != chain
    assert any("does not carry on" in fault for fault in found["raw: chain of landings"])


@pytest.mark.parametrize(
    ("table", "key", "query"),
    [
        (USAGE_ROLLUPS, PartitionKey(DAY, NEW), "SELECT * REPLACE (quantity + 1 AS quantity) FROM part"),
        (UNIQUE_USAGE_EVENTS, PartitionKey(DAY), "SELECT * FROM part WHERE id <> 'b'"),
        (INVOICE_LINES, PartitionKey(END), "SELECT * REPLACE (amount_minor - 1 AS amount_minor) FROM part"),
    ],
)
def test_a_derived_file_that_was_edited_is_found(
    company: Pipeline, edit: Edit, table: Table, key: PartitionKey, query: str
) -> None:
    """By its content hash, and by conservation where the tables beside it do not fit."""
    edit(table, key, query)
    found = faults(company)
    (fault,) = found[f"hashes: {table.name}"]
    assert fault.startswith(f"{table.name} {key} is recorded with content hash ")
    assert "billing replay" in fault
    assert any(name.startswith("conservation") for name in found)


def test_a_partition_that_was_replaced_through_the_lake_is_found(company: Pipeline) -> None:
    """Removed whole, and put there without a record."""
    key = PartitionKey(DAY, NEW)
    company.lake.replace(USAGE_ROLLUPS, [key], [])
    (fault,) = faults(company)["hashes: usage_rollups"]
    assert "but is not in the lake" in fault
    tamper(company, "partition_records", f"DELETE FROM partition_records WHERE partition_key = '{DAY}|{OLD}'")
    assert any("nothing is recorded of it" in fault for fault in faults(company)["hashes: usage_rollups"])


def test_a_recorded_hash_that_was_changed_is_found(company: Pipeline) -> None:
    """By raw SQL, after dropping the triggers that refuse it."""
    tamper(
        company,
        "partition_records",
        f"UPDATE partition_records SET content_hash = 'feed' WHERE partition_key = '{DAY}|{NEW}'",
    )
    assert list(faults(company)) == ["hashes: usage_rollups"]


def test_invoices_that_were_pushed_from_other_lines_are_found(company: Pipeline) -> None:
    from billing_pipeline.invoicing.period_close.push_stage import pushed_partitions

    pushed = pushed_partitions(company.workshop, company.control, [END])
    company.record(pushed, watermark=company.calendar.close(END), run_id="push")
    assert faults(company) == {}
    tamper(
        company,
        "partition_records",
        "UPDATE partition_records SET content_hash = 'feed' WHERE table_name = 'stripe_invoice_pushes'",
    )
    (fault,) = faults(company)["hashes: stripe_invoice_pushes"]
    assert fault.startswith(f"stripe_invoice_pushes {END}: the invoices were pushed from lines")


def test_a_rule_book_that_was_changed_or_lost_is_found(
    company: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is a partition that says it was made under other rules than the ones used."""
    tamper(company, "rule_book_uses", "UPDATE rule_book_uses SET content_hash = 'feed'")
    found = faults(company)["rule books"]
    assert f"rule book {OLD} has been used with content hash feed, but its file has " in found[0]
    assert any("is recorded as made under rule book" in fault for fault in found)
    monkeypatch.setattr(company, "books", RuleBooks(tuple(company.books)[1:]))
    company.__dict__.pop("workshop", None)
    assert f"rule book {OLD} has been used but has no file: put it back" in faults(company)["rule books"]


def test_a_range_of_days_looks_at_those_days_alone(company: Pipeline, edit: Edit) -> None:
    """What is damaged outside of it is not found, what is inside is."""
    edit(USAGE_ROLLUPS, PartitionKey(DAY, NEW), "SELECT * REPLACE (quantity + 1 AS quantity) FROM part")
    assert faults(company, DayRange(last=OTHER)) == {}
    assert set(faults(company, DayRange(first=DAY, last=DAY))) == {
        "hashes: usage_rollups",
        "conservation: rollups",
    }


def test_an_empty_company_has_nothing_to_find(pipeline: Pipeline) -> None:
    assert faults(pipeline) == {}


@pytest.fixture
def open_company(company: Pipeline, receive: Callable[..., None], usage: Callable[..., object]) -> Pipeline:
    """More has come since the close, into a day that nobody has closed yet."""
    receive(company, [("2026-11-02T12:00:00Z", usage("next", "2026-11-02T11:00:00Z"))])
    return company


def test_what_has_landed_since_the_last_close_is_no_fault(open_company: Pipeline) -> None:
    assert faults(open_company) == {}
