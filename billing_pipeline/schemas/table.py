"""What a table of the lake is: columns with their meaning, a partition key, an order. Pure; engines read it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class ColumnType(StrEnum):
    """The types a column may have, by their SQL name. None of them is binary floating point."""

    DAY = "DATE"
    INSTANT = "TIMESTAMPTZ"
    TEXT = "VARCHAR"
    WHOLE = "BIGINT"
    QUANTITY = "DECIMAL(38,9)"
    AMOUNT = "DECIMAL(38,24)"
    FLAG = "BOOLEAN"
    BYTES = "BLOB"


@dataclass(frozen=True)
class Column:
    """One column: its type, what it means, and what every value of it must fulfil."""

    name: str
    type: ColumnType
    description: str
    nullable: bool = False
    one_of: tuple[str, ...] = ()
    at_least: int | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class PartitionKey:
    """The key of one partition: a day, or a day and a rule version."""

    day: date
    rule_version: str | None = None

    def __str__(self) -> str:
        """The key as Dagster writes it: `2026-10-01` or `2026-10-01|v1`."""
        return self.day.isoformat() if self.rule_version is None else f"{self.day}|{self.rule_version}"

    @classmethod
    def of(cls, text: str) -> "PartitionKey":
        """The key that a text names, as `str` writes it."""
        day, _, version = text.partition("|")
        return cls(date.fromisoformat(day), version or None)

    def values(self) -> tuple[date | str, ...]:
        """The values of the partition columns, in their order."""
        return (self.day,) if self.rule_version is None else (self.day, self.rule_version)


@dataclass(frozen=True, eq=False)
class Table:
    """One table of the lake.

    `order_by` makes the rows of a partition's file canonical. `hash_rows` says that a partition's content hash is
    taken over its canonical rows (small, decisive tables); otherwise it is taken over the bytes of its files.
    `derived_from` names, for a column, the columns it is made of where these are others than those of the same name in
    the upstream tables: the column lineage that auditors follow (`schemas/lineage.py`).
    """

    name: str
    stage: str
    description: str
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...]
    order_by: tuple[str, ...]
    hash_rows: bool = False
    append_only: bool = False
    upstream: tuple[str, ...] = ()
    derived_from: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def column_names(self) -> tuple[str, ...]:
        """All column names, in order."""
        return tuple(column.name for column in self.columns)


def pick(columns: Iterable[Column], names: str) -> tuple[Column, ...]:
    """The named columns (a space-separated list), in the order named: the same meaning in every table."""
    by_name = {column.name: column for column in columns}
    return tuple(by_name[name] for name in names.split())
