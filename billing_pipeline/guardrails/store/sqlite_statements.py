"""The statements of the ledger on SQLite, each for many rows at once.

A statement gives up Python's lock once, however many rows it has. Row by row, the threads that wait for answers would
take it at every one, and hold the writer up for longer than the disk does.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain

from billing_pipeline.guardrails.store.columns import DENIALS, HOLD_ENDS, HOLDS, Kept, Values

ROWS_MOST = 128
"""Of one statement. Rows are written in powers of two, so that few texts serve any number of them."""

DUE_HOLDS = (
    "SELECT hold_id FROM guard_holds WHERE state = 'pending' AND expires_at <= ? "
    "ORDER BY expires_at, hold_id LIMIT ?"
)
DUE_REVIEWS = (
    "SELECT review_id FROM guard_reviews WHERE decided_at IS NULL AND resumes_at <= ? "
    "ORDER BY review_id LIMIT ?"
)
DUE_STOPS = (
    "SELECT scope, kind FROM guard_stops WHERE active AND resumes_at <= ? ORDER BY scope, kind LIMIT ?"
)
DUE_GRANTS = (
    "SELECT DISTINCT customer_id, currency FROM guard_grants WHERE remaining > 0 AND expires_at <= ? "
    "ORDER BY customer_id, currency LIMIT ?"
)
DECIDE_REVIEW = "UPDATE guard_reviews SET decided_at = ? WHERE review_id = ?"


def parts(rows: Sequence[Values]) -> Iterator[tuple[int, Values]]:
    """The rows cut into powers of two: how many, and all their values one after the other."""
    start = 0
    while left := len(rows) - start:
        count = min(ROWS_MOST, 1 << (left.bit_length() - 1))
        yield count, tuple(chain.from_iterable(rows[start : start + count]))
        start += count


@cache
def insert(kept: Kept, count: int) -> str:
    """Add rows of a table, or put them in the place of those with the same key."""
    statement = f"INSERT INTO {kept.table} ({', '.join(kept.columns)}) {_values(len(kept.columns), count)}"
    if not kept.key:
        return statement
    changed = ", ".join(f"{name} = excluded.{name}" for name in kept.columns if name not in kept.key)
    return f"{statement} ON CONFLICT ({', '.join(kept.key)}) DO UPDATE SET {changed}"


@cache
def end_holds(count: int) -> str:
    """Change holds that are pending, by values as `HOLD_ENDS`."""
    changed = ", ".join(f"{name} = ended.column{place}" for place, name in enumerate(HOLD_ENDS[:-1], start=1))
    return (
        f"UPDATE guard_holds SET {changed} FROM ({_values(len(HOLD_ENDS), count)}) AS ended "
        f"WHERE guard_holds.hold_id = ended.column{len(HOLD_ENDS)} AND guard_holds.state = 'pending'"
    )


@cache
def answered(count: int) -> str:
    """Which of some keys of customers have been answered, by a hold or a denial."""
    # From the keys to the rows: `IN (VALUES …)` would go through all rows there are.
    found = " UNION ALL ".join(
        "SELECT wanted.customer_id, wanted.idempotency_key FROM wanted "
        f"CROSS JOIN {table} USING (customer_id, idempotency_key)"
        for table in (HOLDS.table, DENIALS.table)
    )
    return f"WITH wanted (customer_id, idempotency_key) AS ({_values(2, count)}) {found}"


def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * rows)}"
