"""Every table has a pandera schema, and each kind of violation in its files is found and named."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.pandera_schemas import faults_of, schema_of
from billing_pipeline.schemas.table import ColumnType, PartitionKey, Table
from billing_pipeline.schemas.tables import BY_NAME, TABLES, USAGE_ROLLUPS

GOOD: dict[ColumnType, object] = {
    ColumnType.DAY: date(2026, 10, 5),
    ColumnType.INSTANT: datetime(2026, 10, 5, 12, tzinfo=UTC),
    ColumnType.TEXT: "x",
    ColumnType.WHOLE: 1,
    ColumnType.QUANTITY: Decimal("1.5"),
    ColumnType.AMOUNT: Decimal("0.000000000000000000000001"),
    ColumnType.FLAG: True,
    ColumnType.BYTES: b"\x00\xff",
}


def good_row(table: Table) -> dict[str, object]:
    return {c.name: c.one_of[0] if c.one_of else GOOD[c.type] for c in table.columns}


@pytest.fixture
def written(pipeline: Pipeline, tmp_path: Path) -> Callable[[Table, dict[str, object]], list[str]]:
    """Writes one row as the engine does, and returns the file."""

    def write(table: Table, row: dict[str, object]) -> list[str]:
        path = tmp_path / f"{table.name}.parquet"
        with pipeline.engine.session() as session:
            session.load("made", table.columns, [tuple(row.values())])
            session.write(table, "made", path)
        return [str(path)]

    return write


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_good_row_of_every_table_passes_as_the_engine_writes_it(
    table: Table, written: Callable[[Table, dict[str, object]], list[str]]
) -> None:
    assert faults_of(table, written(table, good_row(table))) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_missing_value_is_found_in_exactly_the_columns_that_need_one(
    table: Table, written: Callable[[Table, dict[str, object]], list[str]]
) -> None:
    faults = faults_of(table, written(table, dict.fromkeys(good_row(table))))
    needed = [column.name for column in table.columns if not column.nullable]
    assert faults
    assert {fault.split(":")[0] for fault in faults} <= set(needed)
    assert all("not_nullable" in fault for fault in faults)


@pytest.mark.parametrize(
    ("table", "column", "value", "told"),
    [
        ("usage_rollups", "kind", "early", "isin"),
        ("raw_usage_events", "kind", "other", "isin"),
        ("duplicate_usage_events", "outcome", "", "isin"),
        ("raw_usage_events", "queue_offset", -1, "greater_than_or_equal_to"),
        ("usage_rollups", "rule_version", "v" * 65, "str_length"),
        ("raw_usage_events", "customer_id", "c" * 129, "str_length"),
        ("invoice_lines", "currency", "euro", "str_length"),
    ],
)
def test_a_value_outside_enumeration_bound_or_length_is_found_with_its_column_and_value(
    table: str,
    column: str,
    value: object,
    told: str,
    written: Callable[[Table, dict[str, object]], list[str]],
) -> None:
    declared = BY_NAME[table]
    (fault,) = faults_of(declared, written(declared, good_row(declared) | {column: value}))
    assert fault.startswith(f"{column}: {told}")
    assert fault.endswith(f": {value}")


def test_values_at_the_limits_pass(written: Callable[[Table, dict[str, object]], list[str]]) -> None:
    row = good_row(USAGE_ROLLUPS) | {"rule_version": "v" * 64, "quantity": Decimal(10**29 - 1)}
    assert faults_of(USAGE_ROLLUPS, written(USAGE_ROLLUPS, row)) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (pl.col("quantity").cast(pl.Float64), "quantity"),
        (pl.col("event_count").cast(pl.UInt64), "event_count"),
        (pl.col("usage_day").cast(pl.String), "usage_day"),
        (pl.lit("x").alias("surplus"), "surplus"),
    ],
)
def test_a_column_of_another_type_or_one_too_many_is_found(
    change: Any, named: str, written: Callable[[Table, dict[str, object]], list[str]], tmp_path: Path
) -> None:
    """A float for money or quantity above all."""
    (path,) = written(USAGE_ROLLUPS, good_row(USAGE_ROLLUPS))
    changed = tmp_path / "changed.parquet"
    pl.read_parquet(path).with_columns(change).write_parquet(changed)
    assert any(named in fault for fault in faults_of(USAGE_ROLLUPS, [str(changed)]))


def test_a_lost_column_is_found(
    written: Callable[[Table, dict[str, object]], list[str]], tmp_path: Path
) -> None:
    (path,) = written(USAGE_ROLLUPS, good_row(USAGE_ROLLUPS))
    changed = tmp_path / "changed.parquet"
    pl.read_parquet(path).drop("meter").write_parquet(changed)
    assert any("meter" in fault for fault in faults_of(USAGE_ROLLUPS, [str(changed)]))


def test_an_empty_partition_has_no_faults() -> None:
    assert faults_of(USAGE_ROLLUPS, []) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_is_declared_consistently(table: Table) -> None:
    """Its schema has all columns with a description; partition, order and lineage name columns that exist."""
    names = set(table.column_names)
    assert list(schema_of(table).columns) == list(table.column_names)
    assert all(column.description for column in table.columns)
    assert table.description
    assert names.issuperset((*table.partition_by, *table.order_by, *table.derived_from))
    assert table.columns[[c.name for c in table.columns].index(table.partition_by[0])].type is ColumnType.DAY
    for upstream in table.upstream:
        assert upstream in BY_NAME
    for source in (name for names_of in table.derived_from.values() for name in names_of):
        origin, _, column = source.partition(".")
        assert column in BY_NAME[origin].column_names


def test_no_column_anywhere_is_a_binary_float() -> None:
    types = {column.type.value for table in TABLES for column in table.columns}
    assert not {kind for kind in types if "DOUBLE" in kind or "FLOAT" in kind or "REAL" in kind}


def test_a_partition_key_reads_as_dagster_writes_it() -> None:
    assert str(PartitionKey(date(2026, 10, 5))) == "2026-10-05"
    assert str(PartitionKey(date(2026, 10, 5), "v1")) == "2026-10-05|v1"
