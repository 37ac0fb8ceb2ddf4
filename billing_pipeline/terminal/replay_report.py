"""`billing replay`: a closed day computed again beside what was billed, with the rows that differ."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from billing_pipeline.audit.replay import Replayed
from billing_pipeline.audit.replay import replay as replay_day
from billing_pipeline.audit.row_difference import Row, RowDifference
from billing_pipeline.errors import ReplayRefusedError
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import BY_NAME
from billing_pipeline.terminal.progress import shown_progress

SHORT_HASH = 12


def run_replay(
    pipeline: Pipeline, day: date, version: str | None, keep: Path | None, rows_most: int, *, as_json: bool
) -> bool:
    """Replay a day and print how it compares; whether everything is as it was billed.

    Raises:
        ReplayRefusedError: the day is open, or the folder to keep the scratch in is not empty.
    """
    with _scratch(keep) as folder, shown_progress("opening") as told:
        engine = pipeline.engine.with_scratch(folder / "spill")
        workshop = replace(pipeline.workshop, engine=engine)
        lake = OverlaidLake(pipeline.lake, folder)
        found = list(
            replay_day(workshop, pipeline.control, lake, day, version=version, rows_most=rows_most, told=told)
        )
        document = _document(day, found)
        if keep is not None:
            (keep / "replay.json").write_text(json.dumps(document, ensure_ascii=False, indent=2), "utf-8")
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
    else:
        _print(Console(), day, found, keep)
    return document["ok"] is True


@contextmanager
def _scratch(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="billing-replay-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise ReplayRefusedError(f"{keep} is not empty; give --keep a folder that is empty or not there")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


def _document(day: date, found: Sequence[Replayed]) -> dict[str, Any]:
    return {
        "day": day.isoformat(),
        "ok": not any(each.differences for each in found),
        "partitions": [
            {
                "table": each.table,
                "partition": str(each.key),
                "recorded_hash": each.recorded_hash,
                "stored_hash": each.stored_hash,
                "replayed_hash": each.replayed_hash,
                "stored_rows": each.stored_rows,
                "replayed_rows": each.replayed_rows,
                "differences": each.differences,
                "missing_rows": [] if each.rows is None else list(each.rows.missing_rows),
                "unexpected_rows": [] if each.rows is None else list(each.rows.unexpected_rows),
                "files": list(each.files),
            }
            for each in found
        ],
    }


def _print(console: Console, day: date, found: Sequence[Replayed], keep: Path | None) -> None:
    table = Table(title=f"Replay of {day} from the log", title_justify="left")
    for name, right in (("partition", False), ("rows billed", True), ("rows now", True)):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    table.add_column("content hash now", no_wrap=True)
    table.add_column("as billed", no_wrap=True)
    for each in found:
        table.add_row(
            each.table if each.key.rule_version is None else f"{each.table} {each.key.rule_version}",
            f"{each.stored_rows:,}",
            f"{each.replayed_rows:,}",
            each.replayed_hash[:SHORT_HASH],
            _verdict(each),
        )
    console.print(table)
    for each in found:
        for difference in each.differences:
            text = f"{each.table} {each.key}: {difference}"
            console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
        if each.rows:
            _print_rows(console, each.table, each.rows)
    differing = sum(bool(each.differences) for each in found)
    end = (
        f"{differing} of {len(found)} partitions differ."
        if differing
        else "Everything comes out as it was billed."
    )
    console.print(end, style="bold red" if differing else "bold")
    if keep is not None:
        console.print(
            f"The computed partitions lie in {keep}, with replay.json.", markup=False, soft_wrap=True
        )


def _verdict(each: Replayed) -> str:
    if each.differences:
        return "[red]differs[/red]"
    # Files written by another engine, or another version of it, have other bytes with the same rows.
    return "equal" if each.replayed_hash == each.stored_hash else "equal rows, other bytes"


def _print_rows(console: Console, table_name: str, rows: RowDifference) -> None:
    """Edited rows as what changed in them; the others whole."""
    changed = rows.changed()
    for stored, replayed in changed:
        names = [name for name in stored if stored[name] != replayed[name]]
        what = ", ".join(
            f"{name} is {_shown(stored[name])}, comes out as {_shown(replayed[name])}" for name in names
        )
        _line(console, "~", f"{_key(table_name, replayed, names)}: {what}")
    for mark, listed, side in (("+", rows.missing_rows, 1), ("-", rows.unexpected_rows, 0)):
        for row in listed:
            if not any(pair[side] is row for pair in changed):
                _line(console, mark, ", ".join(f"{name}={_shown(value)}" for name, value in row.items()))
    if (unlisted := rows.missing + rows.unexpected - len(rows.missing_rows) - len(rows.unexpected_rows)) > 0:
        console.print(f"  and {unlisted:,} more rows; --rows lists more of them")


def _key(table_name: str, row: Row, without: Sequence[str]) -> str:
    table = BY_NAME[table_name]
    names = [name for name in (*table.partition_by, *table.order_by) if name not in without]
    return ", ".join(f"{name}={_shown(row[name])}" for name in dict.fromkeys(names))


def _shown(value: object) -> str:
    return "null" if value is None else str(value)


def _line(console: Console, mark: str, text: str) -> None:
    console.print(f"  {mark} {text}", markup=False, highlight=False, soft_wrap=True)
