r"""Content hashes: the same rows give the same hash, whatever engine wrote them, in whatever order.

A row is its columns as text, each with backslash and bar escaped and NULL as `\N`, joined by bars. Rows are sorted by
that text. Large tables are hashed by the bytes of their files instead (same bytes per version of the engine).
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from billing_pipeline.lake.engine import Session
from billing_pipeline.schemas.table import Table

CHUNK_BYTES = 1 << 20


def row_text_sql(columns: Sequence[str]) -> str:
    """The SQL expression of a row's canonical text."""
    texts = [
        f"""coalesce(replace(replace(CAST("{name}" AS VARCHAR), '\\', '\\\\'), '|', '\\|'), '\\N')"""
        for name in columns
    ]
    return " || '|' || ".join(texts)


def row_hash(session: Session, table: Table, paths: Sequence[str]) -> str:
    """SHA-256 in hex over the canonical rows of a partition's files; of nothing for an empty partition."""
    digest = hashlib.sha256()
    if paths:
        session.scan("_hashed", table, paths)
        query = f"SELECT {row_text_sql(table.column_names)} AS row_text FROM _hashed ORDER BY row_text"
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
