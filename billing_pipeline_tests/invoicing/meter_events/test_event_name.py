"""Names of Stripe's meters."""

import json

from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge, display_name, event_name

_TEXTS = st.text(max_size=30)
_CHARGES = st.builds(
    MeteredCharge,
    _TEXTS,
    _TEXTS,
    _TEXTS,
    st.dictionaries(_TEXTS, _TEXTS, max_size=4).map(
        lambda values: json.dumps(values, sort_keys=True, separators=(",", ":"))
    ),
)


def test_a_name_can_be_read() -> None:
    """Plan, charge and the values of the dimensions come first; the digest tells like ones apart."""
    dimensions = '{"model":"Atlas Large","token_class":"output"}'
    metered = MeteredCharge("growth", "llm_tokens", "llm_tokens", dimensions)
    assert event_name(metered) == "growth.llm_tokens.atlas-large.output.1207aab354aacd410ec1"
    assert display_name(metered) == "growth: llm_tokens (model=Atlas Large, token_class=output)"


@given(_CHARGES, _CHARGES)
def test_two_charges_never_share_a_name(one: MeteredCharge, other: MeteredCharge) -> None:
    """Any difference in plan, charge, meter or dimensions makes another name, of 1 to 100 plain characters."""
    assert (event_name(one) == event_name(other)) == (one == other)
    assert 0 < len(event_name(one)) <= 100
    assert event_name(one).isascii()


def test_separators_within_values_do_not_make_names_alike() -> None:
    """`a.b` and `c` read like `a` and `b.c`, and are told apart."""
    one = MeteredCharge("a.b", "c", "m")
    other = MeteredCharge("a", "b.c", "m")
    assert event_name(one) != event_name(other)
