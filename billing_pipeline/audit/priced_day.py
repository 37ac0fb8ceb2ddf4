"""What the holds and the events of one usage day cost by themselves."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from billing_pipeline.audit.guard_day import GuardDay, SentEvent, SettledHold
from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.errors import UnpricedUsageError
from billing_pipeline.guardrails.pricing.usage_pricer import UsagePricer
from billing_pipeline.guardrails.reconciliation.day import HoldFigures, LogFigures
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.metering.calendar import start_of
from billing_pipeline.rating.rule_book import RuleBooks

_DIMENSIONS = msgspec.json.Decoder(dict[str, str])


class PricedDay:
    """What holds and events of one usage day cost by themselves."""

    def __init__(self, day: date, books: RuleBooks, prices: UsagePricer) -> None:
        self._day = day
        self._books = books
        self._prices = prices

    def holds(self, guarded: GuardDay, counted: set[tuple[str, str]]) -> dict[str, dict[str, HoldFigures]]:
        """By customer and currency."""
        found: dict[str, dict[str, HoldFigures]] = {}
        for hold in guarded.holds:
            figures = self._hold(hold, guarded.sent.get(hold.hold_id, []), counted)
            of_customer = found.setdefault(hold.customer_id, {})
            known = of_customer.get(hold.currency, HoldFigures())
            of_customer[hold.currency] = HoldFigures(*map(sum, zip(known, figures, strict=True)))
        return found

    def _hold(
        self, hold: SettledHold, sent: Sequence[SentEvent], counted: set[tuple[str, str]]
    ) -> HoldFigures:
        overrun = max(hold.booked - hold.amount, 0)
        if not sent:
            return HoldFigures(
                booked_by_amount=hold.booked, overrun=overrun, overdraft=hold.overdraft, holds=1
            )
        costs = [
            self._cost(each.customer_id, each.project_id, [each.usage], hold.granted_at) for each in sent
        ]
        return HoldFigures(
            booked=hold.booked,
            overrun=overrun,
            overdraft=hold.overdraft,
            priced=self._cost(
                hold.customer_id, hold.project_id, [each.usage for each in sent], hold.granted_at
            ),
            events=sum(costs),
            missing=sum(
                cost for each, cost in zip(sent, costs, strict=True) if (each.source, each.id) not in counted
            ),
            holds=1,
        )

    def log(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, LogFigures]:
        """By customer, from the rows of `day_events.sql`."""
        found: dict[str, LogFigures] = {}
        for customer_id, project_id, unit, quantity, dimensions, version, kind, events in rows:
            usage = Usage(unit=unit, quantity=f"{quantity:f}", dimensions=_DIMENSIONS.decode(dimensions))
            amount = self._cost(customer_id, project_id, [usage], self._instant(version)) * events
            known = found.get(customer_id, LogFigures())
            if kind in {"taken_back", "put_in_place"}:
                known = known._replace(
                    corrected=known.corrected + (amount if kind == "put_in_place" else -amount)
                )
            else:
                known = known._replace(**{kind: getattr(known, kind) + amount})
            found[customer_id] = known._replace(events=known.events + events)
        return found

    def _instant(self, version: str) -> int:
        """An instant of the day at which a rule version is in force."""
        book = self._books.get(version)
        start = start_of(self._day)
        return start if book is None else max(start, microseconds_of(book.effective_from))

    def _cost(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:
        try:
            return self._prices.actual(customer_id, project_id, usage, at_us)
        except UnpricedUsageError:
            return (
                0  # it is rated at nothing either: its customer's invoice is held back until it has a price
            )
