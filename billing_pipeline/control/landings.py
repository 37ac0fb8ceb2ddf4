"""What each landing appended to the raw table, chained by hashes: the proof that nothing was changed. Append-only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, insert, select

from billing_pipeline.control.database import writing
from billing_pipeline.control.tables import LANDINGS


@dataclass(frozen=True)
class LandedFile:
    """A file of the raw table by its name, with the SHA-256 (hex) of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Landing:
    """One landing: one snapshot of the raw table.

    `chain` is the SHA-256 over `previous_chain`, the range of offsets [`first_offset`, `next_offset`) and the files.
    `found` says that it is no landing of its own, but all that a lake made before there were chains held.
    """

    previous_chain: str
    chain: str
    first_offset: int
    next_offset: int
    files: tuple[LandedFile, ...]
    snapshot_id: str
    found: bool = False


def record_landings(engine: Engine, landings: Sequence[Landing], recorded_at: int) -> None:
    """Add landings, all or none of them; `recorded_at` is UTC µs."""
    if not landings:
        return
    values = [
        {**vars(landing), "files": files_text(landing.files), "recorded_at": recorded_at}
        for landing in landings
    ]
    with writing(engine) as connection:
        connection.execute(insert(LANDINGS), values)


def recorded_landings(engine: Engine) -> list[Landing]:
    """All landings, in the order in which they were recorded."""
    columns = [column for column in LANDINGS.c if column.name not in {"id", "recorded_at"}]
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(LANDINGS.c.id)).mappings().all()
    return [_landing(dict(row)) for row in rows]


def last_landing(engine: Engine) -> Landing | None:
    """The landing that was recorded last; None before the first."""
    columns = [column for column in LANDINGS.c if column.name not in {"id", "recorded_at"}]
    with engine.connect() as connection:
        row = connection.execute(select(*columns).order_by(LANDINGS.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else _landing(dict(row))


def files_text(files: Sequence[LandedFile]) -> str:
    """Files as JSON text: pairs of name and SHA-256."""
    return json.dumps([[file.name, file.sha256] for file in files], separators=(",", ":"))


def files_of(text: str) -> tuple[LandedFile, ...]:
    """What `files_text` wrote."""
    return tuple(LandedFile(name, sha256) for name, sha256 in json.loads(text))


def _landing(row: dict[str, object]) -> Landing:
    return Landing(**{**row, "files": files_of(str(row["files"]))})  # type: ignore[arg-type]  # columns as declared
