"""Charge model `percentage`: a percentage of an amount of money, and a fixed fee for each event.

Without bounds a row's amount of money is its quantity, so any number of events are priced together. Bounds for each
event need each event's own amount: a dimension carries it, and rows are priced by that and their count of events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.rating.charge_models.amount_dimension import carried_amount, read_amount_dimension
from billing_pipeline.rating.charge_models.percent import percent_text, read_percent, share_of
from billing_pipeline.rating.charge_models.price import NoPrice, Part, PoolRow, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings, read_tier_by
from billing_pipeline.rating.charge_models.unit_price import read_price
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT, grouped, plain

AMOUNT_INTEGER_DIGITS = 29
AMOUNT_FRACTION_DIGITS = 9
EVENTS_MOST = 999_999_999
_ZERO = Decimal()


@dataclass(frozen=True)
class Percentage(Price):
    """percent of max(0, amount - free_amount), and fixed_fee x max(0, events - free_events).

    Attributes:
        fixed_fee: of each event, in major units.
        free_events: so many events of a usage period owe no fixed fee.
        free_amount: so much of a usage period's amount owes no percentage.
        per_event_min: the least that an event costs, percentage and fixed fee together; needs amount_dimension.
        per_event_max: the most; None is no limit.
        amount_dimension: carries an event's own amount; "" where the quantity is the amount.
    """

    percent: Decimal
    fixed_fee: Decimal = Decimal()
    free_events: int = 0
    free_amount: Decimal = Decimal()
    per_event_min: Decimal | None = None
    per_event_max: Decimal | None = None
    amount_dimension: str = ""
    tier_by: tuple[str, ...] = ()

    @property
    def folded(self) -> tuple[str, ...]:
        """Lines leave the amount's dimension out; their parts say the amounts."""
        return (self.amount_dimension,) if self.amount_dimension else ()

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """By the positions of amount and events, or event by event where a dimension carries the amount."""
        if self.amount_dimension:
            return [self._event_by_event(row) for row in segment.rows]
        answers: list[Priced] = []
        amount, events = segment.before, segment.events_before
        for row in segment.rows:
            amount_after, events_after = EXACT.add(amount, row.quantity), events + row.event_count
            owing = EXACT.subtract(_above(amount_after, self.free_amount), _above(amount, self.free_amount))
            fees = max(0, events_after - self.free_events) - max(0, events - self.free_events)
            answers.append(self._together(row, owing, fees))
            amount, events = amount_after, events_after
        return answers

    def describe(self) -> str:
        """`2.9 % + 0.3 per event, at least 0.5`."""
        texts = [
            percent_text(self.percent) + (f" + {plain(self.fixed_fee)} per event" if self.fixed_fee else "")
        ]
        for name, value in (("at least", self.per_event_min), ("at most", self.per_event_max)):
            texts += [f"{name} {plain(value)} per event"] if value is not None else []
        texts += [f"the first {grouped(self.free_amount)} free"] if self.free_amount else []
        texts += [f"the first {self.free_events:,} fixed fees free"] if self.free_events else []
        return ", ".join(texts)

    def _together(self, row: PoolRow, owing: Decimal, fees: int) -> Priced:
        percentage = EXACT.multiply(owing, share_of(self.percent))
        fixed = EXACT.multiply(Decimal(fees), self.fixed_fee)
        parts: list[Part] = []
        if free := EXACT.subtract(row.quantity, owing):
            parts.append(Part("free", free, "0 %", _ZERO, _ZERO))
        if owing:
            parts.append(Part("", owing, percent_text(self.percent), _ZERO, percentage))
        if fees and self.fixed_fee:
            text = f"{plain(self.fixed_fee)} per event"
            parts.append(Part("fixed fees", Decimal(fees), text, _ZERO, fixed))
        return Priced(EXACT.add(percentage, fixed), tuple(parts))

    def _event_by_event(self, row: PoolRow) -> Priced | NoPrice:
        carried = carried_amount(
            row.dimensions, self.amount_dimension, AMOUNT_INTEGER_DIGITS, AMOUNT_FRACTION_DIGITS
        )
        if isinstance(carried, NoPrice):
            return carried
        each, bound = EXACT.fma(carried, share_of(self.percent), self.fixed_fee), ""
        if self.per_event_min is not None and each < self.per_event_min:
            each, bound = self.per_event_min, ", the least"
        elif self.per_event_max is not None and each > self.per_event_max:
            each, bound = self.per_event_max, ", the most"
        count = Decimal(row.event_count)
        amount = EXACT.multiply(count, each)
        text = f"{plain(each)} per event{bound}"
        return Priced(amount, (Part(f"events of {grouped(carried)}", count, text, _ZERO, amount),))


def _above(position: Decimal, free: Decimal) -> Decimal:
    return max(_ZERO, EXACT.subtract(position, free))


def read(field: Field, around: Surroundings) -> Percentage:
    """`{model: percentage, percent, fixed_fee?, free_events?, free_amount?, per_event_min?, …}`."""
    keys = field.mapping(
        required=("model", "percent"),
        optional=(
            *("fixed_fee", "free_events", "free_amount", "tier_by"),
            *("per_event_min", "per_event_max", "amount_dimension"),
        ),
    )
    least = read_price(keys["per_event_min"], 1) if "per_event_min" in keys else None
    most = read_price(keys["per_event_max"], 1) if "per_event_max" in keys else None
    if least is not None and most is not None and least > most:
        keys["per_event_min"].fault(f"{plain(least)} is above `per_event_max`, which is {plain(most)}")
    _check_combination(keys)
    free_amount = _ZERO
    if "free_amount" in keys:
        digits = {"integer_digits": AMOUNT_INTEGER_DIGITS, "fraction_digits": AMOUNT_FRACTION_DIGITS}
        free_amount = keys["free_amount"].decimal(**digits) or _ZERO
    return Percentage(
        percent=read_percent(keys["percent"]),
        fixed_fee=read_price(keys["fixed_fee"], 1) if "fixed_fee" in keys else _ZERO,
        free_events=keys["free_events"].whole(least=0, most=EVENTS_MOST) if "free_events" in keys else 0,
        free_amount=free_amount,
        per_event_min=least,
        per_event_max=most,
        amount_dimension=(
            read_amount_dimension(keys["amount_dimension"], around) if "amount_dimension" in keys else ""
        ),
        tier_by=read_tier_by(keys.get("tier_by"), around),
    )


def _check_combination(keys: Mapping[str, Field]) -> None:
    if "amount_dimension" not in keys:
        for name in ("per_event_min", "per_event_max"):
            if name in keys:
                keys[name].fault(
                    "bounds each event, whose amount a quantity of several does not say; name the dimension that carries "
                    "it in `amount_dimension`"
                )
        return
    for name in ("free_events", "free_amount", "tier_by"):
        if name in keys:
            keys[name].fault(
                "counts through the period, but `amount_dimension` prices events one by one; remove one"
            )
