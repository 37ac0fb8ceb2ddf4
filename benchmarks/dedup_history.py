"""Identity with history behind it: the day alone, and with key files of 35 and of 365 days to be compared with.

    python benchmarks/dedup_history.py

Two sizes, because a year of key files is large: 2,000,000 events a day for 35 days, 200,000 for 365. The ratio is that
of the same day with and without the history; the history has other keys, as it does in life but for redeliveries.
"""

import argparse
import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

DAY = date(2026, 10, 20)
WANTED = {35: 1.5, 365: 5.0}
BYTES_PER_KEY = 60


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", default=["35:2000000", "365:200000"], help="days:events per day")
    parser.add_argument("--repeat", type=int, default=3, help="the fastest of so many counts")
    asked = parser.parse_args()
    print(
        f"{'days':>5}{'events/day':>12}{'keys before':>14}{'alone s':>9}{'with s':>9}{'ratio':>7}{'wanted':>8}"
    )
    for case in asked.case:
        days, events = (int(part) for part in case.split(":"))
        with tempfile.TemporaryDirectory() as folder:
            os.environ["BILLING_HOME"] = str(Path(folder) / "home")
            alone, with_history = measure(days, events, asked.repeat)
        ratio = with_history / alone
        wanted = f"{WANTED[days]:.1f}" if days in WANTED else ""
        print(
            f"{days:>5}{events:>12,}{days * events:>14,}{alone:>9.2f}{with_history:>9.2f}{ratio:>7.2f}{wanted:>8}",
            flush=True,
        )


def measure(days: int, events: int, repeat: int) -> tuple[float, float]:
    """Seconds of the identity stage for one day, without and with history."""
    from benchmarks.made_lake import make_key_history, make_raw_day, new_company
    from billing_pipeline.metering.identity import identify
    from billing_pipeline.metering.validation import validate

    pipeline = new_company()
    print(f"  making {events:,} events and {days} days of keys", file=sys.stderr, flush=True)
    make_raw_day(pipeline, DAY, events, 0)
    validate(pipeline.workshop, [DAY])

    def fastest() -> float:
        times = []
        for _ in range(repeat):
            started = time.perf_counter()
            identify(pipeline.workshop, [DAY])
            times.append(time.perf_counter() - started)
        return min(times)

    alone = fastest()
    make_key_history(pipeline, DAY, days, events)
    return alone, fastest()


if __name__ == "__main__":
    main()
