"""Usage events made by hypothesis: sound ones, and ones with every kind of fault in a field or two."""

import json
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

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


@st.composite
def event_payloads(draw: st.DrawFn) -> bytes:
    """The bytes of an event, in one of the ways to write the same JSON."""
    event = BASE | draw(CHANGES)
    text = json.dumps(
        event,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
        separators=draw(st.sampled_from([None, (",", ":")])),
    )
    return text.encode("utf-8", "surrogatepass")


_PLAIN_CHARACTERS = st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\')
_PLAIN_TEXTS = st.text(_PLAIN_CHARACTERS, min_size=1, max_size=9)
_PLAIN_INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2999, 12, 31)).map(  # noqa: DTZ001 - the offset is text
    lambda moment: moment.isoformat() + "Z"
)
_OPTIONAL = st.one_of(st.none(), _PLAIN_TEXTS)


@st.composite
def plain_payloads(draw: st.DrawFn) -> bytes:
    """The bytes of a plain usage event: sound, ASCII, in UTC, one payer."""
    event = draw(
        st.fixed_dictionaries(
            {
                "id": _PLAIN_TEXTS,
                "source": _PLAIN_TEXTS,
                "type": st.just("usage"),
                "schema_version": st.just(2),
                "customer_id": _PLAIN_TEXTS.map(lambda text: text.replace("/", "-")),
                "project_id": _PLAIN_TEXTS,
                "occurred_at": _PLAIN_INSTANTS,
                "unit": _PLAIN_TEXTS,
                "quantity": st.one_of(
                    st.integers(0, (1 << 63) - 1),
                    st.from_regex(r"\A[0-9]{1,29}(\.[0-9]{1,9})?\Z").map(str),
                    st.sampled_from(["0", "000", "0.000", "007.50", "0.10", "100", "1.000000001"]),
                ),
                "correlation_id": _PLAIN_TEXTS,
            },
            optional={
                "user_id": _OPTIONAL,
                "emitted_at": st.one_of(st.none(), _PLAIN_INSTANTS),
                "received_at": st.one_of(st.none(), _PLAIN_INSTANTS),
                "dimensions": st.one_of(
                    st.none(), st.dictionaries(_PLAIN_TEXTS, st.one_of(_PLAIN_TEXTS), max_size=5)
                ),
                "session_id": _OPTIONAL,
                "parent_id": _OPTIONAL,
                "step": _OPTIONAL,
                "billable": st.one_of(st.none(), st.booleans()),
                "reason_code": st.sampled_from(["trial", "goodwill"]),
            },
        )
    )
    if event.get("billable") is False:
        event["reason_code"] = "test"
    keys = draw(st.permutations(sorted(event)))
    return json.dumps({key: event[key] for key in keys}).encode()
