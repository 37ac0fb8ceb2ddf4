"""The same day on both compute engines, from raw to rollups: DuckDB, and Spark on this machine alone.

    python benchmarks/engines.py --events 1000000

Needs the extra `spark` and Java. Spark's start is told apart from its work. The rollups must have one content hash.
"""

import argparse
import os
import sys
import tempfile
from datetime import date
from pathlib import Path

from benchmarks.side import Side, run_side

DAY = date(2026, 10, 20)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--side", choices=("data", "duckdb", "spark"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side == "data":
        make_data(asked.events)
    elif asked.side is not None:
        run_engine()
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), asked.events)


def compare(folder: Path, events: int) -> None:
    environment = os.environ | {"BILLING_HOME": str(folder / "home")}
    run_side(__file__, "data", folder, events, environment)
    sides: dict[str, Side] = {}
    for engine in ("duckdb", "spark"):
        sides[engine] = run_side(__file__, engine, folder, events, environment | {"BILLING_ENGINE": engine})
    duckdb, spark = sides["duckdb"], sides["spark"]
    if duckdb.found["rollups"] != spark.found["rollups"]:
        sys.exit(f"the engines do not agree: {duckdb.found['rollups']} and {spark.found['rollups']}")
    print(f"\n{events:,} events of one day, raw to rollups; the same content hash of rollups from both")
    print(f"{'stage':<26}{'duckdb s':>10}{'spark s':>10}{'ratio':>8}")
    for stage, seconds in duckdb.seconds.items():
        print(
            f"{stage:<26}{seconds:>10.2f}{spark.seconds[stage]:>10.2f}{spark.seconds[stage] / seconds:>8.1f}"
        )
    work = [sum(s for name, s in side.seconds.items() if name != "start") for side in (duckdb, spark)]
    print(f"{'all but the start':<26}{work[0]:>10.2f}{work[1]:>10.2f}{work[1] / work[0]:>8.1f}")


def make_data(events: int) -> None:
    from benchmarks.made_lake import company, make_raw_day
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    pipeline = Pipeline(load_settings())
    pipeline.seed = company()
    make_raw_day(pipeline, DAY, events, 0)
    Side().tell()


def run_engine() -> None:
    from benchmarks.made_lake import company
    from billing_pipeline.metering.identity import identify
    from billing_pipeline.metering.rollups import roll_up, versions_found
    from billing_pipeline.metering.validation import validate
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    pipeline = Pipeline(load_settings())
    pipeline.seed = company()
    workshop = pipeline.workshop
    side = Side()
    with side.stage("start"), workshop.engine.session() as session:
        session.rows("SELECT 1")
    with side.stage("valid, rejected, keys"):
        validate(workshop, [DAY])
    with side.stage("unique, duplicates"):
        identify(workshop, [DAY])
    with side.stage("rollups"):
        made = roll_up(workshop, versions_found(workshop, [DAY]))
    side.found["rollups"] = [each.content_hash for each in made.partitions]
    side.tell()


if __name__ == "__main__":
    main()
