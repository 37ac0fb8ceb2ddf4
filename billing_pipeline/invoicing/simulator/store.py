"""The simulator's state in one SQLite file: objects as JSON documents, ids by counter, idempotent answers.

A request is one transaction together with the answer kept for its key, so that a kill leaves both or neither.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    parent TEXT,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, parent, sequence);
CREATE TABLE IF NOT EXISTS counters (prefix TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key TEXT PRIMARY KEY,
    request_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (created);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS meter_events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    identifier TEXT NOT NULL,
    event_name TEXT NOT NULL,
    meter TEXT,
    customer TEXT,
    value INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    created INTEGER NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0,
    fault TEXT,
    reported INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS meter_events_by_identifier ON meter_events (identifier, created);
CREATE INDEX IF NOT EXISTS meter_events_by_customer ON meter_events (meter, customer, timestamp);
CREATE INDEX IF NOT EXISTS meter_events_with_fault ON meter_events (created) WHERE fault IS NOT NULL AND NOT reported;
"""


@dataclass(frozen=True)
class KeptAnswer:
    """The first answer to a key: replayed for the same request, an error for another."""

    request_hash: str
    status: int
    body: str


class Transaction:
    """What one request reads and writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def next_number(self, prefix: str) -> int:
        """1, 2, 3 … per prefix; a request that fails gives its number back."""
        row = self._connection.execute(
            "INSERT INTO counters VALUES (?, 1) "
            "ON CONFLICT (prefix) DO UPDATE SET last = last + 1 RETURNING last",
            (prefix,),
        ).fetchone()
        return int(row[0])

    def insert(
        self, kind: str, prefix: str, body: dict[str, Any], parent: str | None = None
    ) -> dict[str, Any]:
        """The new object. Unless the body brings an id, it gets one: deterministic given a fresh store."""
        found = body.get("id") or f"{prefix}_sim{self.next_number(prefix):011d}"
        body = {**body, "id": found, "object": kind}
        self._connection.execute(
            "INSERT INTO objects (id, kind, parent, body) VALUES (?, ?, ?, ?)",
            (body["id"], kind, parent, json.dumps(body)),
        )
        return body

    def get(self, kind: str, object_id: str) -> dict[str, Any] | None:
        """The object, or None."""
        row = self._connection.execute(
            "SELECT body FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        return dict(json.loads(row[0])) if row else None

    def put(self, body: dict[str, Any]) -> None:
        """Replace the object of the same id."""
        self._connection.execute("UPDATE objects SET body = ? WHERE id = ?", (json.dumps(body), body["id"]))

    def delete(self, object_id: str) -> None:
        """Remove the object and what belongs to it."""
        self._connection.execute("DELETE FROM objects WHERE id = ? OR parent = ?", (object_id, object_id))

    def scan(self, kind: str, parent: str | None = None, *, newest_first: bool) -> Iterator[dict[str, Any]]:
        """The objects of a kind (and a parent), in the order of their creation or against it."""
        order = "DESC" if newest_first else "ASC"
        rows = self._connection.execute(
            "SELECT body FROM objects WHERE kind = ? AND (? IS NULL OR parent = ?) ORDER BY sequence "
            + order,
            (kind, parent, parent),
        )
        return (dict(json.loads(row[0])) for row in rows)

    def count(self, kind: str, parent: str) -> int:
        """How many objects of a kind belong to the parent."""
        query = "SELECT count(*) FROM objects WHERE kind = ? AND parent = ?"
        return int(self._connection.execute(query, (kind, parent)).fetchone()[0])

    def setting(self, name: str, default: int) -> int:
        """A number that all who share the store go by."""
        row = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else default

    def set_setting(self, name: str, value: int) -> None:
        """Change it, for all of them."""
        self._connection.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def execute(self, statement: str, parameters: tuple[object, ...]) -> list[dict[str, Any]]:
        """The rows of a statement on one of the store's other tables, as mappings."""
        cursor = self._connection.execute(statement, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def kept_answer(self, key: str) -> KeptAnswer | None:
        """The answer kept for an idempotency key, or None."""
        row = self._connection.execute(
            "SELECT request_hash, status, body FROM idempotency_keys WHERE key = ?", (key,)
        ).fetchone()
        return KeptAnswer(*row) if row else None

    def forget_answers(self, created_before: int) -> None:
        """Forget the answers that were kept before a second."""
        self._connection.execute("DELETE FROM idempotency_keys WHERE created < ?", (created_before,))

    def keep_answer(self, key: str, answer: KeptAnswer, created: int) -> None:
        """Keep the first answer to a key."""
        self._connection.execute(
            "INSERT INTO idempotency_keys VALUES (?, ?, ?, ?, ?)",
            (key, answer.request_hash, answer.status, answer.body, created),
        )

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block wrote when it fails; the transaction goes on."""
        self._connection.execute("SAVEPOINT request")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO request")
            raise
        finally:
            self._connection.execute("RELEASE request")


class Store:
    """The file. Several simulators may share it; their requests take turns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        self._connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = FULL")
        with self.transaction():
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One request's reads and writes; kept when the block ends well, undone when it fails."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
