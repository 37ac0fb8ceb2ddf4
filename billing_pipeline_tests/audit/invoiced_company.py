"""A company with an invoice in two currencies, free meters, a trial and a blocked customer, pushed to a simulator."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from billing_pipeline.audit.invoice_reconciliation.comparison import ReportRow
from billing_pipeline.audit.invoice_reconciliation.report import InvoiceReconciler
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.invoicing.period_close.push_stage import planned_invoices
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
from billing_pipeline.invoicing.push.invoice_push import PushResult, PushRules, push_invoices
from billing_pipeline.invoicing.push.planned import PlannedInvoice
from billing_pipeline.invoicing.simulator.store import Store
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.pipeline import Pipeline

FIRST, DAY, END = date(2026, 10, 1), date(2026, 10, 20), date(2026, 10, 31)
LATE, NEXT_END = date(2026, 11, 3), date(2026, 11, 30)
START, NOON, IN_NOVEMBER = "2026-10-01T02:00:00Z", "2026-10-20T12:00:00Z", "2026-11-03T12:00:00Z"
Entry = tuple[str, LogRecord]


def october(
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
) -> list[Entry]:
    """What the log has of October.

    acme changes from growth (USD) to enterprise (EUR), beta and zulu are on growth, free leaves tool calls free, tried
    is in a trial, stuck uses a model without a price.
    """
    tool = {"unit": "call", "dimensions": {"tool": "web_search"}, "quantity": "300"}
    names = {"acme": "growth", "beta": "growth", "zulu": "growth", "free": "starter", "stuck": "growth"}
    known = [record for name, plan in names.items() for record in registered(name, plan=plan)]
    known += registered("tried", plan=None)
    known.append(change("plan_assignment", "tried", "assign", FIRST, plan="growth", trial_days=90))
    known.append(change("plan_assignment", "acme", "assign", DAY, plan="enterprise"))
    used = [
        usage("a", "2026-10-05T12:00:00Z", quantity="1000000"),
        usage("b", NOON, quantity="1000000"),
        usage("c", NOON, customer_id="beta", quantity="2000000"),
        usage("z", NOON, customer_id="zulu", quantity="4000000"),
        usage("f1", NOON, customer_id="free", quantity="1000000"),
        usage("f2", NOON, customer_id="free", **tool),
        usage("t", NOON, customer_id="tried", quantity="5000000"),
        usage("s", NOON, customer_id="stuck", dimensions={"model": "unheard-of", "token_class": "output"}),
    ]
    return [(START, record) for record in known] + [(NOON, record) for record in used]


class InvoicedCompany:
    """The company, its Stripe, and what the reconciliation says."""

    def __init__(self, pipeline: Pipeline, control: Engine, gateway: StripeGateway, store: Path) -> None:
        self.pipeline = pipeline
        self.control = control
        self.gateway = gateway
        self._store = store
        self.policies = InvoicingPolicies()
        self.holds: Callable[[PlannedInvoice], str] = lambda _: ""

    def push(
        self, days: Sequence[date] = (END,), **rules: Callable[[PlannedInvoice], str]
    ) -> list[PushResult]:
        """Push the invoices of the days."""
        planned = planned_invoices(self.pipeline.workshop, days)
        return push_invoices(
            self.control, self.gateway, planned, rules=PushRules(**rules), sleep=lambda _: None
        )

    def reconciler(self) -> InvoiceReconciler:
        """Over this company's Stripe."""

        @contextmanager
        def connect() -> Iterator[StripeGateway]:
            yield self.gateway

        return InvoiceReconciler(self.pipeline.workshop, self.control, self.policies, connect, self.holds)

    def rows(self, comparison: str, customer_id: str | None = None, day: date = END) -> list[ReportRow]:
        """The rows of one comparison."""
        found = self.reconciler().rows([day], customer_id)
        return [row for row in found if row.comparison == comparison]

    def causes(self, comparison: str = "lines_stripe", day: date = END) -> dict[str, tuple[str, str]]:
        """By customer and currency, where there is one: causes and statuses, in the order of the rows."""
        found: dict[str, tuple[str, str]] = {}
        for row in self.rows(comparison, day=day):
            name = f"{row.customer_id} {row.currency}".strip()
            cause, status = found.get(name, ("", ""))
            found[name] = (f"{cause} {row.cause}".strip(), f"{status} {row.status}".strip())
        return found

    def edit(self, kind: str, object_id: str, **changes: object) -> None:
        """Change an object in Stripe behind everybody's back."""
        store = Store(self._store)
        with store.transaction() as transaction:
            body = transaction.get(kind, object_id)
            assert body is not None, object_id
            transaction.put(_edited(body, changes))
        store.close()

    def remove(self, object_id: str) -> None:
        """Let an object be gone from Stripe."""
        store = Store(self._store)
        with store.transaction() as transaction:
            transaction.delete(object_id)
        store.close()


def _edited(body: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    return {**body, **changes}
