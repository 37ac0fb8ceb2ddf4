"""Watches how fast customers and projects spend, and pauses what has run away, with the evidence for people to decide.

All it goes by is in the control database, so it may be started anew at any time, and on several machines: what was
paused or resumed is not judged again by what was spent before.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from billing_pipeline.control.clock import now_us
from billing_pipeline.guardrails.commands import Stop
from billing_pipeline.guardrails.ports import Ledger, TermsBook
from billing_pipeline.guardrails.scope import customer_of, customer_scope, kind_of, project_of
from billing_pipeline.guardrails.terms import Terms, VelocityTerms
from billing_pipeline.guardrails.velocity.baseline import LONG_MINUTES
from billing_pipeline.guardrails.velocity.detector import judge, may_be_too_much
from billing_pipeline.guardrails.velocity.pausing import pause_of
from billing_pipeline.guardrails.velocity.series import MINUTE_US, Minute
from billing_pipeline.guardrails.velocity.verdict import Verdict
from billing_pipeline.guardrails.watching.baselines import Baselines
from billing_pipeline.guardrails.watching.reading import (
    ScopeKey,
    active_minutes,
    agreed_minute,
    recent_minutes,
    stops,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

ANSWER_SECONDS = 30.0
"""How long the ledger is waited for."""

Minutes = Mapping[ScopeKey, Sequence[Minute]]


class _Stops(NamedTuple):
    """What is stopped, and when each scope was last paused or resumed (UTC µs)."""

    stopped: set[str]
    paused_at: dict[str, int]


class VelocityWatch:
    """Judges every customer and project that has spent in the last minutes; `run_once` every few seconds."""

    def __init__(
        self, control: "Engine", ledger: Ledger, terms_book: TermsBook, clock: Callable[[], int] = now_us
    ) -> None:
        self._control = control
        self._ledger = ledger
        self._terms_book = terms_book
        self._clock = clock
        self._baselines = Baselines(control)

    def run_once(self) -> int:
        """Judge once, and pause what has run away; returns how many pauses were set.

        Raises:
            GuardUnavailableError: the ledger cannot be reached. What has run away still will have the next time.
        """
        now = self._clock()
        next_minute = now - now % MINUTE_US + MINUTE_US
        active = active_minutes(self._control, next_minute - LONG_MINUTES * MINUTE_US, next_minute)
        if not active:
            return 0
        self._baselines.begin_run()
        known = _Stops(*stops(self._control))
        by_customer: dict[str, dict[ScopeKey, Sequence[Minute]]] = {}
        for key in sorted(active):
            by_customer.setdefault(customer_of(key[0]), {})[key] = active[key]
        asked = [
            self._ledger.submit(stop)
            for minutes in by_customer.values()
            for stop in self._pauses(minutes, known, now)
        ]
        return sum(future.result(ANSWER_SECONDS).changed for future in asked)

    def _pauses(self, minutes: Minutes, known: _Stops, now: int) -> Iterator[Stop]:
        """The pauses that one customer calls for: of projects that have run away, or of all of it where none has."""
        projects = [key for key in minutes if kind_of(key[0]) == "project"]
        whole = customer_scope(customer_of(next(iter(minutes))[0]))
        if not projects or whole in known.stopped:
            return
        # The plan is the customer's, so any of its projects tells it.
        terms = self._terms_book.terms(customer_of(whole), project_of(projects[0][0]), now)
        if not isinstance(terms, Terms):
            return
        projects = [key for key in projects if key[0] not in known.stopped and key[1] == terms.currency]
        found = [
            (key, verdict) for key in projects for verdict in self._runaway(key, minutes, known, terms, now)
        ]
        if not found:
            key = (whole, terms.currency)
            for verdict in self._runaway(key, minutes, known, terms, now):
                found = [(_cause(verdict, minutes, projects) or key, verdict)]
        for key, verdict in found:
            series = recent_minutes(self._control, key, now)
            yield pause_of(*key, verdict, terms.velocity, series=series, now_us=now)

    def _runaway(
        self, key: ScopeKey, minutes: Minutes, known: _Stops, terms: Terms, now: int
    ) -> Iterator[Verdict]:
        """The verdict on one scope, where it pauses."""
        scope = key[0]
        # What a pause has answered already, of the scope or of one around or within it, is not held against it again.
        concerned = (
            [each for each, _ in minutes]
            if kind_of(scope) == "customer"
            else [customer_scope(customer_of(scope))]
        )
        answered = max(known.paused_at.get(each, 0) for each in [scope, *concerned])
        recent = [minute for minute in minutes.get(key, ()) if minute.starts_at > answered]
        if not may_be_too_much(recent, terms.velocity):
            return
        velocity = _with_agreed(terms.velocity, agreed_minute(self._control, key))
        verdict = judge(recent, self._baselines.of(key, now), velocity, now)
        if verdict.pauses:
            yield verdict


def _with_agreed(terms: VelocityTerms, agreed: int | None) -> VelocityTerms:
    """The terms where people have agreed to so much in a minute."""
    if agreed is None:
        return terms
    most = terms.spend_per_minute
    return replace(
        terms,
        spend_per_minute=None if most is None else max(most, agreed),
        least_spend_per_minute=max(terms.least_spend_per_minute, agreed),
    )


def _cause(verdict: Verdict, minutes: Minutes, projects: Sequence[ScopeKey]) -> ScopeKey | None:
    """The one project without which its customer would have spent no more than it may; None where there is none."""
    until = verdict.since + verdict.minutes * MINUTE_US
    spent = {
        key: sum(minute.most for minute in minutes[key] if verdict.since <= minute.starts_at < until)
        for key in projects
    }
    most = max(spent, key=lambda key: (spent[key], key), default=None)
    return most if most is not None and verdict.observed - spent[most] <= verdict.threshold else None
