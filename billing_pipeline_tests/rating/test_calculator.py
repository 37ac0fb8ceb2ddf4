"""The calculator answers each line in its place, exactly, with the code that rates invoices."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.rating.calculator import Calculator
from billing_pipeline.terminal.rate_report import lines_as_they_come

PAGE = Path(__file__).parents[2] / "docs" / "calculator.md"
EXAMPLES = re.findall(r"^\$ (\{.*\})\n(\{.*\})$", PAGE.read_text("utf-8"), re.MULTILINE)
FLAT = '{"charge": {"model": "per_unit", "unit_price": 2}, "quantity": %s, "currency": "usd"}'


class Chunks:
    """Bytes that come in pieces of a few."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content = content
        self._size = size

    def read1(self, size: int, /) -> bytes:
        size = min(size, self._size)
        found, self._content = self._content[:size], self._content[size:]
        return found


def answer(line: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(Calculator().answer(line.encode()))
    return found


@pytest.mark.parametrize(("line", "answered"), EXAMPLES)
def test_the_examples_of_its_page_are_what_it_answers(line: str, answered: str) -> None:
    """To the word."""
    assert Calculator().answer(line.encode()) == answered


def test_its_page_has_an_example_of_every_charge_model() -> None:
    from billing_pipeline.rating.charge_models.by_name import CHARGE_MODELS

    assert {json.loads(line)["charge"]["model"] for line, _ in EXAMPLES} == {*CHARGE_MODELS, "flat_fee"}


def test_numbers_keep_every_digit_that_was_written() -> None:
    """29 digits before the point and 9 after it, as a number and as a text."""
    digits = "12345678901234567890123456789.123456789"
    doubled = str(Decimal("24691357802469135780246913578.246913578"))
    assert answer(FLAT % digits)["amount"] == answer(FLAT % f'"{digits}"')["amount"] == doubled


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("", "line"),
        ("[]", "line"),
        ("{", "line"),
        ("{}", "charge"),
        (FLAT % '"-1"', "quantity"),
        (FLAT % "1e3", "quantity"),
        (FLAT % "true", "quantity"),
        ((FLAT % "1").replace("usd", "usx"), "currency"),
        ((FLAT % "1").replace("per_unit", "per_unti"), "charge.model"),
        ((FLAT % "1").replace("unit_price", "price"), "charge.price"),
        ((FLAT % "1").replace('"currency"', '"share": "3/2", "currency"'), "share"),
        ((FLAT % "1").replace('"currency"', '"colour": 1, "currency"'), "colour"),
        ((FLAT % "1").replace('"unit_price": 2', '"table": "list"'), "charge.table"),
        ((FLAT % "1").replace('"quantity": 1, ', ""), "quantity"),
    ],
)
def test_a_fault_is_answered_in_its_place_with_its_field(line: str, field: str) -> None:
    """And what to do."""
    error = answer(line)["error"]
    assert isinstance(error, dict)
    assert error["field"] == field, error
    assert len(error["message"]) > 10


def test_a_combination_without_a_price_is_an_error_not_nothing() -> None:
    line = EXAMPLES[1][0].replace('"dimensions": {"tool": "web_search"}', '"dimensions": {"tool": "other"}')
    assert "tool=other" in json.dumps(answer(line))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([a.encode() for a, _ in EXAMPLES])), max_size=8
    ),
    st.integers(1, 64),
)
def test_there_is_one_answer_for_each_line_however_the_bytes_come(lines: list[bytes], size: int) -> None:
    """Whatever the bytes are; the same charge answered the same, read before or not."""
    lines = [line.replace(b"\n", b"") for line in lines]
    calculator = Calculator()
    content = b"".join(line + b"\n" for line in lines)
    read = [line for some in lines_as_they_come(Chunks(content, size)) for line in some]
    assert read == lines or content.startswith(b"\xef\xbb\xbf")
    answers = [calculator.answer(line) for line in read]
    assert answers == [Calculator().answer(line) for line in read]
    assert all("\n" not in each and isinstance(json.loads(each), dict) for each in answers)


def test_a_line_that_is_too_long_is_answered_and_the_next_one_is_read() -> None:
    """Without its million bytes being kept."""
    content = b"1" * 1_200_000 + b"\n" + (FLAT % "1").encode() + b"\n"
    read = [line for some in lines_as_they_come(Chunks(content, 65_536)) for line in some]
    assert [line is None for line in read] == [True, False]
    assert "1,000,000 bytes" in Calculator().answer(None)
