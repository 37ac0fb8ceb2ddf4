"""The fast path and the list of faults decide alike, whatever comes."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.contract import parsing

BASE: dict[str, Any] = {
    "id": "e-1",
    "source": "gateway",
    "type": "usage",
    "schema_version": 2,
    "customer_id": "acme",
    "project_id": "bot",
    "occurred_at": "2026-03-01T12:00:00Z",
    "unit": "token",
    "quantity": "5",
    "correlation_id": "r-1",
}
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "x" * 64, "x" * 65, "x" * 128, "x" * 129, "x" * 257, "a/b", "\x7f", 'a"b', "\u2028"]
    ),
)
DECIMALS = st.one_of(
    st.from_regex(r"-?[0-9]{0,31}(\.[0-9]{0,10})?", fullmatch=True),
    st.integers(),
    st.integers(10**28, 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["1e3", "+1", " 1", "\uff11", "1_0"]),
)
INSTANTS = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.datetimes().map(lambda moment: moment.isoformat(sep=" ") + "+05:30"),
    st.sampled_from(
        ["2026-03-01T12:00:00", "2026-03-01T24:00:00Z", "2026-03-01t12:00:00.1234567z", "now", ""]
    ),
)
SHARES = st.lists(
    st.fixed_dictionaries(
        {"customer_id": st.sampled_from(["a", "b", "a/b"]), "project_id": st.just("p")},
        optional={"share": st.sampled_from(["1", "0.5", "0.25", "0", "0.50", "1.0", ".5"]), "x": st.none()},
    ),
    max_size=4,
)
ANY = st.one_of(st.none(), st.booleans(), st.integers(), TEXTS, st.lists(TEXTS, max_size=2))
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(TEXTS, ANY),
        "schema_version": st.sampled_from([1, 2, 3, 1.0, "1", None, True]),
        "customer_id": TEXTS,
        "occurred_at": st.one_of(INSTANTS, ANY),
        "emitted_at": st.one_of(INSTANTS, ANY),
        "received_at": INSTANTS,
        "quantity": st.one_of(DECIMALS, ANY),
        "dimensions": st.one_of(st.dictionaries(TEXTS, TEXTS, max_size=18), ANY),
        "session_id": st.one_of(st.none(), TEXTS),
        "step": st.one_of(st.none(), TEXTS),
        "billable": st.one_of(st.booleans(), ANY),
        "reason_code": st.sampled_from(["trial", "goodwill", "dispute", "", None, 1]),
        "allocations": st.one_of(SHARES, ANY),
        "extra": ANY,
    },
)


@settings(max_examples=400, deadline=None)
@given(CHANGES, st.booleans(), st.sets(st.sampled_from(sorted(BASE)), max_size=1))
def test_the_fast_path_accepts_what_has_no_fault(
    changes: dict[str, object], escaped: bool, without: set[str]
) -> None:
    """Nothing that the fast path takes has a fault, and it declines nothing sound that has no escapes."""
    event = {name: value for name, value in (BASE | changes).items() if name not in without}
    data = json.dumps(event, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    found, fast, record = parsing.faults(data), parsing.parse_plain(data), parsing.parse(data)
    assert (record.kind == "usage") == (found == [])
    if fast is not None:
        assert found == []
        assert fast == record
    elif not found:
        assert b"\\" in data


@settings(max_examples=200, deadline=None)
@given(CHANGES)
def test_both_paths_make_the_same_record(changes: dict[str, object]) -> None:
    """What the slow path makes of a sound event is what the fast path makes of it."""
    data = json.dumps(BASE | changes).encode()
    fields, found = parsing._read(data)
    fast = parsing.parse_plain(data)
    if fast is not None:
        assert not found
        assert parsing._valid(fields, data) == fast


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_raise(data: bytes) -> None:
    """Parsing never raises, and gives the bytes back."""
    assert parsing.parse(data).kind == "invalid"
    assert parsing.faults(data)
