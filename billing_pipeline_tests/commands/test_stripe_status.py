"""`billing stripe status`: what it tells of the outbox, and when a person is needed."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from billing_pipeline.control.database import open_control
from billing_pipeline.errors import StripeRefusedError, StripeUnreachableError
from billing_pipeline.invoicing.push.invoice_push import PushRules, push_invoices
from billing_pipeline.invoicing.push.outbox_status import outbox_status
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway


def _invoice(customer_id: str) -> PlannedInvoice:
    line = PlannedLine(line_id=f"{customer_id}-1", description="Usage", amount_minor=100, quantity_text="")
    return PlannedInvoice(
        customer_id=customer_id,
        customer_name=customer_id,
        billing_period=date(2026, 10, 1),
        currency="usd",
        lines=(line,),
    )


class _Failing:
    """A gateway whose drafts fail in one way."""

    def __init__(self, inner: StripeGateway, error: Exception) -> None:
        self._inner = inner
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == "create_invoice" else getattr(self._inner, name)

    def _fail(self, *_arguments: object) -> None:
        raise self._error


def _push(engine: Engine, path: Path) -> None:
    """One is final, one is held, one met a lost connection, one was refused."""
    with running_simulator(path) as address:
        gateway = StripeGateway("sk_test_status", address)
        push_invoices(engine, gateway, [_invoice("final")])
        push_invoices(engine, gateway, [_invoice("held")], rules=PushRules(hold=lambda _invoice: "wait"))
        for customer_id, error in (
            ("lost", StripeUnreachableError("create invoice", "the connection was lost")),
            ("refused", StripeRefusedError("create invoice", "no such currency", 400)),
        ):
            failing: Any = _Failing(gateway, error)
            push_invoices(engine, failing, [_invoice(customer_id)], sleep=lambda _seconds: None)
        gateway.close()


def test_the_status_names_what_is_unfinished_and_why(migrated_url: str, tmp_path: Path) -> None:
    """On both databases: counts by state, the last request of each, and who needs somebody."""
    engine = open_control(migrated_url)
    _push(engine, tmp_path / "simulator.sqlite")
    found = outbox_status(engine)
    engine.dispose()
    assert {(what, state): count for (_, what, state), count in found.counts.items()} == {
        ("invoice", "planned"): 2,
        ("invoice", "reconciled"): 1,
        ("invoice", "verified"): 1,
    }
    told = {each.subject.split("/")[0]: each for each in found.unfinished}
    assert (told["held"].state, told["held"].failure, told["held"].needs_somebody) == ("verified", "", False)
    assert (told["lost"].last_request, told["lost"].needs_somebody) == ("create_invoice", False)
    refused = told["refused"]
    assert (refused.last_request, refused.failure_kind, refused.needs_somebody) == (
        *("create_invoice", "refused"),
        True,
    )


@pytest.fixture
def command(
    in_process: Callable[[Sequence[object], Mapping[str, str]], Any], tmp_path: Path
) -> Callable[..., Any]:
    """Runs `billing stripe status` on a home of its own."""
    return lambda *words: in_process(("stripe", "status", *words), {"BILLING_HOME": str(tmp_path / "home")})


def test_the_command_ends_with_status_1_where_somebody_is_needed(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    """Before the first push there is nothing to say; a refusal turns the status."""
    nothing = command()
    assert (nothing.returncode, "Nothing has been planned" in nothing.stdout) == (0, True)
    engine = open_control(f"sqlite:///{tmp_path / 'home' / 'control.sqlite'}?timeout=60")
    _push(engine, tmp_path / "simulator.sqlite")
    engine.dispose()
    done = command()
    assert done.returncode == 1
    assert "needs somebody" in done.stdout
    content = json.loads(command("--json").stdout)
    assert [each["needs_somebody"] for each in content["unfinished"]].count(True) == 1
