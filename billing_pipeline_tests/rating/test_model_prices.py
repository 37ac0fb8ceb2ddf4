"""Published prices become a rule book that says exactly these prices, and says what it leaves out."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_pipeline.rating.book_gaps.find import find_gaps
from billing_pipeline.rating.model_price_book import WIDTH, rule_book_text
from billing_pipeline.rating.model_prices import (
    ModelPrices,
    PriceChange,
    PriceList,
    TokenPrice,
    fits,
    price_changes,
)
from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.rating.rule_book_yaml import load_rule_book

DAY = date(2026, 10, 16)


def model(name: str = "atlas", price: str = "3", provider: str = "own", **fields: object) -> ModelPrices:
    made = ModelPrices(provider, name, (name,), (TokenPrice("output", Decimal(price)),))
    return made._replace(**fields)  # type: ignore[arg-type]  # as given by the test


def book_of(folder: Path, prices: PriceList) -> RuleBook:
    path = folder / "book.yaml"
    path.write_text(rule_book_text(prices, "draft", "a price list 1.0"), "utf-8")
    return load_rule_book(path)


def test_the_rule_book_is_whole_and_without_gaps(tmp_path: Path) -> None:
    """Meter, table and plan fit together; the book starts on the day of the prices."""
    book = book_of(tmp_path, PriceList(DAY, (model(), model("nova", "0.0001"))))
    assert (book.version, book.effective_from) == ("draft", datetime(2026, 10, 16, tzinfo=UTC))
    assert find_gaps(book) == []
    table = book.price_tables["models_usd"]
    assert table.by == book.meters["llm_tokens"].group_by == ("model", "token_class")
    assert {match: price.text for match, price in table.prices.items()} == {
        ("atlas", "output"): "3 per 1,000,000",
        ("nova", "output"): "0.0001 per 1,000,000",
    }


def test_several_providers_are_kept_apart(tmp_path: Path) -> None:
    """They may price one name differently."""
    book = book_of(tmp_path, PriceList(DAY, (model(), model(price="4", provider="other"))))
    prices = book.price_tables["models_usd"].prices
    assert {match: str(price.price) for match, price in prices.items()} == {
        ("other", "atlas", "output"): "4",
        ("own", "atlas", "output"): "3",
    }


NAMES = st.one_of(
    st.sampled_from(
        [
            "null",
            "no",
            "1.0",
            "~",
            "a: b",
            "a #b",
            "'",
            "- x",
            "{",
            "on",
            "2026-10-16",
            "0x1F",
            "\\",
            '"',
            "\u2028x",
            "\ufeff",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=1, max_size=6, unique=True), price=st.decimals(0, 10**12 - 1, places=9))
def test_names_and_prices_are_read_back_as_they_were(
    tmp_path: Path, names: list[str], price: Decimal
) -> None:
    """Whatever YAML would make of them unquoted."""
    prices = PriceList(DAY, tuple(model(name, f"{price:f}") for name in names))
    rows = book_of(tmp_path, prices).price_tables["models_usd"].prices
    assert [match[0] for match in rows] == names
    assert {row.price for row in rows.values()} == {price}


def test_what_is_left_out_and_what_comes_later_stands_in_comments() -> None:
    """Beside the row where it fits, above it where not, and no line is too long to read."""
    rows = (
        TokenPrice("output", Decimal(3), "short"),
        TokenPrice("input_uncached", Decimal(1), "a long note " * 8),
    )
    prices = PriceList(DAY, (model(prices=rows, left_out=("prices per hour", "a reason " * 30)),))
    later = [PriceChange(date(2026, 11, 1), "own", "atlas", "output", Decimal(3), Decimal("2.5"))]
    text = rule_book_text(prices, "draft", "a price list 1.0", later)
    assert "      #   left out: prices per hour\n" in text
    assert "unit_price: 3}  # short\n" in text
    assert (
        'a long note\n      - {match: {model: "atlas", token_class: input_uncached}, unit_price: 1}\n' in text
    )
    assert text.endswith("#   2026-11-01: own atlas output: 3 -> 2.5\n")
    assert max(map(len, text.splitlines())) <= WIDTH


def test_changes_are_the_rows_that_cost_something_else() -> None:
    """Also those that come and go, in the order of their names."""
    earlier = PriceList(DAY, (model("a"), model("b"), model("c")))
    later = PriceList(date(2026, 11, 1), (model("b", "5"), model("c", "3.0"), model("d")))
    assert [str(change) for change in price_changes(earlier, later)] == [
        "2026-11-01: own a output: 3 -> none",
        "2026-11-01: own b output: 3 -> 5",
        "2026-11-01: own d output: none -> 3",
    ]


@pytest.mark.parametrize(
    ("price", "does"),
    [("0.000000001", True), ("0.0000000001", False), ("999999999999", True), ("1000000000000", False)],
)
def test_a_price_with_too_many_digits_does_not_fit(price: str, does: bool) -> None:
    """As a rule book takes it for 1,000,000."""
    assert fits(Decimal(price)) is does
