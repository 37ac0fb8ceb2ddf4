"""The terms of the guard's stories, and a writer over a control database by the database's own clock."""

from multiprocessing import parent_process
from typing import Any

from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.store.opening import open_store
from billing_pipeline.guardrails.terms import LimitTerm, Terms
from billing_pipeline_tests.guardrails.made_ledger import PriceByUnit, TermsByCustomer, made_terms

SWEEP_SECONDS = 0.5
NO_END_US = 1 << 60


def lasting_terms(**fields: object) -> Terms:
    """Terms whose billing period never ends, so that no story depends on the day on which it runs."""
    return made_terms(period_starts_at=0, period_ends_at=NO_END_US, **fields)


def hard(scope_kind: str, window: str, amount: int) -> LimitTerm:
    """A plan's hard limit."""
    return LimitTerm(scope_kind, window, "hard", amount)  # type: ignore[arg-type]  # a story's own literals


def open_writer(url: str, terms: TermsByCustomer) -> LedgerWriter:
    """One more writer; in another process, or beside others in this one."""
    return LedgerWriter(open_store(url), terms, PriceByUnit(), sweep_seconds=SWEEP_SECONDS)


def is_over(stopping: Any) -> bool:
    """Whether a process is to end: it was told so by an event, or who has started it is gone."""
    parent = parent_process()
    return stopping.is_set() or (parent is not None and not parent.is_alive())
