"""What a usage period costs beside its usage: fees, zero usage, then the terms and coupons, each a line of its own.

A term is taken from the rounded lines within its scope, the lines of terms before it included. So an invoice can be
checked with pen and paper: every line is a sum, a percentage or a difference of lines above it.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from billing_pipeline.rating.agreement import Stretch
from billing_pipeline.rating.charge_models.price import Part, Priced
from billing_pipeline.rating.charges import (
    TRIAL,
    Component,
    LineKey,
    RatedCharge,
    Unpriced,
    UnpricedReason,
)
from billing_pipeline.rating.money import (
    EXACT,
    format_minor,
    minor_exponent,
    negated,
    plain,
    round_minor,
    shown_ratio,
    times,
)
from billing_pipeline.rating.plan_terms.commitment import Maximum, Minimum
from billing_pipeline.rating.plan_terms.discount import Discount, off_text, taken_off
from billing_pipeline.rating.plan_terms.flat_fee import PERIOD, FlatFee
from billing_pipeline.rating.plan_terms.override import FaultyOverride, overridden_terms
from billing_pipeline.rating.rule_book import Plan, PlanTerm
from billing_pipeline.rating.stretches import Stretches

Phase = Literal["in_advance", "running", "final"]
NO_DIMENSIONS = "{}"
_ZERO = Decimal()
_COMPONENTS: Mapping[type, Component] = {Discount: "discount", Minimum: "minimum", Maximum: "maximum"}


class Scoped(NamedTuple):
    """A line with the names of the charges and fees that it is about."""

    charge: RatedCharge
    scope: frozenset[str]


def period_lines(
    rated: Sequence[RatedCharge], stretches: Stretches, phase: Phase
) -> tuple[list[RatedCharge], list[Unpriced]]:
    """The charges of a usage period with what comes beside usage, and plans that have no terms."""
    agreement = stretches.agreement
    faults: list[Unpriced] = []
    lines = [Scoped(charge, frozenset([charge.key.charge])) for charge in rated]
    for stretch in stretches:
        opening = stretches.rules.books.in_force_on(stretch.first_day)
        if opening is None:
            continue
        plan = stretches.plan(stretch)
        if plan is None:
            missing: UnpricedReason = (
                "add_on_not_in_rule_book" if stretch.is_add_on else "plan_not_in_rule_book"
            )
            faults.append(_no_terms(stretches, stretch, opening.version, missing))
            continue
        of_plan = _PlanLines(stretches, stretch, plan, opening.version)
        mine = [line for line in lines if line.charge.key.plan == plan.name]
        made = of_plan.fees(mine, phase)
        terms = overridden_terms(plan, agreement.overrides_on(plan.name, stretch.first_day))
        if isinstance(terms, FaultyOverride):
            faults.append(_no_terms(stretches, stretch, opening.version, "override_faulty"))
            continue
        lines += made
        lines += of_plan.apply(terms, [*mine, *made], phase)
    lines += _coupons(lines, stretches)
    return [line.charge for line in lines], faults


class _PlanLines:
    """The lines of one plan's stretch of a usage period."""

    def __init__(self, stretches: Stretches, stretch: Stretch, plan: Plan, version: str) -> None:
        self._stretches = stretches
        self._stretch = stretch
        self._plan = plan
        self._version = version

    def fees(self, lines: Iterable[Scoped], phase: Phase) -> list[Scoped]:
        """Flat fees, and what charges without any usage cost."""
        if not self._stretch.share:
            return []
        used = {line.charge.key.charge for line in lines if line.charge.key.term != TRIAL}
        due = [fee for fee in self._plan.flat_fees if phase == "final" or fee.pay == "in_advance"]
        made = [self._flat_fee(fee) for fee in due]
        for charge in self._plan.charges if phase == "final" else ():
            zero = charge.price.of_zero() if charge.name not in used else None
            if zero is not None:
                made.append(self._line("usage", charge.name, zero))
        return made

    def apply(self, terms: Iterable[PlanTerm], lines: Iterable[Scoped], phase: Phase) -> list[Scoped]:
        """Discounts, minimums and maximums, each from the lines before it."""
        made: list[Scoped] = []
        before = list(lines)
        for term in terms:
            if isinstance(term, Minimum) and phase != "final":
                continue
            scope = term.applies_to or self._plan.charge_names
            base = sum(line.charge.amount_minor for line in before if line.scope <= scope)
            line = self._term(term, scope, base)
            if line is not None:
                before.append(line)
                made.append(line)
        return made

    def _flat_fee(self, fee: FlatFee) -> Scoped:
        priced = fee.priced(self._stretch.share, self._stretch.quantity)
        return self._line("flat_fee", fee.name, priced, quantity=priced.parts[0].quantity)

    def _term(self, term: PlanTerm, scope: frozenset[str], base: int) -> Scoped | None:
        currency = self._plan.currency
        of = format_minor(base, currency)
        if isinstance(term, Discount):
            off = taken_off(term.percent, term.amount, base, currency)
            text = off_text(term.percent, term.amount)
            amount, tier = negated(off), f"{text} off {of}"
        else:
            share = self._stretch.share if term.prorate else Fraction(self._stretch.quantity)
            if not self._stretch.share:
                return None
            bound = times(term.amount, share)
            amount = _minus(bound, Decimal(base).scaleb(-minor_exponent(currency), EXACT))
            text = f"{plain(shown_ratio(Fraction(bound)))} {currency.upper()}"
            tier = f"{'at least' if isinstance(term, Minimum) else 'at most'} {text}, charged {of}"
            if (amount < 0) == isinstance(term, Minimum):
                return None
        if not amount:
            return None
        component = _COMPONENTS[type(term)]
        charge = next(iter(scope)) if len(scope) == 1 else ""
        parts = (Part(tier, _ZERO, text, _ZERO, amount),)
        return self._line(component, charge, Priced(amount, parts), term=term.name)._replace(scope=scope)

    def _line(
        self,
        component: Component,
        charge: str,
        priced: Priced,
        *,
        term: str = "",
        quantity: Decimal = _ZERO,
    ) -> Scoped:
        currency = self._plan.currency
        amount, parts = priced
        key = LineKey(
            customer_id=self._stretches.agreement.customer_id,
            project_id="",
            usage_period=self._stretches.usage_period,
            plan=self._plan.name,
            charge=charge,
            meter="",
            dimensions=NO_DIMENSIONS,
            rule_version=self._version,
            currency=currency,
            component=component,
            term=term,
        )
        unit = PERIOD if component == "flat_fee" else ""
        made = RatedCharge(key, unit, quantity, 0, amount, round_minor(amount, currency), parts)
        return Scoped(made, frozenset([charge]))


def _coupons(lines: Sequence[Scoped], stretches: Stretches) -> list[Scoped]:
    """What the customer's coupons for this usage period take off, in the order of their redemption."""
    agreement, books = stretches.agreement, stretches.rules.books
    made: list[Scoped] = []
    for redemption in agreement.redemptions:
        named, book = books.in_force_on(redemption.start), stretches.rules.opening_book(redemption.start)
        coupon = book.coupons.get(redemption.coupon) if book else None
        if named is None or coupon is None or coupon.once:
            continue
        if not coupon.holds_in(stretches.usage_period, redemption.start, agreement.anchor_day):
            continue
        if any(line.charge.key.term == coupon.name for line in made):
            continue  # redeemed twice
        for currency in sorted({line.charge.key.currency for line in lines}):
            if coupon.currency not in {"", currency}:
                continue
            base = sum(
                line.charge.amount_minor
                for line in [*lines, *made]
                if line.charge.key.currency == currency
                and (not coupon.applies_to or line.scope <= coupon.applies_to)
            )
            off = taken_off(coupon.percent, coupon.amount, base, currency)
            if off:
                text = off_text(coupon.percent, coupon.amount)
                tier = f"{text} off {format_minor(base, currency)}"
                amount = negated(off)
                charge = next(iter(coupon.applies_to)) if len(coupon.applies_to) == 1 else ""
                key = LineKey(
                    *(agreement.customer_id, "", stretches.usage_period, "", charge, "", NO_DIMENSIONS),
                    *(named.version, currency, "coupon", coupon.name),
                )
                parts = (Part(tier, _ZERO, text, _ZERO, amount),)
                minor = round_minor(amount, currency)
                scope = coupon.applies_to or frozenset([""])
                made.append(Scoped(RatedCharge(key, "", _ZERO, 0, amount, minor, parts), scope))
    return made


def _no_terms(stretches: Stretches, stretch: Stretch, version: str, reason: UnpricedReason) -> Unpriced:
    return Unpriced(
        *(stretches.agreement.customer_id, "", stretches.usage_period, stretch.plan, "", "", ""),
        *(NO_DIMENSIONS, version, _ZERO, reason),
    )


def _minus(one: Decimal | Fraction, other: Decimal) -> Decimal | Fraction:
    if isinstance(one, Decimal):
        return EXACT.subtract(one, other)
    return one - Fraction(other)
