"""Positions: the walk of a segment's rows through a pool, for shapes that price a stretch of it."""

from collections.abc import Callable
from decimal import Decimal

from billing_pipeline.rating.charge_models.price import Part, Priced, Segment
from billing_pipeline.rating.money import EXACT, negated

_ADD = EXACT.add  # bound once: this is the inner loop of rating

Between = Callable[[Decimal, Decimal], Priced]
"""F(after) - F(before) for after >= before, where F(q) is what the first q units cost."""


def along(segment: Segment, between: Between) -> list[Priced]:
    """One answer per row, each from where the row before it ended; a row that goes back gives back what it cost."""
    answers: list[Priced] = []
    position = segment.before
    for row in segment.rows:
        after = _ADD(position, row.quantity)
        answers.append(
            between(position, after) if after >= position else given_back(between(after, position))
        )
        position = after
    return answers


def given_back(priced: Priced) -> Priced:
    """The same with the other sign."""
    return Priced(negated(priced.amount), tuple([_negative(part) for part in priced.parts]))


def _negative(part: Part) -> Part:
    return Part(
        part.tier,
        EXACT.minus(part.quantity),
        part.unit_price,
        EXACT.minus(part.flat_fee),
        negated(part.amount),
    )
