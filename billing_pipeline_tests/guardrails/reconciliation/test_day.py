"""The difference between ledger and meter is explained by causes that add up to it, whatever the figures."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.guardrails.reconciliation.day import (
    HoldFigures,
    LogFigures,
    RatedFigures,
    reconcile_day,
)
from billing_pipeline.schemas.ledger_causes import CAUSES

NANO = st.integers(-(10**15), 10**15)
PRICES = st.sampled_from(["linear", "tiers", "trial"])
COUNT = st.integers(0, 10**6)


@given(
    st.builds(HoldFigures, *[NANO] * 7, COUNT),
    st.builds(LogFigures, *[NANO] * 4, COUNT),
    st.builds(
        RatedFigures,
        st.fractions(-(10**15), 10**15, max_denominator=7),
        NANO,
        NANO,
        PRICES,
    ),
)
def test_causes_add_up_to_the_difference(holds: HoldFigures, log: LogFigures, rated: RatedFigures) -> None:
    """Exactly, in whole nano-units, also where the figures make no sense."""
    found = reconcile_day(holds, log, rated)
    assert sum(found.causes.values()) == found.difference == found.rated - found.settled
    assert list(found.causes) == list(CAUSES)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**6)), max_size=20))
def test_events_that_are_priced_one_by_one_differ_from_the_whole_by_rounding_only(
    events: list[tuple[int, int]],
) -> None:
    """Each event rounds by half a nano-unit at most, so nothing of a linear price is ever unexplained."""
    exact = sum((Fraction(quantity * price, 1000) for quantity, price in events), Fraction())
    by_itself = sum((2 * quantity * price + 1000) // 2000 for quantity, price in events)
    cents = round(exact / 10**7) * 10**7
    holds = HoldFigures(booked=by_itself, priced=by_itself, events=by_itself, holds=len(events))
    found = reconcile_day(
        holds, LogFigures(guarded=by_itself, events=len(events)), RatedFigures(exact, cents)
    )
    assert found.causes["unexplained"] == 0
    assert found.causes["rounding"] == found.difference


def test_each_cause_is_seen_alone() -> None:
    """One step of the walk changes, and one cause tells it."""
    holds = HoldFigures(booked=100, priced=100, events=100, holds=1)
    log = LogFigures(guarded=100, events=1)
    rated = RatedFigures(Fraction(100), 100, 0)

    def causes(*figures: HoldFigures | LogFigures | RatedFigures) -> dict[str, int]:
        chosen = {type(each): each for each in (holds, log, rated, *figures)}
        found = reconcile_day(chosen[HoldFigures], chosen[LogFigures], chosen[RatedFigures])  # type: ignore[arg-type]  # by its type
        return {cause: amount for cause, amount in found.causes.items() if amount}

    def log_and_rated(**more: int) -> tuple[LogFigures, RatedFigures]:
        total = 100 + sum(more.values())
        return log._replace(**more), RatedFigures(Fraction(total), total)

    assert causes() == {}
    for cause in ("unguarded", "late", "corrected"):
        assert causes(*log_and_rated(**{cause: 40})) == {cause: 40}
    gone = LogFigures(), RatedFigures()
    assert causes(holds._replace(missing=100), *gone) == {"not_metered_yet": -100}
    assert causes(LogFigures(guarded=70, events=1), RatedFigures(Fraction(70), 70)) == {"conflicting": -30}
    assert causes(holds._replace(booked_by_amount=50)) == {"settled_by_amount": -50}
    assert causes(holds._replace(booked=90)) == {"repriced": 10}
    assert causes(RatedFigures(Fraction(60), 60, prices="tiers")) == {"tier_position": -40}
    assert causes(rated._replace(discounts=-20)) == {"discount": -20}
    assert causes(RatedFigures(prices="trial")) == {"discount": -100}
    assert causes(rated._replace(lines=103)) == {"rounding": 3}
    assert causes(RatedFigures(Fraction(60), 60)) == {"unexplained": -40}
    assert causes(RatedFigures(Fraction(203, 2), 102)) == {"rounding": 2}
