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
    from benchmarks.made_lake import make_raw_day, new_company

    make_raw_day(new_company(), DAY, events, 0)
    Side().tell()


def run_engine() -> None:
    from benchmarks.made_lake import new_company, stages

    workshop = new_company().workshop
    side = Side()
    with side.stage("start"), workshop.engine.session() as session:
        session.rows("SELECT 1")
    for name, run in stages(workshop).items():
        with side.stage(name):
            made = run(DAY)
    side.found["rollups"] = [each.content_hash for each in made.partitions]
    side.tell()


if __name__ == "__main__":
    main()
