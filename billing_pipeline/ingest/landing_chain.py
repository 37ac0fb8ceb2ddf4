"""The chain of landings: each names its files with their SHA-256 and its offsets, and carries the hash before it.

A link stands twice: with the snapshot that it describes, in the same commit, and in the control database. Killed
between the two, the next landing copies it from the snapshot. Whatever else is written to the raw table has no link,
and nothing is landed behind it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.control.clock import now_us
from billing_pipeline.control.landings import (
    LandedFile,
    Landing,
    files_of,
    files_text,
    last_landing,
    record_landings,
    recorded_landings,
)
from billing_pipeline.errors import LandingChainError
from billing_pipeline.lake.content_hash import file_hash
from billing_pipeline.lake.iceberg import Lake, Snapshot
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS

if TYPE_CHECKING:
    from sqlalchemy import Engine

START = "0" * 64
"""The chain before the first landing."""

FIRST_OFFSET, NEXT_OFFSET = "billing.first-offset", "billing.next-offset"
FILES, PREVIOUS_CHAIN, CHAIN = "billing.files", "billing.previous-chain", "billing.chain"


def chain_of(previous_chain: str, first_offset: int, next_offset: int, files: Sequence[LandedFile]) -> str:
    """The hash of one link; the order of the files does not matter."""
    ordered = sorted([file.name, file.sha256] for file in files)
    text = json.dumps([previous_chain, first_offset, next_offset, ordered], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def landed_file(path: Path) -> LandedFile:
    """A file as the chain names it; reads it whole."""
    return LandedFile(path.name, file_hash([path]))


def link_properties(
    previous_chain: str, first_offset: int, next_offset: int, files: Sequence[LandedFile]
) -> dict[str, str]:
    """A link as properties of the snapshot it describes."""
    return {
        FIRST_OFFSET: str(first_offset),
        NEXT_OFFSET: str(next_offset),
        FILES: files_text(files),
        PREVIOUS_CHAIN: previous_chain,
        CHAIN: chain_of(previous_chain, first_offset, next_offset, files),
    }


def landing_of(snapshot_id: int | None, properties: Mapping[str, str]) -> Landing | None:
    """The link that a snapshot carries; None where it was made before there were chains, or by something else."""
    if CHAIN not in properties:
        return None
    return Landing(
        previous_chain=properties[PREVIOUS_CHAIN],
        chain=properties[CHAIN],
        first_offset=int(properties[FIRST_OFFSET]),
        next_offset=int(properties[NEXT_OFFSET]),
        files=files_of(properties[FILES]),
        snapshot_id=str(snapshot_id),
    )


def mended_head(lake: Lake, control: "Engine") -> str:
    """The chain that the next landing carries on, once every landing in the lake is recorded.

    The caller holds the lock of landing, so what is not recorded was left by a process that died.

    Raises:
        LandingChainError: the raw table is not what was recorded of it.
    """
    snapshots = lake.snapshots(RAW_USAGE_EVENTS)
    if not snapshots:
        return START  # a fresh lake, or one that was lost and is landed anew
    last = last_landing(control)
    if last is None:
        return _first_record(lake, control, snapshots)
    current = snapshots[-1]
    if str(current.snapshot_id) == last.snapshot_id:
        return last.chain
    known = {landing.chain for landing in recorded_landings(control)}
    unrecorded = _after(snapshots, last)
    if unrecorded is None or any(landing.chain in known for landing in unrecorded):
        raise LandingChainError(_disagreement(current, known))
    record_landings(control, unrecorded, now_us())
    return unrecorded[-1].chain


def _first_record(lake: Lake, control: "Engine", snapshots: Sequence[Snapshot]) -> str:
    """Begin the record of a lake that has none: with its first landing, or with all it holds."""
    links = _linked(snapshots, START)
    if links is None:
        current = snapshots[-1]
        files = tuple(landed_file(Path(file.path)) for file in lake.files(RAW_USAGE_EVENTS))
        next_offset = int(current.properties.get(NEXT_OFFSET, "0"))
        links = [
            Landing(
                previous_chain=START,
                chain=chain_of(START, 0, next_offset, files),
                first_offset=0,
                next_offset=next_offset,
                files=files,
                snapshot_id=str(current.snapshot_id),
                found=True,
            )
        ]
    record_landings(control, links, now_us())
    return links[-1].chain


def _after(snapshots: Sequence[Snapshot], last: Landing) -> list[Landing] | None:
    """The landings behind the last recorded one; None where the snapshots do not carry it on."""
    ids = [str(each.snapshot_id) for each in snapshots]
    if last.snapshot_id in ids:
        return _linked(snapshots[ids.index(last.snapshot_id) + 1 :], last.chain)
    return _linked(snapshots, START)  # a lake that was landed anew


def _linked(snapshots: Sequence[Snapshot], previous_chain: str) -> list[Landing] | None:
    landings: list[Landing] = []
    for snapshot in snapshots:
        landing = landing_of(snapshot.snapshot_id, snapshot.properties)
        if landing is None or landing.previous_chain != previous_chain:
            return None
        landings.append(landing)
        previous_chain = landing.chain
    return landings or None


def _disagreement(current: Snapshot, known: set[str]) -> str:
    table = RAW_USAGE_EVENTS.name
    if CHAIN not in current.properties:
        return f"snapshot {current.snapshot_id} of {table} was made by something other than landing"
    if current.properties[CHAIN] in known:
        return (
            f"{table} ends at offset {current.properties[NEXT_OFFSET]}, but later landings are recorded: the lake is "
            "older than the control database"
        )
    return f"snapshot {current.snapshot_id} of {table} does not carry on what was landed before it"
