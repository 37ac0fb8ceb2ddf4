"""Which rule books have been used, with their content: a version that was used may not change."""

from collections.abc import Mapping

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import writing
from billing_pipeline.control.tables import RULE_BOOK_USES
from billing_pipeline.errors import RuleBookChangedError


def check_and_record(engine: Engine, books: Mapping[str, str]) -> None:
    """Record the first use of each version, and refuse a version whose content is not what was used before.

    Args:
        engine: the control database.
        books: content hash by rule version. Nothing is recorded when one of them is refused.

    Raises:
        RuleBookChangedError: names the version and both hashes.
    """
    if not books or recorded(engine, books).keys() == books.keys():
        return  # the usual case takes no write lock
    with writing(engine) as connection:
        make_insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(
            make_insert(RULE_BOOK_USES).on_conflict_do_nothing(),
            [
                {"version": version, "content_hash": content_hash, "first_used_at": now_us()}
                for version, content_hash in sorted(books.items())
            ],
        )
        _refuse_changes(_read(connection, books), books)


def recorded(engine: Engine, books: Mapping[str, str]) -> dict[str, str]:
    """The uses recorded of these versions, content hash by version.

    Raises:
        RuleBookChangedError: one of them was used with other content.
    """
    with engine.connect() as connection:
        found = _read(connection, books)
    _refuse_changes(found, books)
    return found


def all_recorded(engine: Engine) -> dict[str, str]:
    """Every use recorded, content hash by version, whether or not there is such a rule book now."""
    query = select(RULE_BOOK_USES.c.version, RULE_BOOK_USES.c.content_hash)
    with engine.connect() as connection:
        return {row.version: row.content_hash for row in connection.execute(query)}


def _read(connection: Connection, books: Mapping[str, str]) -> dict[str, str]:
    table = RULE_BOOK_USES
    query = select(table.c.version, table.c.content_hash).where(table.c.version.in_(sorted(books)))
    return {row.version: row.content_hash for row in connection.execute(query)}


def _refuse_changes(found: Mapping[str, str], books: Mapping[str, str]) -> None:
    for version, content_hash in found.items():
        if books[version] != content_hash:
            raise RuleBookChangedError(version, used_hash=content_hash, found_hash=books[version])
