"""What an answer means, as a pure rule."""

import pytest

from billing_pipeline.emit.answers import (
    Answer,
    Held,
    NoAnswer,
    Settled,
    Split,
    TryAgain,
    retry_after_seconds,
)
from billing_pipeline.emit.answers import verdict_of as judged
from billing_pipeline.errors import EventFault


def test_only_202_207_and_422_settle_and_no_status_is_without_a_meaning() -> None:
    for status in range(100, 600):
        verdict = judged(Answer(status, {}, b'{"accepted": 2, "refused": 0}'), 2)
        assert isinstance(verdict, Settled) == (status in {202, 207, 422})
        assert isinstance(verdict, TryAgain) == (status in {408, 425, 429} or status >= 500)
        assert isinstance(verdict, Split) == (status == 413)


def test_a_refusal_that_says_little_settles_its_event_all_the_same() -> None:
    body = (
        b'{"accepted": 0, "refused": 1, "errors": [{"index": 0, "code": null, "value": 7, "message": null}]}'
    )
    assert judged(Answer(422, {}, body), 1) == Settled({0: EventFault("", "", "7", "")})


def test_no_answer_is_tried_again_with_its_reason() -> None:
    assert judged(NoAnswer("ConnectError"), 1) == TryAgain("ConnectError")


def test_the_gateways_words_are_told() -> None:
    body = b'{"error": {"code": "unknown_key", "message": "the key is revoked"}}'
    assert judged(Answer(401, {}, body), 1) == Held("401: the key is revoked (unknown_key)")


SENT = "Wed, 25 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "soon", "date": SENT}, None),
        ({"retry-after": "-1", "date": SENT}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT", "date": SENT}, 0.0),
        ({"retry-after": "Wed, 25 Nov 2026 12:01:30 GMT", "date": SENT}, 90.0),
        ({"retry-after": "Wed, 25 Nov 2026 12:01:30 -0000", "date": SENT}, 90.0),
        ({"retry-after": "Wed, 25 Nov 2026 12:01:30 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_anything_else_asks_for_nothing(
    headers: dict[str, str], seconds: float | None
) -> None:
    """A date is counted from the answer's own Date, so that no clock of this machine matters."""
    assert retry_after_seconds(headers) == seconds
