"""Answers and balances as JSON and back."""

import json
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.guardrails.answers import Denied, Ended, Extended, Granted
from billing_pipeline.guardrails.balance import CustomerBalance, Funds, GrantLeft, LimitLeft, SessionUse
from billing_pipeline.guardrails.calling.wire import AMOUNTS, INSTANTS, NUMBERS, from_json, to_json
from billing_pipeline.guardrails.requests import Extend, Release, Reserve, Settle

ANSWERS = (Granted, Denied, Ended, Extended, CustomerBalance)
PARTS = (Funds, GrantLeft, LimitLeft, SessionUse)
REQUESTS = (Reserve, Settle, Release, Extend)
INSTANT = st.integers(0, 4_000_000_000_000_000)


@pytest.mark.parametrize("kind", [*ANSWERS, *PARTS, *REQUESTS], ids=lambda kind: kind.__name__)
def test_every_number_is_an_amount_an_instant_or_said_to_be_plain(kind: type[msgspec.Struct]) -> None:
    """A field that is added has to be put into one of them."""
    for name, hint in get_type_hints(kind).items():
        if hint is int or int in get_args(hint):
            assert name in AMOUNTS | INSTANTS | NUMBERS
        elif name in AMOUNTS:
            assert kind is CustomerBalance, f"{name} is an amount elsewhere"


@settings(max_examples=60, deadline=None)
@given(
    st.builds(Granted, granted_at=INSTANT, expires_at=INSTANT)
    | st.builds(Denied, resets_at=st.none() | INSTANT)
    | st.builds(Ended, ended_at=INSTANT)
    | st.builds(Extended, expires_at=INSTANT)
    | st.builds(
        CustomerBalance,
        funds=st.lists(st.builds(Funds), max_size=2).map(tuple),
        grants=st.lists(st.builds(GrantLeft, expires_at=st.none() | INSTANT), max_size=2).map(tuple),
        limits=st.lists(st.builds(LimitLeft, resets_at=st.none() | INSTANT), max_size=2).map(tuple),
        session=st.none() | st.builds(SessionUse, started_at=INSTANT, last_at=INSTANT),
    )
)
def test_what_is_written_is_read_back(answer: msgspec.Struct) -> None:
    """And no amount is ever a number in JSON."""
    written = json.loads(json.dumps(to_json(answer)))
    assert _no_numbers(written)
    assert from_json(written | {"message": "added"}, type(answer)) == answer


def _no_numbers(node: Any) -> bool:
    if isinstance(node, dict):
        return all(name in NUMBERS or _no_numbers(value) for name, value in node.items())
    if isinstance(node, list):
        return all(map(_no_numbers, node))
    return not isinstance(node, int | float) or isinstance(node, bool)


@pytest.mark.parametrize("document", [None, 5, [], {}, {"hold_id": "a", "expires_at": "soon"}])
def test_what_is_no_answer_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"Expected|missing"):
        from_json(document, Extended)
