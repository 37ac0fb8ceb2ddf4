"""The fast path and the list of faults decide alike, whatever comes."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.contract import parsing
from billing_pipeline_tests.contract.made_events import BASE, CHANGES


@settings(max_examples=150, deadline=None)
@given(CHANGES, st.booleans(), st.sets(st.sampled_from(sorted(BASE)), max_size=1))
def test_the_fast_path_accepts_what_has_no_fault(
    changes: dict[str, object], escaped: bool, without: set[str]
) -> None:
    """Nothing that the fast path takes has a fault, and it declines nothing sound that has no escapes."""
    event = {name: value for name, value in (BASE | changes).items() if name not in without}
    data = json.dumps(event, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    found, fast, record = parsing.faults(data), parsing.parse_fast(data), parsing.parse(data)
    assert (record.kind == "usage") == (found == [])
    if fast is not None:
        assert found == []
        assert fast == record
    elif not found:
        assert b"\\" in data


@settings(max_examples=60, deadline=None)
@given(CHANGES)
def test_both_paths_make_the_same_record(changes: dict[str, object]) -> None:
    """What the slow path makes of a sound event is what the fast path makes of it."""
    data = json.dumps(BASE | changes).encode()
    fields, found = parsing._read(data)
    fast = parsing.parse_fast(data)
    if fast is not None:
        assert not found
        assert parsing._valid(fields, data) == fast


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_raise(data: bytes) -> None:
    """Parsing never raises, and gives the bytes back."""
    assert parsing.parse(data).kind == "invalid"
    assert parsing.faults(data)
