"""The prices of the package genai-prices are taken over exactly, and nothing of them is flattened unseen."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    ConditionalPrice,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
    Usage,
)

from billing_pipeline.errors import PriceImportError
from billing_pipeline.rating.model_prices import ModelPrices
from billing_pipeline.terminal.genai_model_prices import price_list
from billing_pipeline.terminal.genai_price_source import change_days, choose

DAY = date(2026, 10, 16)
Know = Callable[..., None]


def dollars(**prices: str | TieredPrices) -> ModelPrice:
    """Prices by the package's keys."""
    return ModelPrice(
        **{key: Decimal(price) if isinstance(price, str) else price for key, price in prices.items()}
    )


def model(
    name: str = "atlas",
    prices: ModelPrice | list[ConditionalPrice] | None = None,
    match: MatchLogic | None = None,
    variants: list[PriceVariant] | None = None,
) -> ModelInfo:
    """A model of the package that matches its own name."""
    return ModelInfo(
        id=name,
        match=match or ClauseEquals(name),
        prices=prices or dollars(input_mtok="3", output_mtok="12"),
        price_variants=variants,
    )


@pytest.fixture
def know() -> Iterator[Know]:
    """Lets the package know these models of its provider `own`, and of `other`."""

    def know(*models: ModelInfo, other: Sequence[ModelInfo] = ()) -> None:
        own = Provider(id="own", name="Own", api_pattern="", models=list(models))
        second = Provider(id="other", name="Other", api_pattern="", models=list(other))
        set_custom_snapshot(DataSnapshot([own, second], from_auto_update=False))

    yield know
    set_custom_snapshot(None)


def listed(*patterns: str, day: date = DAY) -> tuple[ModelPrices, ...]:
    return price_list(choose(["own"], patterns), day).models


def rows(prices: ModelPrices) -> dict[str, str]:
    return {price.token_class: f"{price.price:f}" for price in prices.prices}


def test_token_classes_are_those_of_the_rule_books(know: Know) -> None:
    """Cache writes and other kinds of tokens have classes of their own; other prices are left out."""
    prices = dollars(
        input_mtok="3",
        cache_read_mtok="0.30",
        output_mtok="12",
        cache_write_mtok="3.75",
        cache_write_1h_mtok="6",
        input_audio_mtok="20",
        web_searches_kcount="10",
    )
    know(model(prices=prices))
    (found,) = listed()
    assert rows(found) == {
        "input_uncached": "3",
        "input_cached": "0.30",
        "output": "12",
        "input_cache_write": "3.75",
        "input_cache_write_1h": "6",
        "input_audio": "20",
    }
    assert found.left_out == ("web_searches_kcount 10, which is no price of tokens",)


def test_cached_input_without_a_price_of_its_own_costs_what_input_costs(know: Know) -> None:
    """As the package counts it, and said so; tokens that a model does not have get no row."""
    know(model(prices=dollars(input_mtok="0.02")))
    (found,) = listed()
    assert rows(found) == {"input_uncached": "0.02", "input_cached": "0.02"}
    assert [price.note for price in found.prices] == ["", "no price of its own: as input_uncached"]


def test_a_price_by_the_size_of_a_request_is_the_least_one_with_a_note(know: Know) -> None:
    """Meters add requests up, so the step cannot be told from the sum."""
    tiered = TieredPrices(base=Decimal(3), tiers=[Tier(start=200_000, price=Decimal(6))])
    know(model(prices=dollars(input_mtok=tiered, cache_read_mtok="0.3")))
    (found,) = listed()
    assert found.prices[0].price == Decimal(3)
    assert (
        found.prices[0].note
        == "left out: 6 above 200,000 input tokens of one request, for meters add requests up"
    )


@pytest.mark.parametrize(
    ("day", "price"), [(date(2026, 10, 31), "3"), (date(2026, 11, 1), "2"), (date(2026, 12, 1), "1")]
)
def test_the_price_of_a_day_is_the_one_that_has_started(know: Know, day: date, price: str) -> None:
    """And the days on which another one starts are known."""
    starts = [(None, "3"), (date(2026, 11, 1), "2"), (date(2026, 12, 1), "1")]
    prices = [
        ConditionalPrice(StartDateConstraint(start) if start else None, prices=dollars(output_mtok=price))
        for start, price in starts
    ]
    know(model(prices=prices))
    assert rows(listed(day=day)[0]) == {"output": price}
    assert change_days(choose(["own"], [])) == [date(2026, 11, 1), date(2026, 12, 1)]


def test_of_prices_by_the_time_of_day_the_longest_one_is_taken(know: Know) -> None:
    """The others are told with their hours, also over midnight."""
    night = TimeOfDateConstraint(time(16, 30, tzinfo=UTC), time(0, 30, tzinfo=UTC))
    prices = [
        ConditionalPrice(prices=dollars(output_mtok="2")),
        ConditionalPrice(night, prices=dollars(output_mtok="1")),
    ]
    know(model(prices=prices))
    (found,) = listed()
    assert rows(found) == {"output": "2"}
    hours = "from 16:30 to 00:30 UTC, for a usage day is metered as a whole"
    assert found.left_out == (f"output_mtok 1 {hours}; the rows hold from 00:30 to 16:30 UTC",)


def test_prices_by_kind_of_request_are_left_out(know: Know) -> None:
    """Those that hold on the day, by the words that ask for them."""
    variants = [
        PriceVariant({"service_tier": "flex"}, dollars(output_mtok="6")),
        PriceVariant(
            {"processing": "batch"}, dollars(output_mtok="6"), StartDateConstraint(date(2026, 10, 14))
        ),
        PriceVariant({"speed": "fast"}, dollars(output_mtok="24"), StartDateConstraint(date(2026, 10, 17))),
    ]
    know(model(variants=variants))
    assert listed()[0].left_out == (
        "other prices where processing=batch, or service_tier=flex, which no dimension tells",
    )


def test_whole_names_become_rows_and_patterns_do_not(know: Know) -> None:
    """A pattern stands for names without end; those that are sent can be named."""
    either = ClauseOr([ClauseEquals("atlas-latest"), ClauseStartsWith("atlas-2026")])
    know(model(match=either), model("nova"))
    found = listed("atlas*")
    assert [each.names for each in found] == [("atlas-latest",)]
    assert found[0].left_out == (
        "the name atlas, which fits none of its patterns",
        "names by pattern (starts_with 'atlas-2026')",
    )
    assert [each.names for each in listed("atlas-2026-10")] == [("atlas-2026-10",)]


def test_a_name_is_a_row_of_the_model_that_the_package_prices_it_as(know: Know) -> None:
    """Where an earlier model's pattern takes it, it is not given twice."""
    know(model("atlas", match=ClauseStartsWith("atlas")), model("atlas-mini"))
    found = listed()
    assert [each.names for each in found] == [("atlas",), ()]
    assert found[1].left_out == ("the name atlas-mini, which is priced as atlas",)


def test_digits_that_a_rule_book_cannot_hold_are_left_out(know: Know) -> None:
    """Never rounded."""
    know(model(prices=dollars(input_mtok="0.0000000001", output_mtok="1")))
    (found,) = listed()
    assert rows(found) == {"output": "1"}
    assert found.left_out == ("input_uncached 0.0000000001, which has more digits than a price may have",)


@pytest.mark.parametrize(
    ("providers", "patterns", "words"),
    [
        (["owm"], [], "knows no provider 'owm'; did you mean 'own'?"),
        (["zzz"], [], "known are other, own"),
        (["own"], ["atlas", "nova"], "knows no model of own named like 'nova'"),
        ([], ["x*"], "knows no model of any provider named like 'x*'"),
    ],
)
def test_what_the_package_does_not_know_is_refused(
    know: Know, providers: list[str], patterns: list[str], words: str
) -> None:
    """With the nearest name; nothing is left out in silence."""
    know(model())
    with pytest.raises(PriceImportError) as caught:
        choose(providers, patterns)
    assert words in str(caught.value)


def test_the_package_itself_comes_to_the_same_amounts() -> None:
    """For every model of two providers: 1,000 tokens of each class cost a thousandth of the row."""
    usages = {
        "input_uncached": Usage(input_tokens=1000),
        "input_cached": Usage(input_tokens=1000, cache_read_tokens=1000),
        "output": Usage(output_tokens=1000),
        "input_cache_write": Usage(input_tokens=1000, cache_write_tokens=1000),
    }
    chosen = choose(["anthropic", "mistral"], [])
    noon, compared = datetime(2026, 10, 16, 12, tzinfo=UTC), 0
    for each, prices in zip(chosen, price_list(chosen, DAY).models, strict=True):
        for price in prices.prices:
            if price.token_class in usages:
                calculated = each.model.calc_price(
                    usages[price.token_class], each.provider, genai_request_timestamp=noon
                )
                assert calculated.total_price * 1000 == price.price, (prices.model, price)
                compared += 1
    assert compared > 100
