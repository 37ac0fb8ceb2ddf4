"""From raw events in the queue to committed rollups, against three hand-written DuckDB statements.

Both sides have the same events, threads, memory limit and Parquet compression, and a process of their own each, so
that their peak memory is their own. Run it as `python benchmarks/raw_to_rollups.py --events 1000000 10000000`.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.side import Side, run_side

DISK_BYTES_PER_EVENT = 4_000
"""Queue, scratch, events as NDJSON and both sides' Parquet files, with room to spare."""

LINES, SENT = "events.ndjson", "sent.json"

PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
BASELINE = {
    "read events": """
        COPY (
            SELECT * FROM read_json('{folder}/events.ndjson', format = 'newline_delimited', columns = {{
                queue_offset: 'BIGINT', id: 'VARCHAR', source: 'VARCHAR', type: 'VARCHAR',
                schema_version: 'BIGINT', customer_id: 'VARCHAR', project_id: 'VARCHAR',
                occurred_at: 'TIMESTAMPTZ', unit: 'VARCHAR', quantity: 'DECIMAL(38,9)',
                correlation_id: 'VARCHAR', session_id: 'VARCHAR', step: 'VARCHAR',
                dimensions: 'STRUCT(model VARCHAR, region VARCHAR, token_class VARCHAR)'}})
        ) TO '{folder}/parsed.parquet' ({parquet})""",
    "first by offset": """
        COPY (
            SELECT * FROM '{folder}/parsed.parquet' WHERE queue_offset IN (
                SELECT min(queue_offset) FROM '{folder}/parsed.parquet' GROUP BY source, id)
        ) TO '{folder}/first.parquet' ({parquet})""",
    "group by": """
        COPY (
            SELECT
                customer_id, project_id, unit, dimensions.model, dimensions.token_class,
                CAST(occurred_at AS DATE) AS usage_day, sum(quantity) AS quantity, count(*) AS event_count
            FROM '{folder}/first.parquet' GROUP BY ALL
        ) TO '{folder}/grouped.parquet' ({parquet})""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--events", type=int, nargs="+", default=[1_000_000], help="sizes of the day, each measured"
    )
    parser.add_argument(
        "--repeat", type=int, default=1, help="measure both sides so often; the fastest counts"
    )
    parser.add_argument(
        "--keep-in", type=Path, help="keep the generated days in this folder, and use them again"
    )
    parser.add_argument("--side", choices=("data", "ours", "baseline"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side is not None:
        {"data": make_data, "ours": run_ours, "baseline": run_baseline}[asked.side](
            asked.folder, asked.events[0]
        )
        return
    for events in asked.events:
        parent = asked.keep_in or Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(parent).free < events * DISK_BYTES_PER_EVENT:
            gigabytes = events * DISK_BYTES_PER_EVENT / 1e9
            sys.exit(
                f"{events:,} events need {gigabytes:.0f} GB free in {parent}; set TMPDIR to a larger disk"
            )
        if asked.keep_in:
            compare(events, asked.keep_in / f"{events}", asked.repeat)
        else:
            with tempfile.TemporaryDirectory() as folder:
                compare(events, Path(folder), asked.repeat)


def compare(events: int, folder: Path, repeat: int) -> None:
    """Make the data where there is none, run both sides on it, check that they agree and print the table."""
    environment = os.environ | {"BILLING_HOME": str(folder / "home")}

    def run(name: str) -> Side:
        return run_side(__file__, name, folder, events, environment)

    print(f"{events:,} events", file=sys.stderr)
    if not (folder / SENT).exists():
        run("data")
    sent = json.loads((folder / SENT).read_text())
    pairs = [(run("baseline"), run("ours")) for _ in range(repeat)]
    baseline, ours = (min(sides, key=lambda side: side.total_seconds) for sides in zip(*pairs, strict=True))
    check(sent, ours, baseline)
    report(events, ours, baseline)


def check(sent: dict[str, int], ours: Side, baseline: Side) -> None:
    """Both sides have counted the same events, but for those that were made to be rejected."""
    for name in ("event_count", "quantity"):
        rejected = sent["rejected" if name == "event_count" else "rejected_quantity"]
        if ours.found[name] != baseline.found[name] - rejected:
            sys.exit(
                f"{name}: ours {ours.found[name]:,}, baseline {baseline.found[name]:,} with {rejected:,} to be "
                "rejected; the two did not do the same work, so their times mean nothing"
            )


def report(events: int, ours: Side, baseline: Side) -> None:
    found = ours.found
    print(f"\n{events:,} events, {found['threads']} threads, memory limit {found['memory_limit_mb']} MB")
    print(f"{'stage':<28}{'seconds':>9}{'CPU s':>9}{'events/s':>12}")
    for name, side in (("ours", ours), ("baseline", baseline)):
        for stage, seconds in side.seconds.items():
            _row(f"{name}: {stage}", seconds, side.cpu_seconds[stage], events)
        _row(f"{name}: total", side.total_seconds, side.total_cpu_seconds, events)
    ratio = ours.total_seconds / baseline.total_seconds
    cpu_ratio = ours.total_cpu_seconds / baseline.total_cpu_seconds
    print(f"ratio ours / baseline: {ratio:.2f} (at most 1.50 wanted), of CPU time {cpu_ratio:.2f}")
    print(f"peak memory: ours {ours.found['peak_mb']:,.0f} MB, baseline {baseline.found['peak_mb']:,.0f} MB")
    print(
        f"sums agree: {ours.found['event_count']:,} events counted, quantity {ours.found['quantity']:,} "
        f"(baseline: {baseline.found['event_count']:,} and {baseline.found['quantity']:,} with the rejected)",
        flush=True,
    )


def _row(name: str, seconds: float, cpu_seconds: float, events: int) -> None:
    print(f"{name:<28}{seconds:>9.2f}{cpu_seconds:>9.2f}{events / seconds:>12,.0f}")


def make_data(folder: Path, events: int) -> None:
    from benchmarks.usage_day import write_usage_day
    from billing_pipeline.settings import load_settings

    def progress(done: int) -> None:
        if done % (events // 10 or 1) == 0:
            print(f"  {done:,} events made", file=sys.stderr, flush=True)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    side = Side()
    with side.stage("made"):
        sent = write_usage_day(events, load_settings().queue_path, folder / LINES, progress)
        os.sync()
    (folder / SENT).write_text(json.dumps(asdict(sent)))
    side.tell()


def run_ours(_folder: Path, _events: int) -> None:
    """The stages as they run in production, by hand instead of by the orchestrator."""
    from benchmarks.usage_day import DAY
    from billing_pipeline.metering.control_records import separate_registry_changes
    from billing_pipeline.metering.identity import identify
    from billing_pipeline.metering.rollups import roll_up, versions_found
    from billing_pipeline.metering.stage import scan
    from billing_pipeline.metering.validation import validate
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.schemas.tables import USAGE_ROLLUPS
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    for left in (settings.lake_path, settings.scratch_path):
        shutil.rmtree(left, ignore_errors=True)
    for consumers in settings.queue_path.parent.glob("consumers.sqlite*"):
        consumers.unlink()
    pipeline = Pipeline(settings)
    workshop = pipeline.workshop
    side = Side()
    with pipeline.queue() as queue:
        lander = pipeline.lander(queue)
        lander.pending()  # imports what landing needs, as the baseline has imported DuckDB
        with side.stage("landing"):
            lander.land()
    with side.stage("registry changes"):
        separate_registry_changes(workshop, [DAY])
    with side.stage("valid, rejected"):
        validate(workshop, [DAY])
    with side.stage("unique, duplicates"):
        identify(workshop, [DAY])
    with side.stage("rollups"):
        roll_up(workshop, versions_found(workshop, [DAY]))
    with workshop.engine.session() as session:
        scan(workshop, session, "rollups", USAGE_ROLLUPS)
        found = session.rows(
            "SELECT CAST(sum(event_count) AS BIGINT), CAST(sum(quantity) AS BIGINT) FROM rollups"
        )
    side.found |= {"event_count": found[0][0], "quantity": found[0][1]}
    side.found |= {"threads": settings.threads, "memory_limit_mb": settings.memory_limit_mb}
    side.tell()


def run_baseline(folder: Path, _events: int) -> None:
    import duckdb

    from billing_pipeline.settings import load_settings

    settings = load_settings()
    side = Side()
    with duckdb.connect(":memory:") as connection:
        connection.execute(
            f"SET TimeZone = 'UTC'; SET memory_limit = '{settings.memory_limit_mb}MB'; "
            f"SET threads = {settings.threads}; SET temp_directory = '{folder / 'spilled'}'"
        )
        for name, statement in BASELINE.items():
            with side.stage(name):
                connection.execute(statement.format(folder=folder, parquet=PARQUET))
        found = connection.execute(
            "SELECT CAST(sum(event_count) AS BIGINT), CAST(sum(quantity) AS BIGINT) "
            f"FROM '{folder}/grouped.parquet'"
        ).fetchone()
    side.found |= dict(zip(("event_count", "quantity"), found or (0, 0), strict=True))
    side.tell()


if __name__ == "__main__":
    main()
