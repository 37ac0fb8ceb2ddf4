"""A backfill of 90 days: in one run, against day by day, and against the time its SQL takes alone.

    python benchmarks/backfill.py --days 90 --events 50000

Everything from raw to rollups. `SQL` is what the engine spends on the statements of the one run: what is above it is
commits, hashes and bookkeeping. Both ways must give the same content hashes.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

FIRST = date(2026, 7, 1)
WANTED = 1.2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--events", type=int, default=50_000, help="events per day")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BILLING_HOME"] = str(Path(folder) / "home")
        measure(asked.days, asked.events)


def measure(days: int, events: int) -> None:
    from benchmarks.made_lake import make_raw_day, new_company
    from billing_pipeline.metering.control_records import separate_registry_changes
    from billing_pipeline.metering.identity import identify
    from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
    from billing_pipeline.metering.validation import validate

    pipeline = new_company()
    workshop = pipeline.workshop
    chosen = [FIRST + timedelta(days=number) for number in range(days)]
    end = 0
    for day in chosen:
        end = make_raw_day(pipeline, day, events, end)
    print(f"  {end:,} events made", file=sys.stderr, flush=True)

    def run(part: Sequence[date]) -> dict[str, str]:
        result = separate_registry_changes(workshop, part).then(validate(workshop, part))
        result = result.then(identify(workshop, part)).then(list_unmetered(workshop, part))
        result = result.then(roll_up(workshop, versions_found(workshop, part)))
        return {f"{each.table} {each.key}": each.content_hash for each in result.partitions}

    with _sql_seconds() as sql:
        started = time.perf_counter()
        at_once = run(chosen)
        one_run = time.perf_counter() - started
    in_sql = sum(sql)
    started = time.perf_counter()
    one_by_one: dict[str, str] = {}
    for day in chosen:
        one_by_one |= run([day])
    day_by_day = time.perf_counter() - started
    if at_once != one_by_one:
        sys.exit("the two ways did not give the same bytes")
    print(
        f"\n{days} days of {events:,} events, raw to rollups; {len(at_once)} partitions, the same bytes both ways"
    )
    print(f"one run     {one_run:>8.1f} s  {end / one_run:>10,.0f} events/s")
    print(f"its SQL     {in_sql:>8.1f} s  ratio of the run {one_run / in_sql:.2f} (at most {WANTED} wanted)")
    print(f"day by day  {day_by_day:>8.1f} s  {day_by_day / one_run:.2f} times the one run")


@contextmanager
def _sql_seconds() -> Iterator[list[float]]:
    """Collects what each statement takes inside the embedded engine."""
    from billing_pipeline.lake.duckdb_engine import DuckDBSession

    seconds: list[float] = []
    execute = DuckDBSession._execute  # noqa: SLF001 - measured at the one place that all statements pass

    def timed(self: DuckDBSession, statement: str) -> object:
        started = time.perf_counter()
        try:
            return execute(self, statement)
        finally:
            seconds.append(time.perf_counter() - started)

    DuckDBSession._execute = timed  # type: ignore[method-assign,assignment]  # noqa: SLF001 - as above
    try:
        yield seconds
    finally:
        DuckDBSession._execute = execute  # type: ignore[method-assign]  # noqa: SLF001 - as above


if __name__ == "__main__":
    main()
