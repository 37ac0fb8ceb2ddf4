"""The statements of the ledger on PostgreSQL: whole groups as arrays, one statement per table."""

from sqlalchemy import BigInteger, Boolean, Table

from billing_pipeline.control import guard_tables
from billing_pipeline.control.tables import METADATA
from billing_pipeline.guardrails.ledger.book import Changes
from billing_pipeline.guardrails.store import columns
from billing_pipeline.guardrails.store.columns import HOLD_ENDS, Kept

NOW_US = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
HOLD_CUSTOMERS = f"SELECT DISTINCT customer_id FROM {guard_tables.GUARD_HOLDS.name} WHERE hold_id = ANY(%s)"
REVIEW_CUSTOMERS = "SELECT DISTINCT customer_id FROM guard_reviews WHERE review_id = ANY(%s)"
NEW_CUSTOMERS = (
    "INSERT INTO guard_customers (customer_id) SELECT unnest(%s::text[]) ON CONFLICT (customer_id) DO NOTHING"
)
LOCK_CUSTOMERS = "SELECT 1 FROM guard_customers WHERE customer_id = ANY(%s) ORDER BY customer_id FOR UPDATE"
DUE_HOLDS = (
    "SELECT hold_id, customer_id FROM guard_holds WHERE state = 'pending' AND expires_at <= %s "
    "ORDER BY expires_at, hold_id LIMIT %s"
)
DUE_REVIEWS = (
    "SELECT review_id, customer_id FROM guard_reviews WHERE decided_at IS NULL AND resumes_at <= %s "
    "ORDER BY review_id LIMIT %s"
)
DUE_STOPS = (
    "SELECT scope, kind, customer_id FROM guard_stops WHERE active AND resumes_at <= %s "
    "ORDER BY scope, kind LIMIT %s"
)
DUE_GRANTS = (
    "SELECT DISTINCT customer_id, currency FROM guard_grants WHERE remaining > 0 AND expires_at <= %s "
    "ORDER BY customer_id, currency LIMIT %s"
)
DECIDE_REVIEWS = (
    "UPDATE guard_reviews AS kept SET decided_at = new.decided_at "
    "FROM unnest(%s::text[], %s::bigint[]) AS new (review_id, decided_at) WHERE kept.review_id = new.review_id"
)


def _type(table: Table, column: str) -> str:
    kind = table.c[column].type
    return "boolean" if isinstance(kind, Boolean) else "bigint" if isinstance(kind, BigInteger) else "text"


def _arrays(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"%s::{_type(METADATA.tables[table], name)}[]" for name in names)


def _insert(kept: Kept) -> str:
    names = ", ".join(kept.columns)
    statement = (
        f"INSERT INTO {kept.table} ({names}) SELECT * FROM unnest({_arrays(kept.table, kept.columns)})"
    )
    if not kept.key:
        return statement
    changed = ", ".join(f"{name} = excluded.{name}" for name in kept.columns if name not in kept.key)
    return f"{statement} ON CONFLICT ({', '.join(kept.key)}) DO UPDATE SET {changed}"


_TABLES = tuple(kept for kept, _ in columns.written(Changes()))
INSERTS = {kept.table: _insert(kept) for kept in _TABLES}
SELECTS = {kept.table: f"SELECT {', '.join(kept.columns)} FROM {kept.table} WHERE " for kept in _TABLES}
END_HOLDS = (
    f"UPDATE guard_holds AS kept SET {', '.join(f'{name} = new.{name}' for name in HOLD_ENDS[:-1])} "
    f"FROM unnest({_arrays('guard_holds', HOLD_ENDS)}) AS new ({', '.join(HOLD_ENDS)}) "
    "WHERE kept.hold_id = new.hold_id AND kept.state = 'pending'"
)


def by_keys(kept: Kept, key: tuple[str, ...]) -> str:
    """All rows of a table whose key is among those given, an array per column of the key."""
    joined = " AND ".join(f"kept.{name} = wanted.{name}" for name in key)
    return (
        f"SELECT {', '.join(f'kept.{name}' for name in kept.columns)} FROM {kept.table} AS kept "
        f"JOIN unnest({_arrays(kept.table, key)}) AS wanted ({', '.join(key)}) ON {joined}"
    )


WINDOWS_BY_KEY = by_keys(columns.WINDOWS, columns.WINDOWS.key)
SESSIONS_BY_KEY = by_keys(columns.SESSIONS, columns.SESSIONS.key)
HOLDS_BY_ID = by_keys(columns.HOLDS, ("hold_id",))
HOLDS_BY_REQUEST = by_keys(columns.HOLDS, ("customer_id", "idempotency_key"))
DENIALS_BY_REQUEST = by_keys(columns.DENIALS, ("customer_id", "idempotency_key"))
