"""The robust statistic: quantiles that are amounts of the sample, and a scale that few amounts do not move."""

from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.guardrails.velocity.spread import quantile, spread_of

AMOUNTS = st.lists(st.integers(0, 10**15), min_size=1, max_size=200)


@settings(deadline=None)  # a busy machine is no fault
@given(AMOUNTS, st.integers(1, 100))
def test_a_quantile_is_one_of_the_amounts_and_bounds_so_many_of_them(
    amounts: list[int], percent: int
) -> None:
    """At least that percentage is no larger, and with a smaller amount it would be less."""
    ordered = sorted(amounts)
    found = quantile(ordered, percent)
    assert found in ordered
    assert 100 * sum(each <= found for each in ordered) >= percent * len(ordered)
    assert 100 * sum(each < found for each in ordered) < percent * len(ordered)


@settings(deadline=None)  # a busy machine is no fault
@given(AMOUNTS, st.randoms(use_true_random=False))
def test_the_order_of_the_amounts_does_not_matter(amounts: list[int], random: object) -> None:
    """The same amounts give the same statistic, to the last bit of the scale."""
    shuffled = list(amounts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert spread_of(shuffled) == spread_of(amounts)


@settings(deadline=None)  # a busy machine is no fault
@given(st.integers(1, 10**12), st.integers(1, 10**15))
def test_an_amount_in_a_hundred_does_not_move_the_scale(usual: int, huge: int) -> None:
    """One huge amount among ninety-nine equal ones changes neither middle nor scale nor what is high."""
    assert spread_of([usual] * 99 + [usual + huge]) == spread_of([usual] * 100)


def test_an_even_series_has_a_scale_all_the_same() -> None:
    """A quarter of the middle, so that a few percent more are no deviation."""
    spread = spread_of([1_000] * 60)
    assert (spread.middle, spread.scale, spread.high) == (1_000, 250.0, 1_000)
    assert spread.deviation(1_500) == 2.0


def test_bursts_now_and_then_widen_the_scale() -> None:
    """A tenth of busy minutes counts, though the median absolute deviation knows nothing of it."""
    assert spread_of([10] * 90 + [1_000] * 10).scale > 500
