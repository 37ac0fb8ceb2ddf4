"""What one late event and one correction cost after the close of a large day: as much as they touch, not as the day.

    python benchmarks/late_usage.py --events 10000000

A day of so many events is closed; three days later one late event of it and one correction of another come in. Measured
is everything that they make: valid, key files, identity with the correction applied, rollups of the new day, and the
restated rollups of the large one. Beside it stands what the large day itself took.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

DAY = date(2026, 10, 20)
LATER = DAY + timedelta(days=3)
CORRECTED = 123_456
WANTED_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=10_000_000, help="events of the closed day")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BILLING_HOME"] = str(Path(folder) / "home")
        measure(max(asked.events, CORRECTED + 1))


def measure(events: int) -> None:
    from benchmarks.made_lake import key_hash, make_raw_day, new_company, stages
    from billing_pipeline.metering.restated import restate

    pipeline = new_company()
    workshop = pipeline.workshop
    print(f"  making {events:,} events", file=sys.stderr, flush=True)
    end = make_raw_day(pipeline, DAY, events, 0)
    measured: dict[str, Callable[[date], object]] = {
        **stages(workshop),
        "restated": lambda _day: restate(workshop, [DAY]),
    }
    of_the_day = {name: _seconds(stage, DAY) for name, stage in measured.items()}
    occurred_at = f"TIMESTAMPTZ '{DAY} 12:00:00+00'"
    end = make_raw_day(pipeline, LATER, 1, end, {"occurred_at": occurred_at})
    correction = {
        **dict.fromkeys(("customer_id", "project_id", "unit", "quantity", "dimensions", "billable"), "NULL"),
        "kind": "'correction'",
        "source": "'support'",
        "reason_code": "'dispute'",
        "corrects_source": "'gateway'",
        "corrects_id": f"'req_{CORRECTED}'",
        "corrects_key_hash": key_hash(CORRECTED),
        "action": "'void'",
    }
    make_raw_day(pipeline, LATER, 1, end, correction)
    of_the_two = {name: _seconds(stage, LATER) for name, stage in measured.items()}
    with pipeline.engine.session() as session:
        from billing_pipeline.metering.stage import scan
        from billing_pipeline.schemas.tables import USAGE_ROLLUPS

        scan(workshop, session, "rollups", USAGE_ROLLUPS, [LATER])
        kinds = {str(kind) for (kind,) in session.rows("SELECT kind FROM rollups")}
    if kinds != {"late", "correction"}:
        sys.exit(f"the later day has rollups of the kinds {kinds}: not what was to be measured")
    print(f"\n{events:,} events on the closed day, then one late event and one correction")
    print(f"{'stage':<26}{'the day s':>11}{'the two s':>11}")
    for name in measured:
        print(f"{name:<26}{of_the_day[name]:>11.2f}{of_the_two[name]:>11.2f}")
    total_day, total_two = sum(of_the_day.values()), sum(of_the_two.values())
    print(f"{'total':<26}{total_day:>11.2f}{total_two:>11.2f}   (under {WANTED_SECONDS:.0f} s wanted)")
    print(f"ratio of the two to the day: {total_two / total_day:.3f}")


def _seconds(stage: Callable[[date], object], day: date) -> float:
    started = time.perf_counter()
    stage(day)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
