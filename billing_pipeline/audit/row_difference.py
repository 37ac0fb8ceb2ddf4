"""Which rows two forms of a partition do not have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from billing_pipeline.audit.values import plain_value
from billing_pipeline.lake.engine import Session
from billing_pipeline.schemas.table import Table

Row = dict[str, Any]


@dataclass(frozen=True)
class RowDifference:
    """How many rows differ, and the first of them by column.

    `missing` come out of the log and are not stored; `unexpected` are stored and do not come out.
    """

    missing: int
    unexpected: int
    missing_rows: tuple[Row, ...]
    unexpected_rows: tuple[Row, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected)

    def changed(self) -> list[tuple[Row, Row]]:
        """Pairs (stored, as it comes out) of listed rows that are alike in most columns: what looks like an edit."""
        pairs = []
        left = list(self.missing_rows)
        for row in self.unexpected_rows:
            twin = max(left, key=lambda other, row=row: _alike(row, other), default=None)  # type: ignore[misc]
            if twin is not None and _alike(row, twin) * 2 > len(row):
                pairs.append((row, twin))
                left.remove(twin)
        return pairs


def row_difference(
    session: Session, table: Table, replayed: Sequence[str], stored: Sequence[str], rows_most: int
) -> RowDifference:
    """Compare two forms of a partition as bags of rows."""
    session.scan("replayed", table, replayed)
    session.scan("stored", table, stored)
    return RowDifference(
        _count(session, "replayed", "stored"),
        _count(session, "stored", "replayed"),
        _rows(session, table, "replayed", "stored", rows_most),
        _rows(session, table, "stored", "replayed", rows_most),
    )


def _count(session: Session, one: str, other: str) -> int:
    ((count,),) = session.rows(
        f"SELECT count(*) FROM (SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}) AS d"
    )
    return int(str(count))


def _rows(session: Session, table: Table, one: str, other: str, most: int) -> tuple[Row, ...]:
    order = ", ".join(f'"{name}" ASC NULLS FIRST' for name in table.order_by)
    rows = session.rows(
        f"SELECT * FROM (SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}) AS d ORDER BY {order} LIMIT {most}"
    )
    return tuple(dict(zip(table.column_names, map(plain_value, row), strict=True)) for row in rows)


def _alike(one: Row, other: Row) -> int:
    return sum(value == other[name] for name, value in one.items())
