"""`charge_zero_usage`: what the first tier costs at once is due in a usage period without usage, too."""

from decimal import Decimal

from billing_pipeline.rating.charge_models.price import Part, Priced, Segment
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT

_ZERO = Decimal()


def read_charge_zero_usage(field: Field | None, tier_by: tuple[str, ...]) -> bool:
    """The option; without usage nobody can say which pools of `tier_by` there would be."""
    wanted = field is not None and field.switch()
    if field is not None and wanted and tier_by:
        field.fault(
            "stands beside `tier_by`, but without usage there is no pool to charge; remove one of the two"
        )
    return wanted


def zero_usage(tier: str, unit_price: str, fee: Decimal, *, is_charged: bool) -> Priced | None:
    """What nothing costs: the fee, or None where it is not charged or 0."""
    return Priced(fee, (Part(tier, _ZERO, unit_price, fee, fee),)) if is_charged and fee else None


def with_zero_usage(answers: list[Priced], segment: Segment, zero: Priced | None) -> list[Priced]:
    """The answers of a pool that went up and came back to nothing: its last row owes what nothing costs."""
    if zero is not None and answers and segment.is_last and not segment.total:
        amount, parts = answers[-1]
        assert isinstance(amount, Decimal)  # noqa: S101 - for the type checker; tiers need no ratios
        assert isinstance(zero.amount, Decimal)  # noqa: S101 - as above
        answers[-1] = Priced(EXACT.add(amount, zero.amount), (*parts, *zero.parts))
    return answers
