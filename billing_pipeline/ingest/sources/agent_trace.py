"""Requests of coding-agent sessions with sub-agents (kv-cache-tester): one row is one request to a model.

A row becomes up to three events. `input_tokens` includes the cached prefix, so what is billed as uncached
input is the difference; a class without tokens makes no event. The id of a request is its session, agent
and number, so that a second import is a complete redelivery, and a request told again with other figures is
a conflict, not a sum.

A request's parent is the one before it of the same agent; that of a sub-agent's first request is the latest
request of the agent that started it. The file has no dates: the sessions are laid out over the days asked
for, each wholly within them where it fits. `t_offset_s` counts from the start of the agent's own run, which
for a sub-agent is when its parent's request was answered.
"""

import csv
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET

from billing_pipeline.contract.decimals import scaled
from billing_pipeline.contract.events import UsageEvent, encode
from billing_pipeline.contract.instants import instant_text, microseconds_of
from billing_pipeline.errors import SourceError
from billing_pipeline.ingest.sources.source_record import (
    DAY_MICROSECONDS,
    SourceRecord,
    TraceOptions,
    customer_of,
    fraction,
)

COLUMNS = (
    "session_id",
    "agent_path",
    "seq",
    "t_offset_s",
    "type",
    "model",
    "input_tokens",
    "cached_prefix_tokens",
    "output_tokens",
    "api_time_s",
    "think_time_s",
    "stop",
)
SOURCE = "agent-trace"
PROVIDER = "anthropic"
PROJECTS = 3
_TOKENS = re.compile(r"[0-9]{1,18}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)


class _Row(NamedTuple):
    line: int
    cells: dict[str, str]
    text: str


class _Session(NamedTuple):
    """What the file does not tell about a session."""

    session_id: str
    customer_id: str
    project_id: str
    start: int
    """UTC microseconds."""


class _Request(NamedTuple):
    """A request within its session; instants are microseconds from the session's start."""

    row: _Row
    request_id: str
    parent_id: str | None
    at: int
    answered_at: int


def read(path: Path, options: TraceOptions) -> Iterator[SourceRecord]:
    """The events of one trace file, in the order of the file; a session at a time is held.

    Raises:
        SourceError: the file has other columns, or no start was given to lay its sessions out from.
    """
    if options.start is None:
        raise SourceError(str(path), "has no dates; say from when on its sessions are laid out (--start)")
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != COLUMNS:
            raise SourceError(str(path), f"no agent trace: its columns are not {', '.join(COLUMNS)}")
        numbered = (
            _Row(rows.line_num, dict(zip(COLUMNS, row, strict=False)), ",".join(row)) for row in rows if row
        )
        for session_id, session in groupby(numbered, key=lambda row: row.cells["session_id"]):
            yield from _session(str(path), session_id, list(session), microseconds_of(options.start), options)


def _session(
    file: str, session_id: str, rows: list[_Row], start: int, options: TraceOptions
) -> Iterator[SourceRecord]:
    requests = _requests(session_id, [row for row in rows if _is_whole(row)])
    length = max((request.answered_at for request in requests.values()), default=0)
    slack = max(0, options.days * DAY_MICROSECONDS - length)
    session = _Session(
        session_id=session_id,
        customer_id=customer_of(options, session_id),
        project_id=f"repository-{fraction(options, 'project', session_id) % PROJECTS + 1}",
        start=start + (slack * fraction(options, "start", session_id) >> 64),
    )
    for row in rows:
        if row.line in requests:
            yield from _events(file, session, requests[row.line], options)
        else:
            yield SourceRecord(file, row.line, row.text.encode())


def _requests(session_id: str, rows: list[_Row]) -> dict[int, _Request]:
    """The session's requests by line, with their parents."""
    requests: dict[int, _Request] = {}
    latest: dict[str, _Request] = {}
    started_at: dict[str, int] = {}
    for row in rows:
        agent = row.cells["agent_path"]
        parent = latest.get(agent) or latest.get(agent.rpartition("/")[0])
        if agent not in started_at:
            started_at[agent] = parent.answered_at if parent else 0
        at = started_at[agent] + scaled(row.cells["t_offset_s"], 6)
        request = _Request(
            row=row,
            request_id=f"{session_id}/{agent}/{row.cells['seq']}",
            parent_id=parent.request_id if parent else None,
            at=at,
            answered_at=at + scaled(row.cells["api_time_s"] or "0", 6),
        )
        latest[agent] = requests[row.line] = request
    return requests


def _events(file: str, session: _Session, request: _Request, options: TraceOptions) -> Iterator[SourceRecord]:
    cells = request.row.cells
    cached = int(cells["cached_prefix_tokens"])
    occurred_at = instant_text(session.start + request.at)
    for token_class, tokens in (
        ("input_uncached", int(cells["input_tokens"]) - cached),
        ("input_cached", cached),
        ("output", int(cells["output_tokens"])),
    ):
        if tokens == 0:
            options.skipped[token_class] += 1
            continue
        event = UsageEvent(
            id=f"{request.request_id}:{token_class}",
            source=SOURCE,
            customer_id=session.customer_id,
            project_id=session.project_id,
            occurred_at=occurred_at,
            unit="token",
            quantity=str(tokens),
            dimensions={"model": cells["model"], "provider": PROVIDER, "token_class": token_class},
            correlation_id=request.request_id,
            session_id=session.session_id,
            parent_id=request.parent_id or UNSET,
            step="completion",
            billable=True,
        )
        yield SourceRecord(file, request.row.line, encode(event))


def _is_whole(row: _Row) -> bool:
    """Whether the row has all cells and its figures are figures, with no more cached tokens than input."""
    cells = row.cells
    return (
        len(cells) == len(COLUMNS)
        and all(
            _TOKENS.fullmatch(cells[name])
            for name in ("input_tokens", "cached_prefix_tokens", "output_tokens")
        )
        and _SECONDS.fullmatch(cells["t_offset_s"]) is not None
        and _SECONDS.fullmatch(cells["api_time_s"] or "0") is not None  # some requests were not timed
        and int(cells["cached_prefix_tokens"]) <= int(cells["input_tokens"])
    )
