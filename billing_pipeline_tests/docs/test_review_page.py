"""What `docs/review.md` gives to receivers of the webhook is true of what the sender sends."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.guardrails.notices.signature import headers_of, secrets_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "review.md"
OLD, NEW = ("whsec_" + letter * 40 for letter in "AB")
BODY = b'{"type":"review.breaker","data":{}}'


@pytest.fixture(scope="module")
def is_genuine() -> Callable[[str, dict[str, str], bytes], bool]:
    """The page's own code."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the project's own document
    found: Callable[[str, dict[str, str], bytes], bool] = names["is_genuine"]
    return found


def test_a_notice_is_genuine_by_the_pages_code(is_genuine: Callable[..., bool]) -> None:
    """Also while two secrets sign."""
    headers = headers_of(secrets_of(f"{OLD} {NEW}"), "notice_1_2", int(time.time()), BODY)
    assert is_genuine(OLD, headers, BODY)
    assert is_genuine(NEW, headers, BODY)


def test_what_was_changed_is_old_or_is_signed_by_another_is_not(is_genuine: Callable[..., bool]) -> None:
    now = int(time.time())
    headers = headers_of(secrets_of(OLD), "notice_1_2", now, BODY)
    assert not is_genuine(OLD, headers, BODY + b" ")
    assert not is_genuine(OLD, headers | {"webhook-id": "notice_1_3"}, BODY)
    assert not is_genuine(OLD, headers | {"webhook-timestamp": str(now + 1)}, BODY)
    assert not is_genuine(NEW, headers, BODY)
    assert not is_genuine(OLD, headers_of(secrets_of(OLD), "notice_1_2", now - 600, BODY), BODY)
