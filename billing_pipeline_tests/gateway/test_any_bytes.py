"""Whatever is sent, there is an answer, and it is never a fault of the gateway's."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_pipeline.gateway.framing import MEDIA_TYPES

Make = Callable[..., dict[str, Any]]

STATUSES = {202, 207, 400, 413, 415, 422}
BOUNDED = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@BOUNDED
@given(
    body=st.binary(max_size=400),
    content_type=st.sampled_from(MEDIA_TYPES) | HEADER_TEXT,
    encoding=st.sampled_from(["", "identity", "gzip", "zstd"]) | HEADER_TEXT,
    query=st.sampled_from(["", "?atomic=true", "?atomic", "?%ff=%00&&;"]),
)
def test_any_bytes_get_an_answer(
    door: Any, body: bytes, content_type: str, encoding: str, query: str
) -> None:
    """Under any content type and encoding."""
    answer = door.send(body, content_type, content_encoding=encoding, query=query)
    assert answer.status_code in STATUSES
    assert answer.headers["x-correlation-id"]
    answer.json()


@BOUNDED
@given(
    data=st.data(), pack=st.sampled_from([("", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)])
)
def test_any_json_beside_an_event_leaves_the_event_accepted(
    door: Any, event: Make, data: st.DataObject, pack: Any
) -> None:
    """Each event is decided alone: what is accepted and refused adds up to what was sent, in the log too."""
    others = data.draw(st.lists(VALUES, max_size=4))
    near = data.draw(st.dictionaries(st.sampled_from(sorted(event())), VALUES, max_size=3))
    events = [*others, event(), event() | near]
    encoding, compress = pack
    before = door.queue.next_offset()
    told = door.send(compress(json.dumps(events).encode()), content_encoding=encoding).json()
    assert told["accepted"] >= 1
    assert told["accepted"] + told["refused"] == len(events) == door.queue.next_offset() - before
    assert len(others) not in [each["index"] for each in told.get("errors", [])]


@BOUNDED
@given(cut=st.integers(0, 400), flip=st.integers(0, 400), packing=st.sampled_from(["gzip", "zstd"]))
def test_a_damaged_compressed_body_gets_an_answer(
    door: Any, event: Make, cut: int, flip: int, packing: str
) -> None:
    """Cut short, or with a byte changed."""
    body = json.dumps([event(str(number)) for number in range(20)]).encode()
    packed = bytearray(gzip.compress(body) if packing == "gzip" else zstandard.compress(body))
    packed[flip % len(packed)] ^= 0xFF
    answer = door.send(bytes(packed[: max(1, cut % len(packed))]), content_encoding=packing)
    assert answer.status_code == 400
