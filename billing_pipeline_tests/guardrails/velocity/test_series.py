"""Minutes as they are judged, and sums over several of them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.guardrails.velocity.series import MINUTE_US, Minute, rolling


def test_open_holds_count_as_far_as_calls_usually_cost() -> None:
    """Held is what a call may cost at most: a minute of ten open calls is worth ten usual ones, not ten worst ones."""
    minute = Minute(0, 200, 50_000, 12)
    assert minute.most == 50_200
    assert minute.likely(usual_cost=100) == 1_200


def test_what_is_settled_counts_in_full_and_what_is_held_bounds_it() -> None:
    """Neither do calls make a minute cost more than it can, nor less than it did."""
    assert Minute(0, 5_000, 0, 1).likely(usual_cost=100) == 5_000
    assert Minute(0, 100, 300, 50).likely(usual_cost=100) == 400


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.dictionaries(st.integers(0, 60), st.integers(1, 1_000), max_size=40),
    st.integers(1, 15),
)
def test_rolling_sums_are_those_of_their_minutes(spend: dict[int, int], width: int) -> None:
    """Each is what was spent in the minutes up to its own, also where minutes are missing between."""
    minutes = [(7 * MINUTE_US + number * MINUTE_US, amount) for number, amount in sorted(spend.items())]
    expected = [
        sum(amount for other, amount in spend.items() if number - width < other <= number)
        for number in sorted(spend)
    ]
    assert rolling(minutes, width) == expected
