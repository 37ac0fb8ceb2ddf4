"""`billing reconcile ledger`: differences by cause, credit on both sides, and true-ups booked by hand."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.pipeline import Pipeline
from billing_pipeline_tests.audit.guarded_company import GuardedCompany, tokens

FIRST, DAY, END = date(2026, 10, 1), date(2026, 10, 20), date(2026, 10, 31)
CENT = 10**7


@pytest.fixture
def guarded(pipeline: Pipeline) -> Iterator[GuardedCompany]:
    """Acme has prepaid a dollar and settled 12 cents; beta has settled what is in no log."""
    company = GuardedCompany(pipeline)
    company.grant(1)
    company.at("10-20T12:00").settled(tokens(10_000, source="app", id="a"))
    company.settled(amount=5, customer_id="beta")
    yield company
    company.close()


@pytest.fixture
def billing(guarded: GuardedCompany, in_process: Callable[..., Any]) -> Callable[..., Any]:
    """Runs the command on the company's home; what became of it."""
    settings = guarded.pipeline.settings
    variables = {
        "BILLING_HOME": str(settings.home),
        "BILLING_DATA": str(settings.data),
        "BILLING_TOML": str(settings.home / "none.toml"),
        "COLUMNS": "200",
    }
    return lambda *arguments: in_process(("reconcile", "ledger", *arguments), variables)


@pytest.fixture
def closed(
    guarded: GuardedCompany,
    registered: Callable[..., list[LogRecord]],
    usage: Callable[..., LogRecord],
    receive: Callable[..., None],
    close: Callable[..., Any],
) -> None:
    """October, with 6 cents that never asked."""
    entries = [("2026-10-01T02:00:00Z", record) for record in registered() + registered("beta")]
    entries += [("2026-10-20T12:01:00Z", record) for record in guarded.sent()]
    entries.append(("2026-10-20T13:00:00Z", usage("own", "2026-10-20T13:00:00Z", quantity="5000")))
    receive(guarded.pipeline, entries)
    close(guarded.pipeline, [FIRST, DAY, END])
    with guarded.pipeline.queue() as queue:
        queue.advance(1_793_500_000_000_000)


def test_a_guard_that_nobody_has_asked_has_nothing_to_compare(
    pipeline: Pipeline, in_process: Callable[..., Any]
) -> None:
    variables = {"BILLING_HOME": str(pipeline.settings.home), "BILLING_DATA": str(pipeline.settings.data)}
    done = in_process(("reconcile", "ledger", "--json"), variables)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"explained": True, "days": [], "credit": [], "true_ups": []}


@pytest.mark.usefixtures("closed")
def test_the_table_says_amounts_and_causes_in_words(billing: Callable[..., Any]) -> None:
    done = billing()
    assert done.returncode == 0, done.stderr
    (acme,) = [line for line in done.stdout.splitlines() if "2026-10-20" in line and "acme" in line]
    for words in ("0.12 USD", "0.18 USD", "0.06 USD", "unguarded 0.06 USD"):
        assert words in acme
    (beta,) = [line for line in done.stdout.splitlines() if "2026-10-20" in line and "beta" in line]
    assert "settled by amount -0.000000005 USD" in beta
    assert "Everything is explained." in done.stdout


@pytest.mark.usefixtures("closed")
def test_one_customer_and_some_days_as_json(billing: Callable[..., Any]) -> None:
    found = json.loads(
        billing("--customer", "acme", "--from", "2026-10-20", "--to", "2026-10-20", "--json").stdout
    )
    (day,) = found["days"]
    assert (day["customer_id"], day["guard_settled"], day["rated"]) == (
        "acme",
        str(12 * CENT),
        str(18 * CENT),
    )
    (credit,) = found["credit"]
    assert (credit["guard_left"], credit["invoices_left"]) == (str(88 * CENT), str(100 * CENT))
    assert credit["not_invoiced"] == str(12 * CENT)
    assert json.loads(billing("--from", "2026-10-21", "--to", "2026-10-22", "--json").stdout)["days"] == []


@pytest.mark.usefixtures("closed")
def test_true_ups_are_booked_once(billing: Callable[..., Any]) -> None:
    done = billing("--book-true-up", "2026-10")
    assert "true-up 2026-10-01 of acme: booked 0.06 USD" in done.stdout, done.stderr
    assert "true-up 2026-10-01 of beta: booked -0.000000005 USD" in done.stdout
    again = billing("--book-true-up", "2026-10-01")
    assert "true-up 2026-10-01 of acme: was booked before: 0.06 USD" in again.stdout


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(
    ("period", "told"),
    [
        ("soon", "'soon' names no period"),
        ("2026-10-15", "no customer whom the guard knows has a period that starts on 2026-10-15"),
        ("2026-11", "is not closed"),
    ],
)
def test_a_period_that_cannot_be_booked_is_refused(
    billing: Callable[..., Any], period: str, told: str
) -> None:
    done = billing("--book-true-up", period)
    assert done.returncode != 0
    assert told in " ".join(done.stderr.split())


@pytest.mark.usefixtures("closed")
def test_what_is_unexplained_is_status_1(
    billing: Callable[..., Any], guarded: GuardedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here because the rating is made to forget the day."""
    from billing_pipeline.audit import ledger_reconciliation

    monkeypatch.setattr(ledger_reconciliation, "rated_day", lambda *_: {})
    done = billing()
    assert done.returncode == 1
    assert "1 rows have an unexplained part" in done.stdout
    assert guarded.reconciled("20")["20 acme"]["unexplained"] == -18 * CENT
