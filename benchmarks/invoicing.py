"""Invoicing: from rollups to planned pushes, and pushes per second at Stripe's rate limit.

    python benchmarks/invoicing.py

First so many customers with a month of usage: rated, listed as invoice lines, put where they go, and written into the
outbox, each with the parameters of its requests. Beside it what the amounts alone take: one statement of DuckDB over
the same rollups (join with the prices, group, round, sum). Both sides must come to the same cents.

Then pushes against the simulator, in a process of its own, behind Stripe's limit of requests per second (100 live, 25
test); beside it the same requests one after the other by the bare SDK, which checks nothing and keeps nothing.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb
import stripe

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import open_control
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
from billing_pipeline.invoicing.push.invoice_push import push_invoices
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine
from billing_pipeline.invoicing.push.push_stage import billed_on, deliveries
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.metering.stage import Draft
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import USAGE_ROLLUPS
from billing_pipeline.settings import load_settings

VERSION, MODEL = "2026-10-16", "atlas-small"
PRICES = {"input_uncached": Decimal("0.25"), "input_cached": Decimal("0.025"), "output": Decimal("1.00")}
DAYS = [date(2026, 10, day) for day in (18, 21, 24, 27)]
END = date(2026, 10, 31)
LINES = 3
KEY = "sk_test_benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--invoices", type=int, default=200, help="pushed at each rate limit; 0: none")
    parser.add_argument("--workers", type=int, default=8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="billing-invoicing-") as folder:
        os.environ["BILLING_HOME"] = str(Path(folder) / "home")
        plan_pushes(asked.customers)
        for limit in (100, 25) if asked.invoices else ():
            push_at_limit(Path(folder), limit, asked.invoices, asked.workers)


def plan_pushes(customers: int) -> None:
    """Rate, list, deliver and plan; beside the amounts alone."""
    pipeline = company(customers)
    workshop, seconds = pipeline.workshop, dict[str, float]()
    with timed(seconds, "rated"):
        rate(workshop, [END])
    with timed(seconds, "listed"):
        list_invoice_lines(workshop, [END])
    with timed(seconds, "delivered"):
        planned = deliveries(pipeline.control, "", InvoicingPolicies(), billed_on(workshop, END))
    with timed(seconds, "planned"):
        Outbox(pipeline.control, "acct_benchmark/test", now_us).plan_all([each.invoice for each in planned])
    ours = sum(each.invoice.total_minor for each in planned)
    started = time.perf_counter()
    alone = amounts_alone([file.path for file in workshop.lake.files(USAGE_ROLLUPS)])
    base_seconds = time.perf_counter() - started
    if ours != alone:
        sys.exit(f"the invoices come to {ours} cents, the amounts alone to {alone}")
    total = sum(seconds.values())
    stages = ", ".join(f"{name} {taken:.1f} s" for name, taken in seconds.items())
    print(
        f"{customers:,} customers from rollups to planned pushes: {total:.1f} s, {customers / total:,.0f} customers/s "
        f"({stages}); the amounts alone {base_seconds:.2f} s: {total / base_seconds:.0f} x",
        flush=True,
    )
    pipeline.control.dispose()


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Keep how long the block took."""
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
    print(f"  {name}: {seconds[name]:.1f} s", file=sys.stderr, flush=True)


def company(customers: int) -> Pipeline:
    """Customers on the plan `standard`, with usage of four posting days in the rollups."""
    pipeline = Pipeline(load_settings())
    since = date(2023, 11, 1)
    names = [f"customer-{number:05d}" for number in range(customers)]
    pipeline.seed = tuple(
        change
        for name in names
        for change in (
            RegistryChange("customer", name, "register", since),
            RegistryChange("plan_assignment", name, "assign", since, {"plan": "standard"}),
            RegistryChange("project", f"{name}/p", "register", since),
        )
    )
    draft = Draft(pipeline.workshop, USAGE_ROLLUPS)
    columns = [column.name for column in USAGE_ROLLUPS.columns]
    with pipeline.engine.session() as session:
        for day in DAYS:
            rows = []
            for number, name in enumerate(names):
                for token_class in PRICES:
                    values = {
                        "posting_day": day,
                        "rule_version": VERSION,
                        "usage_day": day,
                        "kind": "on_time",
                        "customer_id": name,
                        "project_id": "p",
                        "meter": "llm_tokens",
                        "unit": "token",
                        "dimensions": f'{{"model":"{MODEL}","token_class":"{token_class}"}}',
                        "quantity": Decimal(1_000_000 + 977 * number + day.day),
                        "event_count": 100,
                    }
                    rows.append([values[column] for column in columns])
            draft.write_rows(session, rows, PartitionKey(day, VERSION))
        draft.commit()
    return pipeline


def amounts_alone(paths: Sequence[str]) -> int:
    """The sum of all lines' cents, by one statement."""
    prices = ", ".join(f"('{name}', CAST({price} AS DECIMAL(18, 6)))" for name, price in PRICES.items())
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        (total,) = connection.execute(
            f"""
WITH prices (token_class, unit_price) AS (VALUES {prices}),
used AS (
    SELECT customer_id, json_extract_string(dimensions, '$.token_class') AS token_class,
        CAST(sum(quantity) AS DECIMAL(20, 0)) AS quantity
    FROM read_parquet(?) GROUP BY ALL
)
SELECT CAST(sum(round(CAST(quantity * unit_price AS DECIMAL(38, 6)) * CAST(0.0001 AS DECIMAL(5, 4)), 0)) AS BIGINT)
FROM used JOIN prices USING (token_class)
""",
            [list(paths)],
        ).fetchone() or (0,)
    return int(total)


def push_at_limit(folder: Path, limit: int, invoices: int, workers: int) -> None:
    """Push, at our own pace just below the limit; beside the bare calls one after the other."""
    with simulator(folder / f"ours-{limit}.sqlite", limit) as address:
        control = open_control(f"sqlite:///{folder / f'control-{limit}.sqlite'}?timeout=60")
        gateway = StripeGateway(KEY, address, requests_per_second=limit * 0.8)
        started = time.perf_counter()
        results = push_invoices(control, gateway, made_invoices(invoices), workers=workers)
        ours = time.perf_counter() - started
        gateway.close()
        control.dispose()
    if {result.state for result in results} != {"finalized"}:
        sys.exit(f"not all were finalized: {results}")
    sent = sum(result.requests_sent for result in results)
    with simulator(folder / f"bare-{limit}.sqlite", limit) as address:
        started = time.perf_counter()
        bare_requests = bare_calls(address, made_invoices(invoices))
        bare = time.perf_counter() - started
    # Account; then per invoice what changes something, verify and read back with their lines.
    requests = 1 + sent + 4 * invoices
    print(
        f"limit {limit}/s: {invoices / ours:.1f} pushes/s with {workers} workers ({requests / ours:.0f} requests/s, "
        f"{requests / invoices:.1f} a push); bare calls one after the other {invoices / bare:.1f} invoices/s "
        f"({bare_requests / bare:.0f} requests/s): {bare / ours:.1f} x",
        flush=True,
    )


def made_invoices(count: int) -> list[PlannedInvoice]:
    """Invoices of so many customers, a few lines each."""
    return [
        PlannedInvoice(
            customer_id=f"customer-{number}",
            customer_name=f"Customer {number}",
            billing_period=date(2026, 10, 1),
            currency="usd",
            lines=tuple(
                PlannedLine(
                    line_id=f"line-{number}-{line}",
                    description="LLM tokens",
                    amount_minor=100 * line + number,
                    quantity_text="1,000 tokens",
                )
                for line in range(1, LINES + 1)
            ),
        )
        for number in range(count)
    ]


def bare_calls(address: str, invoices: Sequence[PlannedInvoice]) -> int:
    """Customer, draft, lines, finalize; how many requests it took. What is sent away comes again."""
    client = stripe.StripeClient(KEY, base_addresses={"api": address}, max_network_retries=0)
    sent = 0

    def patiently(call: Callable[[], stripe.StripeObject]) -> stripe.StripeObject:
        nonlocal sent
        while True:
            sent += 1
            try:
                return call()
            except stripe.RateLimitError:
                time.sleep(0.1)

    for invoice in invoices:
        named = partial(client.v1.customers.create, {"name": invoice.customer_name})
        customer = patiently(named)["id"]
        draft = patiently(
            partial(
                client.v1.invoices.create, {"customer": customer, "currency": "usd", "auto_advance": False}
            )
        )["id"]
        lines = [{"amount": line.amount_minor, "description": line.description} for line in invoice.lines]
        patiently(partial(client.v1.invoices.add_lines, draft, {"lines": lines}))  # type: ignore[typeddict-item]  # plain JSON
        patiently(partial(client.v1.invoices.finalize_invoice, draft))
    return sent


@contextmanager
def simulator(store: Path, limit: int) -> Iterator[str]:
    """`billing stripe simulator` behind a limit; its address."""
    command = [str(Path(sys.executable).parent / "billing"), "stripe", "simulator", "--port", "0"]
    command += ["--store", str(store), "--rate-limit", str(limit)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            if (found := line.find("http://127.0.0.1:")) >= 0:
                yield line[found:].split()[0].rstrip(".,;'\"")
                return
        sys.exit("the simulator did not start")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


if __name__ == "__main__":
    main()
