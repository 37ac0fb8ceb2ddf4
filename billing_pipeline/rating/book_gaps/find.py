"""All gaps that a rule book shows by itself."""

from collections.abc import Callable, Iterator
from itertools import chain

from billing_pipeline.rating.book_gaps.coverage import (
    minimums_above_maximums,
    unpriced_meters,
    unusable_coupons,
    unused_tables,
    unused_units,
)
from billing_pipeline.rating.book_gaps.dead_rows import dead_rows
from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.book_gaps.overlaps import billed_twice
from billing_pipeline.rating.book_gaps.tier_steps import tier_steps
from billing_pipeline.rating.rule_book import RuleBook

_KINDS: tuple[Callable[[RuleBook], Iterator[Gap]], ...] = (
    unpriced_meters,
    unused_units,
    unused_tables,
    billed_twice,
    dead_rows,
    minimums_above_maximums,
    unusable_coupons,
    tier_steps,
)


def find_gaps(book: RuleBook) -> list[Gap]:
    """The gaps of a faultless book, kind by kind."""
    return list(chain.from_iterable(find(book) for find in _KINDS))
