"""Peak memory of one very large day, from raw to rollups: bounded, however many events it has.

    python benchmarks/memory.py --events 10000000 100000000

Each size in a process of its own; what it may use is the engine's limit (`BILLING_MEMORY_LIMIT_MB`, 3000 by default)
and what Python and Arrow need beside it. 100,000,000 events take about 40 GB of disk while it runs.
"""

import argparse
import os
import sys
import tempfile
from datetime import date
from pathlib import Path

from benchmarks.side import Side, run_side

DAY = date(2026, 10, 20)
WANTED_MB = 4_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, nargs="+", default=[10_000_000])
    parser.add_argument("--side", choices=("data", "stages"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side is not None:
        {"data": make_data, "stages": run_stages}[asked.side](asked.events[0])
        return
    for events in asked.events:
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"BILLING_HOME": str(Path(folder) / "home")}
            run_side(__file__, "data", Path(folder), events, environment)
            side = run_side(__file__, "stages", Path(folder), events, environment)
        print(f"\n{events:,} events in one day")
        for stage, seconds in side.seconds.items():
            print(f"{stage:<26}{seconds:>9.1f} s{events / seconds:>12,.0f} events/s")
        print(f"peak memory {side.found['peak_mb']:,.0f} MB (at most {WANTED_MB:,} wanted)", flush=True)


def make_data(events: int) -> None:
    from benchmarks.made_lake import make_raw_day, new_company

    print(f"  making {events:,} events", file=sys.stderr, flush=True)
    make_raw_day(new_company(), DAY, events, 0)
    Side().tell()


def run_stages(_events: int) -> None:
    from benchmarks.made_lake import new_company, stages

    side = Side()
    for name, run in stages(new_company().workshop).items():
        with side.stage(name):
            run(DAY)
    side.tell()


if __name__ == "__main__":
    main()
