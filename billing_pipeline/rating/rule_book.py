"""The rule book: one immutable version of all rules. Values only; reading YAML is `rule_book_yaml`'s part."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Literal

from billing_pipeline.rating.charge_models.price import Price
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.plan_terms.commitment import Maximum, Minimum
from billing_pipeline.rating.plan_terms.coupon import Coupon
from billing_pipeline.rating.plan_terms.discount import Discount
from billing_pipeline.rating.plan_terms.flat_fee import FlatFee

Aggregation = Literal["sum", "count", "max", "latest", "unique_count", "time_weighted_sum"]
ADDITIVE: frozenset[Aggregation] = frozenset({"sum", "count"})
"""What these meter of two sets of events is the sum of what they meter of each."""
DISTINCT_FIELDS = ("user_id", "session_id", "correlation_id")
DISTINCT_DIMENSION = "dimensions."
LatePolicy = Literal["adjust", "reject"]
ConflictPolicy = Literal["report", "block_customer"]


@dataclass(frozen=True)
class Meter:
    """What is counted and how.

    Attributes:
        unit: only billable events of this unit are taken.
        aggregation: `sum` adds quantities, `count` counts events. The others look at a usage day as a whole: `max` and
            `latest` quantity, `unique_count` of the values of `distinct`, `time_weighted_sum`: quantity × seconds.
        group_by: dimensions that stay apart in the rollup, at most 8; in the order of the rule book.
        filter: per dimension the values that are taken; a dimension not named takes all.
        distinct: what `unique_count` counts the values of: a field of `DISTINCT_FIELDS`, or `dimensions.NAME`.
    """

    name: str
    unit: str
    aggregation: Aggregation
    group_by: tuple[str, ...] = ()
    filter: Mapping[str, frozenset[str]] = field(default_factory=dict)
    distinct: str | None = None

    @property
    def is_additive(self) -> bool:
        """Whether events add to the quantity one by one, whatever else there is."""
        return self.aggregation in ADDITIVE


@dataclass(frozen=True)
class Charge:
    """A priced quantity: what the meter counted, at this price."""

    name: str
    meter: str
    price: Price
    description: str = ""


PlanTerm = Discount | Minimum | Maximum
"""A term around charges: it makes a line of its own, from the rounded lines it applies to."""
_ORDER: Mapping[type, int] = {Discount: 0, Minimum: 1, Maximum: 2}


@dataclass(frozen=True)
class Plan:
    """What a customer agreed to: charges in one currency (ISO 4217, lower case). An add-on is one, too.

    Attributes:
        not_charged: meters left free on purpose; usage of any other meter without a charge is unpriced.
        flat_fees: fees per usage period, whatever is used.
        terms: discounts, minimums and maximums; their scopes are nested or apart.
        trial_days: free days from the first day on which a customer has the plan.
    """

    name: str
    currency: str
    charges: tuple[Charge, ...]
    not_charged: frozenset[str] = frozenset()
    flat_fees: tuple[FlatFee, ...] = ()
    terms: tuple[PlanTerm, ...] = ()
    trial_days: int = 0
    description: str = ""

    @cached_property
    def charge_names(self) -> frozenset[str]:
        """All charges and flat fees, which is what terms may apply to."""
        return frozenset([*(charge.name for charge in self.charges), *(fee.name for fee in self.flat_fees)])

    @cached_property
    def has_period_terms(self) -> bool:
        """Whether anything but the usage's own price may be due: fees, terms, or what zero usage costs."""
        prices = [charge.price for charge in self.charges]
        return bool(self.flat_fees or self.terms) or any(price.of_zero() for price in prices)

    @cached_property
    def terms_in_order(self) -> tuple[PlanTerm, ...]:
        """As they are applied: narrow scopes first; within a scope discounts, minimums, maximums, as listed."""
        width = len(self.charge_names) + 1
        return tuple(sorted(self.terms, key=lambda term: (len(term.applies_to) or width, _ORDER[type(term)])))

    def charge(self, name: str) -> Charge | None:
        """The charge of this name, or None."""
        return next((charge for charge in self.charges if charge.name == name), None)

    @cached_property
    def charges_by_meter(self) -> Mapping[str, tuple[Charge, ...]]:
        """All charges that take a meter's quantity."""
        found: dict[str, tuple[Charge, ...]] = {}
        for charge in self.charges:
            found[charge.meter] = (*found.get(charge.meter, ()), charge)
        return found


@dataclass(frozen=True)
class ClosePolicy:
    """When a day closes and what happens to what comes later.

    Attributes:
        grace_minutes: 0 to 4,320 (72 h) after midnight UTC.
        late_window_days: how long after its usage day's close an event is still taken.
        dedup_window_days: how far back identity is looked up; None is unlimited.
        conflict_policy: whether one id sent with different contents is reported or blocks the customer.
    """

    grace_minutes: int = 60
    late_window_days: int = 35
    late_policy: LatePolicy = "adjust"
    dedup_window_days: int | None = None
    conflict_policy: ConflictPolicy = "report"


@dataclass(frozen=True)
class RuleBook:
    """One version of all rules, in force from `effective_from` (UTC) until the next version starts."""

    version: str
    effective_from: datetime
    content_hash: str
    units: frozenset[str]
    meters: Mapping[str, Meter]
    plans: Mapping[str, Plan]
    add_ons: Mapping[str, Plan] = field(default_factory=dict)
    coupons: Mapping[str, Coupon] = field(default_factory=dict)
    price_tables: Mapping[str, PriceTable] = field(default_factory=dict)
    close_policy: ClosePolicy = field(default_factory=ClosePolicy)


@dataclass(frozen=True)
class RuleBooks:
    """All versions, in the order in which they come into force."""

    books: tuple[RuleBook, ...]

    def __post_init__(self) -> None:
        starts = [book.effective_from for book in self.books]
        assert starts == sorted(set(starts)), "versions are ordered and start at different instants"  # noqa: S101 - a bug of the caller, not of the data

    def __iter__(self) -> Iterator[RuleBook]:
        return iter(self.books)

    def __len__(self) -> int:
        return len(self.books)

    @cached_property
    def _starts(self) -> list[datetime]:
        return [book.effective_from for book in self.books]

    @cached_property
    def with_period_terms(self) -> frozenset[str]:
        """The plans for which something but their usage may be due, under any version."""
        return frozenset(
            name for book in self.books for name, plan in book.plans.items() if plan.has_period_terms
        )

    @cached_property
    def with_trials(self) -> frozenset[str]:
        """The plans that have a free trial under any version."""
        return frozenset(name for book in self.books for name, plan in book.plans.items() if plan.trial_days)

    @cached_property
    def _by_version(self) -> Mapping[str, RuleBook]:
        return {book.version: book for book in self.books}

    def in_force(self, instant: datetime) -> RuleBook | None:
        """The version in force at an instant (aware), or None before the first."""
        index = bisect_right(self._starts, instant)
        return self.books[index - 1] if index else None

    def in_force_on(self, day: date) -> RuleBook | None:
        """The version in force at 00:00 UTC of a day, or None before the first."""
        return self.in_force(datetime.combine(day, time(), tzinfo=UTC))

    def get(self, version: str) -> RuleBook | None:
        """The version of this name, or None."""
        return self._by_version.get(version)
