"""Killed at any moment and started again, a close ends where an undisturbed one does."""

import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.settings import load_settings

Run = Callable[..., str]
Process = Callable[..., Any]
InHome = Callable[[Path], Any]

KILLED_CLOSE = Path(__file__).parent / "killed_close.py"
LAST = "2024-01-31"
CUSTOMERS = ("acme", "bolt")
ALL_TABLES = (
    "raw_usage_events",
    "registry_changes",
    "rejected_usage_events",
    "duplicate_usage_events",
    "usage_rollups",
    "rated_charges",
    "invoice_lines",
)
MOMENTS = [
    ("before append", 1),  # files of the first landing written, not committed
    ("before commit", 1),  # landed, the queue not told
    ("after replace", 4),  # some tables of a run committed, their run not recorded
    ("after finalize_invoice", 1),  # one invoice final in Stripe, the outbox not told
]
RANDOM_KILLS = 40
RUNS_BETWEEN_FRESH_HOMES = 5


@dataclass(frozen=True)
class Undisturbed:
    hashes: dict[str, str]
    invoices: list[tuple[str, int]]
    seconds: float


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of two customers, with redeliveries and a broken line."""
    lines = []
    for number in range(200):
        event = {
            "type": "usage",
            "schema_version": 2,
            "source": "app",
            "id": f"e-{number % 180}",
            "customer_id": CUSTOMERS[number % 2],
            "project_id": "p",
            "occurred_at": f"2024-01-{30 + number % 180 // 90}T{number % 18 + 2:02}:00:00Z",
            "unit": "token",
            "quantity": 1_000_000 + number % 180,
            "dimensions": {"model": "atlas-large", "token_class": "output"},
            "correlation_id": "c",
        }
        lines.append(json.dumps(event))
    path = tmp_path_factory.mktemp("log") / "events.ndjson"
    path.write_text("\n".join([*lines, "broken"]) + "\n")
    return path


@pytest.fixture(scope="module")
def received(new_home: Callable[..., Path], billing: Run, log: Path) -> Callable[[], Path]:
    """Makes a home whose queue holds the log, and whose clock lets it be closed."""

    def make() -> Path:
        home = new_home(dagster_on_disk=True)
        billing(home, "import", "--format", "ndjson", "--received-at", "occurred", "--register", log)
        billing(home, "queue", "advance", "--to", "2024-02-01T01:00:00Z")
        return home

    return make


@pytest.fixture(scope="module")
def undisturbed(
    received: Callable[[], Path],
    billing: Run,
    hashes: Callable[..., dict[str, str]],
    stripe_invoices: Callable[[Path], list[dict[str, Any]]],
) -> Undisturbed:
    """What a close comes to that nothing happens to."""
    home = received()
    started = time.monotonic()
    billing(home, "close", "--through", LAST)
    seconds = time.monotonic() - started
    return Undisturbed(hashes(home, ALL_TABLES), totals(stripe_invoices(home)), seconds)


@pytest.mark.parametrize(
    "moments", [MOMENTS[1::2], pytest.param(MOMENTS, marks=pytest.mark.torture)], ids=["two", "all"]
)
def test_killed_at_its_joints_in_turn_the_close_ends_in_the_same_hashes(
    received: Callable[[], Path],
    undisturbed: Undisturbed,
    process: Process,
    billing: Run,
    hashes: Callable[..., dict[str, str]],
    stripe_invoices: Callable[[Path], list[dict[str, Any]]],
    in_home: InHome,
    moments: list[tuple[str, int]],
) -> None:
    """Landing, a stage and the push are each killed at their weakest moment; the last run mends all of it."""
    home = received()
    killed = process(home, KILLED_CLOSE, LAST, *chain.from_iterable(moments))
    assert endings(killed.stdout) == [int(signal.SIGKILL)] * len(moments), killed.stdout + killed.stderr
    assert run_states(home, in_home)["STARTED"] > 0
    billing(home, "close", "--through", LAST)
    assert hashes(home, ALL_TABLES) == undisturbed.hashes
    assert totals(stripe_invoices(home)) == undisturbed.invoices
    states = run_states(home, in_home)
    assert states["STARTED"] == 0
    assert states["FAILURE"] > 0
    assert states["SUCCESS"] > 0
    billing(home, "doctor")


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(RANDOM_KILLS // RUNS_BETWEEN_FRESH_HOMES))
def test_killed_at_random_moments_the_close_ends_in_the_same_hashes(
    received: Callable[[], Path],
    undisturbed: Undisturbed,
    process: Process,
    billing: Run,
    hashes: Callable[..., dict[str, str]],
    stripe_invoices: Callable[[Path], list[dict[str, Any]]],
    in_home: InHome,
    seed: int,
) -> None:
    """Forty moments spread over the time that a close takes, a few on each home."""
    chance = random.Random(seed)
    home = received()
    moments = [("seconds", chance.uniform(0, undisturbed.seconds)) for _ in range(RUNS_BETWEEN_FRESH_HOMES)]
    ended = process(home, KILLED_CLOSE, LAST, *chain.from_iterable(moments))
    assert set(endings(ended.stdout)) <= {0, int(signal.SIGKILL)}, ended.stdout + ended.stderr
    billing(home, "close", "--through", LAST)
    assert hashes(home, ALL_TABLES) == undisturbed.hashes
    assert totals(stripe_invoices(home)) == undisturbed.invoices
    assert run_states(home, in_home)["STARTED"] == 0


def endings(printed: str) -> list[int]:
    """The signals, or 0, by which the closes ended; they print other lines as well."""
    return [int(line) for line in printed.splitlines() if line.isdecimal()]


def totals(invoices: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Customer and total of each finalized invoice; one that is not final would be one too many."""
    assert {invoice["status"] for invoice in invoices} == {"open"}
    return sorted((invoice["customer_id"], invoice["total"]) for invoice in invoices)


def run_states(home: Path, in_home: InHome) -> dict[str, int]:
    """How many Dagster runs of a home are in each state."""
    from dagster import DagsterRunStatus

    from billing_pipeline.terminal.dagster_home import open_dagster

    with in_home(home), open_dagster(load_settings()) as instance:
        found = [run.status for run in instance.get_runs()]
    return {status.value: found.count(status) for status in DagsterRunStatus}
