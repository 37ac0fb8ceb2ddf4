"""The gateway's durable throughput, beside a bare group commit of the same bytes.

    python benchmarks/ingest.py --events 400000

A `billing serve` of its own, one worker, takes usage events over loopback: in batches of 100 over 8 connections, then
one by one over 64. Every answer is 202, which means that the events are on disk (fsync). The load comes from another
process on the same machine and takes its share of the cores. The baseline writes the same events, as they came, to a
SQLite file as durably as the queue does, in transactions of as many requests as there are connections: the most that
a gateway could gather.
"""

import argparse
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

START_SECONDS = 30
BILLING = str(Path(sys.executable).with_name("billing"))


@dataclass(frozen=True)
class Case:
    """How events are sent, and what is wanted."""

    name: str
    batch_events: int
    connections: int
    wanted_events_per_second: int
    wanted: str


BATCHES = Case("batches of 100", 100, 8, 100_000, "100,000/s, 0.6 of the baseline")
SINGLES = Case("single events", 1, 64, 8_000, "8,000/s, p99 25 ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--events", type=int, default=400_000, help="events sent in batches; a tenth of it one by one"
    )
    parser.add_argument("--repeat", type=int, default=1, help="measure so often and take the best")
    asked = parser.parse_args()
    table = Table(title=f"{asked.events:,} events, one worker, {os.cpu_count()} cores", title_justify="left")
    for column in ("case", "gateway", "p50", "p99", "bare group commit", "ratio", "wanted"):
        table.add_column(column, justify="left" if column in {"case", "wanted"} else "right")
    for case, events in ((BATCHES, asked.events), (SINGLES, asked.events // 10)):
        payloads = _payloads(events)
        runs = [_measure(case, payloads) for _ in range(asked.repeat)]
        bare = max(_bare_events_per_second(case, payloads) for _ in range(asked.repeat))
        best = min(runs, key=lambda run: run["seconds"])
        rate = events / best["seconds"]
        table.add_row(
            case.name,
            f"{rate:,.0f}/s",
            f"{best['p50_ms']:.1f} ms",
            f"{best['p99_ms']:.1f} ms",
            f"{bare:,.0f}/s",
            f"{rate / bare:.2f}",
            case.wanted,
        )
    Console(width=130).print(table)


def _payloads(events: int) -> list[bytes]:
    from benchmarks.usage_day import plain_payload

    print(f"  making {events:,} events", file=sys.stderr, flush=True)
    return [plain_payload(number, events) for number in range(events)]


def _groups(things: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (things[start : start + size] for start in range(0, len(things), size))


def _measure(case: Case, payloads: list[bytes]) -> dict[str, Any]:
    """Send the events to a gateway of their own; what the load process tells."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BILLING_HOME"] = str(Path(folder) / "home")
        key = _key()
        requests = Path(folder) / "requests"
        with requests.open("wb") as file:
            for request in _requests(case, payloads, key):
                file.write(len(request).to_bytes(8, "big") + request)
        with _gateway(Path(folder) / "serve.log") as port:
            load = Path(__file__).with_name("http_load.py")
            done = subprocess.run(
                [sys.executable, str(load), str(port), str(case.connections), str(requests)],
                stdout=subprocess.PIPE,
                check=True,
            )
        told: dict[str, Any] = json.loads(done.stdout)
        if told["statuses"] != {"202": -(-len(payloads) // case.batch_events)}:
            raise SystemExit(f"not every request was accepted: {told['statuses']}")
        _check_queue(len(payloads))
        return told


def _key() -> str:
    made = subprocess.run(
        [BILLING, "keys", "create", "--name", "benchmark"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found = re.search(r"bk_\S+", made.stdout)
    if found is None:
        raise SystemExit(f"no key in {made.stdout!r}")
    return found[0]


def _requests(case: Case, payloads: list[bytes], key: str) -> Iterator[bytes]:
    for events in _groups(payloads, case.batch_events):
        body = events[0] if case.batch_events == 1 else b"[" + b",".join(events) + b"]"
        head = (
            "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


@contextmanager
def _gateway(log: Path) -> Iterator[int]:
    """A running gateway's port; it is stopped at the end, gracefully."""
    with log.open("wb") as output:
        process = subprocess.Popen([BILLING, "serve", "--port", "0"], stderr=output)
        try:
            yield _port(log, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_SECONDS)


def _port(log: Path, process: "subprocess.Popen[bytes]") -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r'"port": ?(\d+)', log.read_text("utf-8"))
        if found is not None:
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit(f"the gateway did not start: {log.read_text('utf-8')}")


def _check_queue(events: int) -> None:
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    with Pipeline(load_settings()).queue() as queue:
        if queue.next_offset() != events:
            raise SystemExit(f"{events} events were acknowledged and {queue.next_offset()} are in the queue")


def _bare_events_per_second(case: Case, payloads: list[bytes]) -> float:
    bodies = [b"\n".join(events) for events in _groups(payloads, case.batch_events)]
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "bare.sqlite", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE batches (first_offset INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        started = time.perf_counter()
        for group in _groups(bodies, case.connections):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO batches (body) VALUES (?)", [(body,) for body in group])
            connection.execute("COMMIT")
        seconds = time.perf_counter() - started
        connection.close()
    return len(payloads) / seconds


if __name__ == "__main__":
    main()
