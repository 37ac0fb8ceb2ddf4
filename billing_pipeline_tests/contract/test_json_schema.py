"""The published schema accepts what the parser accepts, and refuses what is wrong with the shape."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.contract.json_schema import event_schema
from billing_pipeline.contract.parsing import faults
from billing_pipeline_tests.contract.made_events import BASE as USAGE

VALIDATOR = jsonschema.Draft202012Validator(event_schema())
CORRECTION: dict[str, Any] = {
    "id": "c-1",
    "source": "support",
    "type": "correction",
    "schema_version": 2,
    "occurred_at": "2026-03-05T09:00:00Z",
    "corrects": {"source": "gateway", "id": "e-1"},
    "action": "void",
    "reason_code": "metering_error",
}
SHARE = {"customer_id": "acme", "project_id": "bot", "share": "0.5"}


def test_the_schema_is_a_schema() -> None:
    """It follows the 2020-12 dialect."""
    jsonschema.Draft202012Validator.check_schema(event_schema())


@pytest.mark.parametrize(
    "event",
    [
        USAGE,
        USAGE | {"quantity": 5, "schema_version": 1, "session_id": None},
        USAGE | {"billable": False, "reason_code": "trial", "dimensions": {"model": "m"}, "user_id": None},
        USAGE | {"allocations": [SHARE, SHARE], "emitted_at": "2026-03-01T12:00:00.1234567+02:00"},
        CORRECTION,
        CORRECTION | {"action": "adjust", "quantity_delta": "-5.5", "note": "two\nlines"},
        CORRECTION | {"action": "replace", "replacement": {"unit": "call", "quantity": None}},
    ],
)
def test_sound_events_are_accepted(event: dict[str, Any]) -> None:
    """By the schema and by the parser."""
    VALIDATOR.validate(event)
    assert faults(json.dumps(event).encode()) == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        USAGE | {"type": "other"},
        USAGE | {"extra": 1},
        USAGE | {"quantity": 1.5},
        USAGE | {"quantity": "1e3"},
        USAGE | {"quantity": -1},
        USAGE | {"quantity": 10**29},
        USAGE | {"occurred_at": "2026-03-01T12:00:00"},
        USAGE | {"schema_version": 3},
        USAGE | {"schema_version": 1, "session_id": "s"},
        USAGE | {"billable": False},
        USAGE | {"billable": False, "reason_code": None},
        USAGE | {"customer_id": "a/b"},
        USAGE | {"id": ""},
        USAGE | {"unit": "a\u0000"},
        USAGE | {"dimensions": {"": "x"}},
        USAGE | {"dimensions": {str(n): "x" for n in range(17)}},
        USAGE | {"allocations": []},
        USAGE | {"allocations": [SHARE | {"share": "0.0"}]},
        {name: value for name, value in USAGE.items() if name != "project_id"},
        CORRECTION | {"action": "adjust"},
        CORRECTION | {"quantity_delta": "1"},
        CORRECTION | {"action": "replace", "replacement": {}},
        CORRECTION | {"action": "replace", "replacement": {"unit": None}},
        CORRECTION | {"corrects": {"id": "e-1"}},
        CORRECTION | {"reason_code": "trial"},
        CORRECTION | {"customer_id": "acme"},
    ],
)
def test_faults_of_shape_are_refused(event: Any) -> None:
    """By the schema and by the parser."""
    assert not VALIDATOR.is_valid(event)
    assert faults(json.dumps(event).encode())


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.text(st.characters(codec="utf-8"), max_size=130),
            "quantity": st.one_of(st.integers(), st.from_regex(r"\A[0-9]{1,31}(\.[0-9]{1,10})?\Z")),
            "schema_version": st.sampled_from([1, 2, 3]),
            "session_id": st.one_of(st.none(), st.text(max_size=3)),
            "billable": st.one_of(st.none(), st.booleans()),
            "reason_code": st.sampled_from(["trial", "dispute", None]),
            "dimensions": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
        },
    )
)
def test_the_schema_agrees_with_the_parser(changes: dict[str, Any]) -> None:
    """On everything that JSON Schema can say."""
    event = USAGE | changes
    assert VALIDATOR.is_valid(event) == (faults(json.dumps(event).encode()) == [])
