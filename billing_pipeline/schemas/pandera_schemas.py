"""The pandera schema of each table, made from its declaration, and the check of a partition's files against it."""

import os
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

from billing_pipeline.schemas.table import Column, ColumnType, Table

FAULTS_SHOWN = 5


@cache
def schema_of(table: Table) -> Any:
    """The table's `pandera.polars.DataFrameSchema`: types, missing values, enumerations, bounds, lengths."""
    import_pandera()
    import pandera.polars as pa

    return pa.DataFrameSchema(
        {
            column.name: pa.Column(
                _polars_type(column.type),
                _checks(column),
                nullable=column.nullable,
                description=column.description,
            )
            for column in table.columns
        },
        strict=True,
        name=table.name,
    )


def faults_of(table: Table, paths: Sequence[str]) -> list[str]:
    """What is wrong with data files of a table, in words; empty where nothing is."""
    if not paths:
        return []
    import polars as pl

    import_pandera()
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    frame = pl.scan_parquet(list(paths))
    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema_of(table).validate(frame, lazy=True)
    except SchemaErrors as error:
        return [
            f"{fault.get('column') or table.name}: {fault.get('check')}: {fault.get('failure_case')}"
            for fault in error.failure_cases.head(FAULTS_SHOWN).to_dicts()
        ]
    return []


@cache
def import_pandera() -> None:
    """Import pandera for the first time, without what it does to Spark where that is installed.

    It imports pyspark's pandas, which warns of ours, and leaves variables in the environment: by one of them a driver
    would be told to the workers of a cluster as 127.0.0.1.
    """
    before = dict(os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import pandera.polars  # noqa: F401 - for the sake of importing it here
    for name in ("SPARK_LOCAL_IP", "PYARROW_IGNORE_TIMEZONE"):
        if name not in before:
            os.environ.pop(name, None)


def _polars_type(kind: ColumnType) -> Any:
    import polars as pl

    return {
        ColumnType.DAY: pl.Date(),
        ColumnType.INSTANT: pl.Datetime("us", "UTC"),
        ColumnType.TEXT: pl.String(),
        ColumnType.WHOLE: pl.Int64(),
        ColumnType.QUANTITY: pl.Decimal(38, 9),
        ColumnType.AMOUNT: pl.Decimal(38, 24),
        ColumnType.FLAG: pl.Boolean(),
        ColumnType.BYTES: pl.Binary(),
    }[kind]


def _checks(column: Column) -> list[Any]:
    import pandera.polars as pa

    checks = []
    if column.one_of:
        checks.append(pa.Check.isin(list(column.one_of)))
    if column.at_least is not None:
        checks.append(pa.Check.ge(column.at_least))
    if column.max_length is not None:
        checks.append(pa.Check.str_length(max_value=column.max_length))
    return checks
