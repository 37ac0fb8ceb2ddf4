"""The customers of a process that runs long: read again beside the work."""

import threading
from pathlib import Path

import pytest

from billing_pipeline.contract.registry import Registry
from billing_pipeline.guardrails.customers.current_customers import CurrentCustomers
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline_tests.guardrails.made_customers import MadeCustomers, acme, made_books

PATIENCE_SECONDS = 30.0


@pytest.fixture
def books(tmp_path: Path) -> RuleBooks:
    """One rule book."""
    text = "version: v1\neffective_from: 2026-01-01T00:00:00Z\nunits: [call]\nmeters: {}\nplans: {}"
    return made_books(tmp_path, text)


def test_the_same_registry_keeps_what_was_found(books: RuleBooks) -> None:
    """Only a changed one is swapped in, whole."""
    customers = MadeCustomers(books, acme())
    days = customers.days
    assert not customers.refresh()
    assert customers.days is days
    customers.change(*acme(projects=("q",)))
    assert customers.refresh()
    assert customers.days is not days
    assert customers.days.registry is customers.registry


def test_a_registry_that_cannot_be_read_leaves_what_is_known(books: RuleBooks) -> None:
    """It is told, and read again: a look in vain wakes the thread, which survives."""
    known = Registry(acme())
    answers: list[Registry | Exception] = [known, OSError("away"), Registry(acme(projects=("q",)))]
    customers = CurrentCustomers(lambda: _next(answers), Rules(books))
    told: list[Exception] = []
    failed, swapped = threading.Event(), threading.Event()

    def note(error: Exception) -> None:
        told.append(error)
        failed.set()

    with customers:
        customers.keep_current(note, refresh_seconds=3600, soon_seconds=0.01)
        customers.look_again()
        assert failed.wait(PATIENCE_SECONDS)
        assert customers.days.registry is known
        customers.look_again()
        while customers.days.registry is known and not swapped.wait(0.01):
            pass
    assert [str(error) for error in told] == ["away"]
    assert customers.days.registry.has_project("acme", "q")


def _next(answers: list[Registry | Exception]) -> Registry:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer
