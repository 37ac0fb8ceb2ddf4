"""What a correction makes of an event: one state after the other, each rule by itself."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.contract.reason_codes import CorrectionOutcome
from billing_pipeline.metering.effective import Change, EffectiveState, Known, Payer, Replacement, corrected

STATE = EffectiveState("acme", "p", "token", '{"model":"m"}', billable=True, quantity=Decimal(10))
SPLIT = replace(
    STATE, payers=(Payer("acme", "p", "0.5"), Payer("beta", "q", "0.3"), Payer("gamma", "r", "0.2"))
)
KNOWN = Known(
    customer=lambda customer_id: customer_id in {"acme", "beta"},
    project=lambda customer_id, project_id: (customer_id, project_id) in {("acme", "p"), ("beta", "q")},
    unit=lambda unit: unit in {"token", "call"},
)


def replacing(**fields: object) -> Change:
    return Change("replace", replacement=Replacement(**fields))  # type: ignore[arg-type]  # by field


def adjusting(delta: str) -> Change:
    return Change("adjust", quantity_delta=Decimal(delta))


def after(state: EffectiveState, *changes: Change) -> EffectiveState:
    for change in changes:
        found = corrected(state, change, KNOWN)
        assert isinstance(found, EffectiveState), found
        state = found
    return state


def parts(state: EffectiveState) -> list[tuple[str, Decimal, Decimal]]:
    return [(part.customer_id, part.quantity, part.event_share) for part in state.parts()]


def test_a_void_event_counts_for_nothing() -> None:
    assert parts(after(STATE, Change("void"))) == [("acme", Decimal(0), Decimal(0))]


def test_adjusting_changes_the_quantity_and_brings_a_void_event_back() -> None:
    assert parts(after(STATE, adjusting("-2.5"))) == [("acme", Decimal("7.5"), Decimal(1))]
    assert parts(after(STATE, Change("void"), adjusting("3"))) == [("acme", Decimal(3), Decimal(1))]


def test_replacing_sets_the_named_fields_and_leaves_the_others() -> None:
    moved = after(STATE, replacing(customer_id="beta", project_id="q", unit="call", quantity=Decimal(4)))
    assert (moved.customer_id, moved.project_id, moved.unit) == ("beta", "q", "call")
    assert moved.quantity == Decimal(4)
    assert moved.dimensions == STATE.dimensions
    assert after(STATE, replacing(billable=False)).billable is False
    assert after(STATE, replacing(dimensions={"z": "1", "a": "2"})).dimensions == '{"a":"2","z":"1"}'
    assert after(STATE, replacing(dimensions={})).dimensions == "{}"


@pytest.mark.parametrize(
    ("state", "change", "outcome"),
    [
        (STATE, adjusting("-10.000000001"), CorrectionOutcome.EFFECTIVE_NEGATIVE),
        (replace(STATE, quantity=Decimal("9" * 29)), adjusting("1"), CorrectionOutcome.EFFECTIVE_TOO_LARGE),
        (STATE, replacing(customer_id="nobody", project_id="p"), CorrectionOutcome.UNKNOWN_CUSTOMER),
        (STATE, replacing(customer_id="beta"), CorrectionOutcome.UNKNOWN_PROJECT),
        (STATE, replacing(project_id="q"), CorrectionOutcome.UNKNOWN_PROJECT),
        (STATE, replacing(unit="page"), CorrectionOutcome.UNKNOWN_UNIT),
    ],
)
def test_what_cannot_be_is_refused_with_its_own_code(
    state: EffectiveState, change: Change, outcome: CorrectionOutcome
) -> None:
    assert corrected(state, change, KNOWN) == outcome


def test_down_to_zero_and_up_to_29_digits_is_allowed() -> None:
    assert after(STATE, adjusting("-10")).quantity == 0
    assert after(
        replace(STATE, quantity=Decimal("9" * 29 + ".5")), adjusting("0.499999999")
    ).quantity == Decimal("9" * 29 + ".999999999")


def test_a_corrected_quantity_is_split_anew_by_the_same_shares() -> None:
    """Ten among 0.5, 0.3 and 0.2; eleven leaves a remainder that goes to the largest one, at the quantity's scale."""
    assert [quantity for _, quantity, _ in parts(SPLIT)] == [5, 3, 2]
    assert [quantity for _, quantity, _ in parts(after(SPLIT, adjusting("1")))] == [6, 3, 2]
    finer = parts(after(SPLIT, adjusting("1.0"), adjusting("0.5")))
    assert [quantity for _, quantity, _ in finer] == [Decimal("5.8"), Decimal("3.4"), Decimal("2.3")]


def test_a_void_split_event_counts_for_none_of_its_payers() -> None:
    nothing = (Decimal(0), Decimal(0))
    assert parts(after(SPLIT, Change("void"))) == [(name, *nothing) for name in ("acme", "beta", "gamma")]


def test_moving_a_split_event_ends_the_split() -> None:
    """All of it goes to the payer that the correction names; the other fields keep it split."""
    assert parts(after(SPLIT, replacing(customer_id="beta", project_id="q"))) == [
        ("beta", Decimal(10), Decimal(1))
    ]
    assert len(parts(after(SPLIT, replacing(unit="call")))) == 3


@given(
    st.lists(st.integers(-50, 50), max_size=8),
    st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
)
def test_the_parts_always_add_up_to_the_event(deltas: Sequence[int], weights: Sequence[int]) -> None:
    """Whatever is corrected however often: quantities to the quantity, event shares to 1."""
    units = [weight * 10**9 // sum(weights) for weight in weights]
    units[0] += 10**9 - sum(units)
    state = replace(
        STATE,
        payers=tuple(
            Payer(f"c{number}", "p", f"{Decimal(unit) / 10**9:f}")
            for number, unit in enumerate(units)
            if unit
        ),
    )
    for delta in deltas:
        found = corrected(state, adjusting(f"{delta}.{abs(delta)}"), KNOWN)
        state = found if isinstance(found, EffectiveState) else state
        assert sum(part.quantity for part in state.parts()) == state.quantity
        assert sum(part.event_share for part in state.parts()) == 1
