"""Why a group of usage is charged for another quantity than was metered: what its takers should be charged for."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from billing_pipeline.audit.rated_days import KnownAgreements
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.holdings import Holdings, Rules
from billing_pipeline.rating.money import EXACT
from billing_pipeline.rating.takers import Taken, taken
from billing_pipeline.schemas.table import Column, ColumnType

SQL = Path(__file__).parent / "sql"
GROUP_COLUMNS = (
    *(
        Column(name, ColumnType.DAY if name == "usage_period" else ColumnType.TEXT, "of the group")
        for name in (
            "customer_id",
            "usage_period",
            "project_id",
            "meter",
            "unit",
            "dimensions",
            "rule_version",
        )
    ),
    Column("last_day", ColumnType.DAY, "of its usage period"),
)
Group = tuple[Any, ...]
TakerKey = tuple[str, str, str]
"""Plan, charge, term."""


class GroupCauses:
    """Causes of differences between rollups and charges.

    Args:
        workshop: the lake and the rules.
        session: has the relations `rollups` and `charged`.
        agreements: what is known of the customers.
        blocked: by customer whose invoice is held back: the reasons.
        rated: (customer, usage period) of what the invoices of the day have rated.
    """

    def __init__(
        self,
        workshop: Workshop,
        session: Session,
        agreements: KnownAgreements,
        blocked: Mapping[str, object],
        rated: Collection[tuple[object, object]],
    ) -> None:
        self._books = workshop.books
        self._session = session
        self._agreements = agreements
        self._blocked = blocked
        self._rated = rated
        self._holdings: dict[tuple[str, date], tuple[Holdings, Rules]] = {}
        self._postings: dict[Group, list[tuple[date, date, Decimal]]] = {}
        self._booked: dict[Group, dict[TakerKey, date]] = {}

    def look_at(self, groups: Sequence[Group]) -> None:
        """Read what is needed to explain these groups."""
        if not groups:
            return
        self._session.load("differing", GROUP_COLUMNS, groups)
        postings: list[tuple[Any, ...]] = self._session.rows((SQL / "group_postings.sql").read_text("utf-8"))
        for *group, usage_day, posting_day, quantity in postings:
            self._postings.setdefault(tuple(group), []).append((usage_day, posting_day, quantity))
        bookings: list[tuple[Any, ...]] = self._session.rows((SQL / "group_bookings.sql").read_text("utf-8"))
        for *group, plan, charge, term, as_of in bookings:
            self._booked.setdefault(tuple(group), {})[plan, charge, term] = as_of

    def of(self, group: Group, metered: Decimal, charged: Decimal) -> str:
        """Why the two quantities of a group differ."""
        group = tuple(group)
        customer_id, usage_period = group[0], group[1]
        if customer_id in self._blocked:
            return "blocked"
        if (customer_id, usage_period) not in self._rated:
            return "unexplained"
        now = self._due(group, up_to_last_line=False)
        if now is None:
            return "unexplained"
        if charged == now:
            return "several_charges" if charged > metered > 0 else "not_charged"
        return "no_amount" if charged == self._due(group, up_to_last_line=True) else "unexplained"

    def _due(self, group: Group, *, up_to_last_line: bool) -> Decimal | None:
        """What all takers together should be charged for; with what was posted by each line key's last line, or all.

        None where some of the usage has no price.
        """
        total = Decimal()
        booked = self._booked.get(group, {})
        for usage_day, posting_day, quantity in self._postings.get(group, ()):
            found = self._taken(group, usage_day)
            if found.fault is not None:
                return None
            for taker in found.takers:
                last = booked.get((taker.plan, taker.charge, taker.term), date.min)
                if not up_to_last_line or posting_day <= last:
                    total = EXACT.add(total, quantity)
        return total

    def _taken(self, group: Group, usage_day: date) -> Taken:
        customer_id, usage_period, _, meter, _, dimensions, rule_version = group
        known = self._holdings.get((customer_id, usage_period))
        if known is None:
            agreement = self._agreements.of(customer_id, usage_period)
            rerating = agreement.rerating_of(usage_period)
            rules = Rules(self._books, rerating.rules if rerating else None)
            known = self._holdings[customer_id, usage_period] = (Holdings(agreement, rules), rules)
        holdings, rules = known
        return taken(rules, rule_version, meter, holdings.on(usage_day), dimensions)
