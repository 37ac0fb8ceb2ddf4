r"""Content hashes: the same rows give the same hash, whatever engine wrote them, in whatever order.

A row is its columns as text, each with backslash and bar escaped and NULL as `\N`, joined by bars. Instants are
microseconds since the epoch and bytes are lower-case hex, as engines write those in different ways; decimals have all
digits of their scale, days are ISO dates, flags are true or false. Rows are sorted by the bytes of that text.
Large tables are hashed by the bytes of their files instead (same bytes per engine and version of it).
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from billing_pipeline.lake.engine import Session
from billing_pipeline.schemas.table import Column, ColumnType, Table

_TEXTS = {
    ColumnType.INSTANT: 'CAST(epoch_us("{}") AS VARCHAR)',
    ColumnType.BYTES: 'lower(hex("{}"))',
    ColumnType.TEXT: '"{}"',
}
_OTHERS = 'CAST("{}" AS VARCHAR)'


def row_text_sql(columns: Sequence[Column]) -> str:
    """The SQL expression of a row's canonical text."""
    texts = [_TEXTS.get(column.type, _OTHERS).format(column.name) for column in columns]
    return " || '|' || ".join(
        f"""coalesce(replace(replace({text}, '\\', '\\\\'), '|', '\\|'), '\\N')""" for text in texts
    )


def row_hash(session: Session, table: Table, paths: Sequence[str]) -> str:
    """SHA-256 in hex over the canonical rows of a partition's files; of nothing for an empty partition."""
    digest = hashlib.sha256()
    if paths:
        session.scan("_hashed", table, paths)
        query = f"SELECT {row_text_sql(table.columns)} AS row_text FROM _hashed ORDER BY row_text"
        for chunk in session.chunks(query):
            digest.update("".join(f"{row[0]}\n" for row in chunk).encode())
    return digest.hexdigest()


def file_hash(paths: Iterable[Path]) -> str:
    """SHA-256 in hex over the bytes of files, in order of their digests; of nothing where there is no file."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
