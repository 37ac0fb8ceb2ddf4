"""Measures the guard's ledger: reserve and settle in process, durable, by clients that all ask at once.

Each client holds and settles in a loop: three scopes (credit, a limit of the customer, one of the project) and a
session, in the event loop that `billing serve` has. The writer gathers what comes at once into one transaction; beside
it the same clients with a transaction for every call, in the same run on the same disk. The limit is such that the last
holds are denied: overshoot is what was admitted above it.

    python benchmarks/guard.py
    python benchmarks/guard.py --postgres postgresql+psycopg://postgres@127.0.0.1:5432/test --clients 64 256

PostgreSQL gets a schema of its own, which is dropped afterwards.
"""

import argparse
import asyncio
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, func, select, text

from billing_pipeline.control.database import open_control
from billing_pipeline.control.guard_tables import GUARD_WINDOWS
from billing_pipeline.gateway.completions import Completions
from billing_pipeline.guardrails.answers import Granted
from billing_pipeline.guardrails.commands import AddGrant
from billing_pipeline.guardrails.ledger_writer import GROUP_MOST, LedgerWriter
from billing_pipeline.guardrails.operators import OperatorPrices
from billing_pipeline.guardrails.requests import Reserve, Settle
from billing_pipeline.guardrails.store.opening import open_store
from billing_pipeline.guardrails.terms import LimitTerm, Terms

CREDIT = 10**17
ESTIMATE, ACTUAL = 1_000, 900
ADMITTED_SHARE = 0.95
"""Of the holds that the clients ask for; the rest meets the limit."""


class Case(NamedTuple):
    """What is measured."""

    store: str
    url: str
    clients: int
    accounts: int
    calls: int
    group_most: int


class Result(NamedTuple):
    """What was found; latencies in milliseconds."""

    operations_per_second: float
    p50: float
    p99: float
    operations_per_commit: float
    overshoot: int


class FixedTerms:
    """The same terms for everybody."""

    def __init__(self, limit: int) -> None:
        self._terms = Terms(
            plan="benchmark",
            currency="usd",
            needs_credit=True,
            limits=(
                LimitTerm("customer", "period", "hard", limit),
                LimitTerm("project", "period", "hard", limit),
            ),
            period_starts_at=0,
            period_ends_at=1 << 62,
        )

    def terms(self, customer_id: str, project_id: str, at_us: int) -> Terms:  # noqa: ARG002 - as the port
        return self._terms


async def ask(case: Case, writer: LedgerWriter) -> tuple[float, list[float], int]:
    """Seconds, latencies, and how many holds were denied."""
    completions = Completions(asyncio.get_running_loop())
    latencies: list[float] = []
    denied = 0

    async def client(number: int) -> None:
        nonlocal denied
        for call in range(case.calls // case.clients):
            customer_id = f"c{(number * 31 + call) % case.accounts}"
            begun = time.perf_counter()
            answer = await completions.wait(
                writer.submit(
                    Reserve(
                        customer_id=customer_id,
                        project_id="p",
                        session_id=f"s{number}",
                        amount=ESTIMATE,
                        idempotency_key=f"{number}-{call}",
                    )
                )
            )
            held = time.perf_counter()
            latencies.append(held - begun)
            if isinstance(answer, Granted):
                await completions.wait(writer.submit(Settle(hold_id=answer.hold_id, amount=ACTUAL)))
                latencies.append(time.perf_counter() - held)
            else:
                denied += 1

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(case.clients):
            group.create_task(client(number))
    return time.perf_counter() - begun, latencies, denied


def measure(case: Case) -> Result:
    """One run on an empty ledger."""
    open_control(case.url).dispose()
    calls = case.calls // case.clients * case.clients
    limit = max(int(calls / case.accounts * ACTUAL * ADMITTED_SHARE), ESTIMATE)
    with LedgerWriter(
        open_store(case.url), FixedTerms(limit), OperatorPrices(), group_most=case.group_most
    ) as writer:
        grants = [
            writer.submit(AddGrant(customer_id=f"c{number}", currency="usd", grant_id="g", amount=CREDIT))
            for number in range(case.accounts)
        ]
        for grant in grants:
            grant.result()
        commits = writer.commits
        with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
            seconds, latencies, denied = runner.run(ask(case, writer))
        commits = writer.commits - commits
    if not denied and case.accounts == 1:
        raise SystemExit("the limit was not met, so that overshoot was not tried: give more --calls")
    latencies.sort()
    return Result(
        len(latencies) / seconds,
        latencies[len(latencies) // 2] * 1000,
        latencies[len(latencies) * 99 // 100] * 1000,
        len(latencies) / commits,
        overshoot(case.url, limit),
    )


def overshoot(url: str, limit: int) -> int:
    """The most that any window holds above its limit; not below 0."""
    engine = create_engine(url)
    used = GUARD_WINDOWS.c.pending + GUARD_WINDOWS.c.settled
    with engine.connect() as connection:
        most = connection.execute(
            select(func.max(used)).where(GUARD_WINDOWS.c.time_window == "period")
        ).scalar_one()
    engine.dispose()
    return max(int(most) - limit, 0)


@contextmanager
def fresh(store: str, postgres: str | None) -> Iterator[str]:
    """The URL of an empty control database."""
    if store == "SQLite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'control.sqlite'}"
        return
    admin = create_engine(str(postgres))
    schema = f"guard_{uuid.uuid4().hex}"
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield f"{postgres}?options=-csearch_path%3D{schema}"
    finally:
        with admin.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        admin.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres", help="SQLAlchemy URL without options; default: SQLite alone")
    parser.add_argument("--clients", type=int, nargs="+", default=[64])
    parser.add_argument("--accounts", type=int, nargs="+", default=[1, 1000])
    parser.add_argument("--calls", type=int, default=40_000, help="holds asked for in each case")
    parser.add_argument(
        "--baseline-calls", type=int, default=4_000, help="the same, one transaction per call"
    )
    arguments = parser.parse_args()
    table = Table(title="guard: reserve and settle, durable", title_justify="left")
    for column in (
        "store",
        "clients",
        "accounts",
        "operations/s",
        "p50 ms",
        "p99 ms",
        "a commit",
        "overshoot",
        "ratio",
    ):
        table.add_column(column, justify="left" if column == "store" else "right")
    for store in ("SQLite", *(["PostgreSQL"] if arguments.postgres else [])):
        for accounts in arguments.accounts:
            for clients in arguments.clients:
                rates = []
                for name, calls, group_most in (
                    ("groups", arguments.calls, GROUP_MOST),
                    ("one by one", arguments.baseline_calls, 1),
                ):
                    with fresh(store, arguments.postgres) as url:
                        result = measure(Case(store, url, clients, accounts, calls, group_most))
                    rates.append(result.operations_per_second)
                    table.add_row(
                        f"{store}, {name}",
                        str(clients),
                        f"{accounts:,}",
                        f"{result.operations_per_second:,.0f}",
                        f"{result.p50:.1f}",
                        f"{result.p99:.1f}",
                        f"{result.operations_per_commit:.1f}",
                        str(result.overshoot),
                        "" if len(rates) == 1 else f"{rates[0] / rates[1]:.1f} x",
                    )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
