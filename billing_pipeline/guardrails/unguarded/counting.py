"""Decides what of the log is counted as unguarded: each event once, and not at all where the guard knows it.

The guard knows an event by its identity: a settle sends its usage through the outbox, into the log as producer `guard`.
Whichever of the two comes first, the product's own event or the guard's, in the end it was counted once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from billing_pipeline.errors import GuardRequestError, UnpricedUsageError
from billing_pipeline.guardrails.commands import UnguardedEntry
from billing_pipeline.guardrails.ports import Pricer, TermsBook
from billing_pipeline.guardrails.terms import Terms
from billing_pipeline.guardrails.unguarded.seen_usage import Payer, SeenUsage

DAY_US = 86_400_000_000
LATE_WINDOW_DAYS = 35
"""Usage that is older when it is seen moves no counter any more, and what was seen is forgotten after so long."""
AHEAD_DAYS = 1
"""Usage that claims to be so far ahead is a wrong clock's."""
MINUTE_US = 60_000_000
NOTHING = "[]"

_ENTRIES = msgspec.json.Decoder(list[UnguardedEntry])
_ENCODER = msgspec.json.Encoder()

WatchedRow = tuple[str, str, bool, str]
"""Event key, customer, counted, entries as JSON: as `CountUnguarded.watched`."""


class Counting:
    """Gathers what one command is to count."""

    def __init__(
        self, known: Mapping[str, tuple[bool, str]], terms_book: TermsBook, pricer: Pricer, now_us: int
    ) -> None:
        """Begin with what is known.

        Args:
            known: of the events to come, those seen before: whether counted, and the entries as JSON.
            terms_book: whose plans say currency and period.
            pricer: what usage costs.
            now_us: UTC µs.
        """
        self._known = dict(known)
        self._terms_book = terms_book
        self._pricer = pricer
        self._now_us = now_us
        self._entries: dict[tuple[str, str, str | None, str, int, int], list[int]] = {}
        self._watched: dict[str, WatchedRow] = {}
        self._actions: set[tuple[str, str, str, int]] = set()
        self.skipped: Counter[str] = Counter()
        self.counted = 0
        self.taken_back = 0

    @property
    def entries(self) -> tuple[UnguardedEntry, ...]:
        """What is to be counted, a minute of a session together; what cancels out is left out."""
        return tuple(
            (customer_id, project_id, session_id, currency, latest, period, amount, calls)
            for (customer_id, project_id, session_id, currency, _, period), (
                latest,
                amount,
                calls,
            ) in self._entries.items()
            if amount or calls
        )

    @property
    def watched(self) -> tuple[WatchedRow, ...]:
        """What is to be remembered of events, each once."""
        return tuple(self._watched.values())

    def add_guarded(self, event: SeenUsage) -> None:
        """An event that the guard has sent: it was paid by its hold, so what it was counted for is taken back."""
        known = self._known.get(event.key)
        if known is not None and not known[0]:
            return
        if known is not None:
            self.taken_back += 1
            for customer_id, project_id, session_id, currency, at, period, amount, calls in _ENTRIES.decode(
                known[1]
            ):
                self._count((customer_id, project_id, session_id, currency, at, period, -amount, -calls))
        self._remember(event, counted=False, entries=NOTHING)

    def add(self, event: SeenUsage) -> None:
        """An event that others have sent. Redelivered, or known to the guard, it counts no more."""
        if event.key in self._known:
            return
        if not event.is_billable:
            self.skipped["not_billable"] += 1
            return
        age_us = self._now_us - event.occurred_at
        if not -AHEAD_DAYS * DAY_US <= age_us <= LATE_WINDOW_DAYS * DAY_US:
            self.skipped["other_time"] += 1
            return
        entries = [entry for payer in event.payers for entry in self._priced(event, payer)]
        if not entries:
            return
        self.counted += 1
        for entry in entries:
            self._count(entry)
        self._remember(event, counted=True, entries=_ENCODER.encode(entries).decode())

    def _priced(self, event: SeenUsage, payer: Payer) -> Iterable[UnguardedEntry]:
        terms = self._terms_book.terms(payer.customer_id, payer.project_id, event.occurred_at)
        if not isinstance(terms, Terms):
            self.skipped[terms.rule] += 1
            return
        try:
            amount = self._pricer.actual(
                payer.customer_id, payer.project_id, [payer.usage], event.occurred_at
            )
        except UnpricedUsageError:
            self.skipped["unpriced"] += 1
            return
        except GuardRequestError:
            self.skipped["not_possible"] += 1
            return
        # An action makes several events: one for each class of its tokens. They share trace and instant.
        action = (payer.customer_id, payer.project_id, event.correlation_id, event.occurred_at)
        calls = 0 if action in self._actions else 1
        self._actions.add(action)
        yield (
            payer.customer_id,
            payer.project_id,
            event.session_id,
            terms.currency,
            event.occurred_at,
            terms.period_starts_at,
            amount,
            calls,
        )

    def _count(self, entry: UnguardedEntry) -> None:
        customer_id, project_id, session_id, currency, at, period, amount, calls = entry
        key = (customer_id, project_id, session_id, currency, at - at % MINUTE_US, period)
        sums = self._entries.setdefault(key, [at, 0, 0])
        sums[0] = max(sums[0], at)
        sums[1] += amount
        sums[2] += calls

    def _remember(self, event: SeenUsage, *, counted: bool, entries: str) -> None:
        self._known[event.key] = (counted, entries)
        self._watched[event.key] = (event.key, event.payers[0].customer_id, counted, entries)
