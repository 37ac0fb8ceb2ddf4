"""Files that no retained snapshot reaches, and scratch that a killed process left: removed by age, never by haste.

A replaced partition's file stays as long as any retained snapshot reads it. A file that was written and never
committed counts for nothing; after `LEFTOVER_AGE_SECONDS` nobody is going to commit it any more.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from billing_pipeline.lake.iceberg import Lake
from billing_pipeline.schemas.table import Table

LEFTOVER_AGE_SECONDS = 24 * 60 * 60


def remove_leftovers(lake: Lake, tables: Iterable[Table], scratch: Path, now_seconds: int) -> int:
    """Remove what is older than a day and reached by nothing; returns how many files and folders went.

    Args:
        lake: the tables' lake.
        tables: those to look at.
        scratch: the folder of what was needed only while a session lasted.
        now_seconds: the time, in seconds since the epoch.
    """
    removed = 0
    for table in tables:
        old = [path for path in lake.data_folder(table).glob("*.parquet") if _is_old(path, now_seconds)]
        if old:
            reached = lake.reached_files(table)
            for path in old:
                if str(path) not in reached:
                    path.unlink(missing_ok=True)
                    removed += 1
    for path in scratch.glob("*"):
        if _is_old(path, now_seconds):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            removed += 1
    return removed


def _is_old(path: Path, now_seconds: int) -> bool:
    try:
        return path.stat().st_mtime < now_seconds - LEFTOVER_AGE_SECONDS
    except FileNotFoundError:
        return False
