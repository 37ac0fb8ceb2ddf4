"""Invoicing: customers per second from rollups to planned pushes, and invoices per second into Stripe's rate limit.

    python benchmarks/invoicing.py --customers 10000 --invoices 300

The first part rates a month of rollups, lists the lines, plans their delivery and writes the plan of every push down
in the outbox. Beside it one hand-written statement prices and groups the same rollups, to the same cents. The second
part pushes invoices to the simulator, which lets as many requests through as Stripe does; beside it a bare loop over
the SDK makes the same invoices, one request after the other, with nothing written down and nothing read back.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing_pipeline.invoicing.push.planned import PlannedInvoice
    from billing_pipeline.pipeline import Pipeline

FIRST, LAST, USAGE_DAYS = date(2025, 7, 1), date(2025, 7, 31), 10
VERSION = "2023-11-01"
PLAN, METER = "standard", "llm_tokens"
MODELS, CLASSES = ("atlas-large", "atlas-small"), ("input_cached", "input_uncached", "output")
ACCOUNT = "acct_benchmark/test"
LIMITS = {"live": 100, "test": 25}
"""Requests per second that Stripe takes, by mode."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--invoices", type=int, default=300, help="pushed at the limit of live mode")
    parser.add_argument("--workers", type=int, default=8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["BILLING_HOME"] = str(folder / "home")
        invoices = plan_all(asked.customers)
        for mode, limit in LIMITS.items():
            # In test mode so many fewer that both take about as long.
            chosen = invoices[: max(asked.invoices * limit // LIMITS["live"], asked.workers)]
            push_all(folder / mode, mode, limit, chosen, asked.workers)


def plan_all(customers: int) -> "list[PlannedInvoice]":
    """From rollups to the outbox, each stage timed; the invoices. Ends the process if the cents are not the same."""
    from benchmarks.side import Side
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
    from billing_pipeline.invoicing.period_close.push_stage import billed_on, deliveries
    from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
    from billing_pipeline.invoicing.push.outbox import Outbox

    pipeline = _company(customers)
    workshop, ours, bare = pipeline.workshop, Side(), Side()
    with ours.stage("rated charges"):
        rate(workshop, [LAST])
    with ours.stage("invoice lines"):
        list_invoice_lines(workshop, [LAST])
    with ours.stage("deliveries"):
        planned = deliveries(pipeline.control, ACCOUNT, InvoicingPolicies(), billed_on(workshop, LAST))
    with ours.stage("outbox"):
        Outbox(pipeline.control, ACCOUNT, now_us).plan_all([each.invoice for each in planned])
    with bare.stage("one statement"):
        totals = _one_statement(pipeline)
    if {each.invoice.customer_id: each.invoice.total_minor for each in planned} != totals:
        sys.exit("the invoices and the statement do not come to the same cents")
    pipeline.control.dispose()
    seconds = ours.total_seconds
    print(
        f"\n{customers:,} customers, {sum(len(each.invoice.lines) for each in planned):,} lines, the same cents"
    )
    for name, took in ours.seconds.items():
        print(f"{name:<16}{took:>8.2f} s  {customers / took:>10,.0f} customers/s")
    print(f"{'all':<16}{seconds:>8.2f} s  {customers / seconds:>10,.0f} customers/s")
    print(
        f"{'one statement':<16}{bare.total_seconds:>8.2f} s  {customers / bare.total_seconds:>10,.0f} customers/s; "
        f"ours takes {seconds / bare.total_seconds:.1f} times that",
        flush=True,
    )
    return [each.invoice for each in planned]


def push_all(folder: Path, mode: str, limit: int, invoices: "Sequence[PlannedInvoice]", workers: int) -> None:
    """Push some invoices by workers at our own pace, and by a bare loop; each to a simulator of its own."""
    from billing_pipeline.control.database import open_control
    from billing_pipeline.invoicing.push.invoice_push import push_invoices
    from billing_pipeline.invoicing.stripe.gateway import StripeGateway
    from billing_pipeline.invoicing.stripe.pacing import (
        LIVE_REQUESTS_PER_SECOND,
        TEST_REQUESTS_PER_SECOND,
    )

    pace = {"live": LIVE_REQUESTS_PER_SECOND, "test": TEST_REQUESTS_PER_SECOND}[mode]
    folder.mkdir()
    control: Engine = open_control(f"sqlite:///{folder / 'control.sqlite'}")
    with _simulator(folder / "ours.sqlite", limit) as stripe:
        gateway = StripeGateway("sk_test_benchmark", stripe.address, requests_per_second=pace)
        started = time.perf_counter()
        results = push_invoices(control, gateway, invoices, workers=workers)
        ours = time.perf_counter() - started
        gateway.close()
        requests, refused = stripe.requests.value, stripe.refused.value
    control.dispose()
    if any(each.state != "finalized" for each in results):
        sys.exit(f"not all are finalized: {next(each for each in results if each.state != 'finalized')}")
    with _simulator(folder / "bare.sqlite", limit) as stripe:
        started = time.perf_counter()
        _bare_loop(stripe.address, invoices)
        bare = time.perf_counter() - started
        bare_requests = stripe.requests.value
    count = len(invoices)
    print(
        f"\n{mode} mode: {count} invoices, {limit} requests/s at most, our own limit {pace}, {workers} workers"
    )
    print(
        f"push        {count / ours:>6.1f} invoices/s  {requests / count:.1f} requests each  {requests / ours:>5.1f} "
        f"requests/s, {requests / ours / limit:.0%} of Stripe's limit; {refused} answered 429"
    )
    print(
        f"bare loop   {count / bare:>6.1f} invoices/s  {bare_requests / count:.1f} requests each  "
        f"{bare_requests / bare:>5.1f} requests/s; the push takes {ours / bare:.2f} times that",
        flush=True,
    )


class _Served(NamedTuple):
    """A simulator in a process of its own, and what it counts."""

    address: str
    requests: Any
    refused: Any


@contextmanager
def _simulator(path: Path, limit: int) -> Iterator[_Served]:
    spawn = multiprocessing.get_context("spawn")
    requests, refused = spawn.Value("i", 0), spawn.Value("i", 0)
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(path, limit, requests, refused, theirs))
    process.start()
    try:
        yield _Served(ours.recv(), requests, refused)
    finally:
        ours.send("enough")
        process.join()


def _serve(path: Path, limit: int, requests: Any, refused: Any, pipe: Any) -> None:
    from billing_pipeline.invoicing.simulator.http_messages import Handler, Request, Response
    from billing_pipeline.invoicing.simulator.rate_limit import TokenBucket
    from billing_pipeline.invoicing.simulator.server import running_simulator

    bucket, too_many = TokenBucket(limit), 429

    def counted(handler: Handler) -> Handler:
        limited = bucket.wrap(handler)

        def answer(request: Request) -> Response:
            response = limited(request)
            with requests.get_lock():
                requests.value += 1
                refused.value += response.status == too_many
            return response

        return answer

    with running_simulator(path, wrap=counted) as address:
        pipe.send(address)
        pipe.recv()


def _bare_loop(address: str, invoices: "Sequence[PlannedInvoice]") -> None:
    """Customer, draft, lines, final: four requests for each by the SDK, tried again a second after a 429."""
    import stripe

    from billing_pipeline.invoicing.push.plan import stripe_plan

    client: Any = stripe.StripeClient("sk_test_benchmark", base_addresses={"api": address})

    def sent(call: Callable[..., Any], *arguments: object) -> Any:
        while True:
            try:
                return call(*arguments)
            except stripe.RateLimitError:
                time.sleep(1)

    for invoice in invoices:
        plan = stripe_plan(invoice, 1)
        customer = sent(client.v1.customers.create, dict(plan.customer))
        draft = sent(client.v1.invoices.create, {**plan.invoice, "customer": customer.id})
        for batch in plan.batches:
            sent(client.v1.invoices.add_lines, draft.id, dict(batch))
        sent(client.v1.invoices.finalize_invoice, draft.id, dict(plan.finalize))


def _company(customers: int) -> "Pipeline":
    """Customers on one plan, with rollups of some days of a month for every price of its table."""
    from billing_pipeline.contract.registry import RegistryChange
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.schemas.table import PartitionKey
    from billing_pipeline.schemas.tables import USAGE_ROLLUPS
    from billing_pipeline.settings import load_settings

    pipeline = Pipeline(load_settings())
    since = date(2025, 1, 1)
    changes: list[RegistryChange] = []
    for number in range(customers):
        name = f"customer-{number:05d}"
        changes.append(RegistryChange("customer", name, "register", since))
        changes.append(RegistryChange("plan_assignment", name, "assign", since, {"plan": PLAN}))
        changes.append(RegistryChange("project", f"{name}/p", "register", since))
    pipeline.seed = tuple(changes)
    files: list[Path] = []
    days = [FIRST + timedelta(days=number) for number in range(USAGE_DAYS)]
    with pipeline.engine.session() as session:
        for day in days:
            path = pipeline.lake.new_file(USAGE_ROLLUPS)
            _define(session, _rollups(day, customers))
            session.write(USAGE_ROLLUPS, "made_rows", path)
            files.append(path)
    pipeline.lake.replace(USAGE_ROLLUPS, [PartitionKey(day, VERSION) for day in days], files)
    return pipeline


def _define(session: Any, query: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
        file.write(query)
        file.flush()
        session.define("made_rows", Path(file.name))


def _rollups(day: date, customers: int) -> str:
    """A row for each customer and price: SQL."""
    from billing_pipeline.schemas.tables import USAGE_ROLLUPS

    values: Mapping[str, str] = {
        "posting_day": f"DATE '{day}'",
        "usage_day": f"DATE '{day}'",
        "rule_version": f"'{VERSION}'",
        "kind": "'usage'",
        "customer_id": "printf('customer-%05d', n)",
        "project_id": "'p'",
        "meter": f"'{METER}'",
        "unit": "'token'",
        "dimensions": """'{"model":"' || model || '","token_class":"' || token_class || '"}'""",
        "quantity": f"1000 + (n * 7919 + {day.day} * 104729) % 900000",
        "event_count": "10",
    }
    chosen = ", ".join(
        f"CAST({values.get(column.name, 'NULL')} AS {column.type}) AS {column.name}"
        for column in USAGE_ROLLUPS.columns
    )
    return (
        f"SELECT {chosen} FROM range({customers}) AS made(n), unnest({list(MODELS)}) AS models(model), "
        f"unnest({list(CLASSES)}) AS classes(token_class) "
        f"ORDER BY {', '.join(USAGE_ROLLUPS.order_by)}"
    )


def _one_statement(pipeline: "Pipeline") -> dict[str, int]:
    """Cents by customer: sums by price, times the price, rounded half up, by one statement over the same files."""
    import duckdb

    from billing_pipeline.schemas.tables import USAGE_ROLLUPS

    book = next(each for each in pipeline.books if each.version == VERSION)
    (charge,) = (each for each in book.plans[PLAN].charges if each.meter == METER)
    price: Any = charge.price
    table = price.table
    # Ten-thousandths of a dollar for a million tokens, so that all of it is whole numbers.
    prices = ", ".join(
        f"""('{{"model":"{model}","token_class":"{name}"}}', {int(table.prices[model, name].price.scaleb(4))})"""
        for model in MODELS
        for name in CLASSES
    )
    files = [str(file.path) for file in pipeline.lake.files(USAGE_ROLLUPS)]
    rows = duckdb.execute(
        f"""
        WITH prices (dimensions, per_million) AS (VALUES {prices}),
        sums AS (
            SELECT customer_id, dimensions, sum(quantity)::BIGINT AS quantity
            FROM read_parquet({files}) GROUP BY ALL
        )
        SELECT customer_id, sum((quantity * per_million + 50000000) // 100000000)::BIGINT
        FROM sums JOIN prices USING (dimensions) GROUP BY ALL
        """
    ).fetchall()
    return dict(rows)


if __name__ == "__main__":
    main()
