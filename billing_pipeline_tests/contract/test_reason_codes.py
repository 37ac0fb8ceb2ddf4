"""The reason codes: documented, each with one sentence, and the same wherever they are listed."""

from pathlib import Path
from typing import get_args

import pytest

from billing_pipeline.contract.reason_codes import (
    CorrectionReason,
    RejectionCode,
    UsageReason,
    reason_codes_document,
)
from billing_pipeline.contract.wire import CorrectionReasonText, UsageReasonText

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reason-codes.md"


def test_the_document_is_up_to_date() -> None:
    """`docs/reason-codes.md` is what the enumerations say."""
    assert DOCUMENT.read_text("utf-8") == reason_codes_document(), (
        "run: python -m billing_pipeline.contract.reason_codes > docs/reason-codes.md"
    )


@pytest.mark.parametrize("code", [*UsageReason, *CorrectionReason, *RejectionCode])
def test_every_code_has_a_sentence(code: UsageReason | CorrectionReason | RejectionCode) -> None:
    """A sentence ends with a full stop and does not merely repeat the code."""
    assert code.meaning.endswith(".")
    assert " " in code.meaning
    assert code == code.value


def test_the_types_on_the_wire_list_the_same_codes() -> None:
    """The fast path knows exactly the enumerations."""
    assert set(get_args(UsageReasonText)) == {code.value for code in UsageReason}
    assert set(get_args(CorrectionReasonText)) == {code.value for code in CorrectionReason}
