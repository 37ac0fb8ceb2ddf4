"""What the package `genai-prices` says a model costs on a day, as rows of a price table.

What it prices by a request's size, the time of day or the kind of request has no place in a price table, whose
meters add up many requests of a day. That is said of each model and left out, never flattened into a price.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from billing_pipeline.rating.model_prices import ModelPrices, PriceList, TokenPrice, fits
from billing_pipeline.rating.money import plain
from billing_pipeline.terminal.genai_price_source import Chosen

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

UNCACHED, CACHED = "input_uncached", "input_cached"
TOKEN_CLASSES: Mapping[str, str] = {
    "input_mtok": UNCACHED,
    "cache_read_mtok": CACHED,
    "output_mtok": "output",
    "cache_write_mtok": "input_cache_write",
    "cache_write_5m_mtok": "input_cache_write_5m",
    "cache_write_1h_mtok": "input_cache_write_1h",
}
"""Token classes by the package's price keys; of another key per million tokens it is the key without `_mtok`."""
_PER_MILLION = "_mtok"
_DAY_SECONDS = 24 * 60 * 60
_Hours = list[tuple[int, int]]


def price_list(chosen: Sequence[Chosen], day: date) -> PriceList:
    """What the models cost on a UTC day."""
    return PriceList(day, tuple(_model_prices(each, day) for each in chosen))


def _model_prices(chosen: Chosen, day: date) -> ModelPrices:
    by_hours = _by_hours(chosen.model, day)
    prices, hours = max(by_hours, key=lambda pair: sum(until - start for start, until in pair[1]))
    left_out = [*chosen.left_out]
    found: list[TokenPrice] = []
    for key, value in _priced(prices):
        token_class = TOKEN_CLASSES.get(key, key.removesuffix(_PER_MILLION))
        base = value if isinstance(value, Decimal) else value.base
        if not key.endswith(_PER_MILLION):
            left_out.append(f"{key} {plain(base)}, which is no price of tokens")
        elif not fits(base):
            left_out.append(f"{token_class} {plain(base)}, which has more digits than a price may have")
        else:
            found.append(TokenPrice(token_class, base, _tiers(value)))
    for other, others_hours in by_hours:
        if other is not prices:
            what = ", ".join(f"{key} {_text(value)}" for key, value in _priced(other))
            left_out.append(
                f"{what} {_clock(others_hours)}, for a usage day is metered as a whole; the rows hold {_clock(hours)}"
            )
    left_out += [
        f"other prices where {when}, which no dimension tells" for when in _variants(chosen.model, day)
    ]
    return ModelPrices(
        chosen.provider.id, chosen.model.id, chosen.names, tuple(_with_cached(found)), tuple(left_out)
    )


def _by_hours(model: "ModelInfo", day: date) -> "list[tuple[ModelPrice, _Hours]]":
    """The different prices of a day with the seconds of the day in which each is in force."""
    cuts = {0, _DAY_SECONDS}
    for conditional in model.prices if isinstance(model.prices, list) else ():
        for name in ("start_time", "end_time"):
            moment = getattr(conditional.constraint, name, None)
            if moment is not None:
                cuts.add(_second_of_day(moment))
    found: list[tuple[ModelPrice, _Hours]] = []
    for start, until in pairwise(sorted(cuts)):
        prices = model.get_prices(datetime.combine(day, time(), tzinfo=UTC) + timedelta(seconds=start))
        known = next((hours for other, hours in found if other == prices), None)
        if known is None:
            found.append((prices, [(start, until)]))
        else:
            known.append((start, until))
    return found


def _second_of_day(moment: time) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    utc = datetime.combine(date(2000, 1, 2), aware).astimezone(UTC)
    return utc.hour * 3600 + utc.minute * 60 + utc.second


def _clock(hours: _Hours) -> str:
    """`from 00:30 to 16:30 UTC`; what goes on over midnight is one stretch."""
    parts = [*hours]
    if len(parts) > 1 and parts[0][0] == 0 and parts[-1][1] == _DAY_SECONDS:
        parts = [*parts[1:-1], (parts[-1][0], parts[0][1])]
    return " and ".join(f"from {_hour(start)} to {_hour(until)}" for start, until in parts) + " UTC"


def _hour(second: int) -> str:
    return f"{second // 3600:02d}:{second % 3600 // 60:02d}"


def _priced(prices: "ModelPrice") -> "Iterator[tuple[str, Decimal | TieredPrices]]":
    """The prices by the package's keys, those of text tokens first."""
    order = [*TOKEN_CLASSES]
    keys = [key for key, value in vars(prices).items() if value is not None and not key.startswith("_")]
    for key in sorted(keys, key=lambda key: (order.index(key) if key in order else len(order), key)):
        yield key, vars(prices)[key]


def _text(value: "Decimal | TieredPrices") -> str:
    return plain(value) if isinstance(value, Decimal) else plain(value.base)


def _tiers(value: "Decimal | TieredPrices") -> str:
    if isinstance(value, Decimal):
        return ""
    steps = [f"{plain(tier.price)} above {tier.start:,} input tokens" for tier in value.tiers]
    return f"left out: {', '.join(steps)} of one request, for meters add requests up"


def _with_cached(found: Sequence[TokenPrice]) -> Iterator[TokenPrice]:
    """Cached input of a model that has no price for it is input like any other, by the package's own rule."""
    has_cached = any(price.token_class == CACHED for price in found)
    for price in found:
        yield price
        if price.token_class == UNCACHED and not has_cached:
            yield TokenPrice(CACHED, price.price, f"no price of its own: as {UNCACHED}")


def _variants(model: "ModelInfo", day: date) -> list[str]:
    """Under which words of a request the model has other prices on the day."""
    found = []
    for variant in getattr(model, "price_variants", None) or ():
        start = getattr(variant.constraint, "start_date", None)
        if start is None or start <= day:
            found.append(" and ".join(f"{name}={value}" for name, value in sorted(variant.when.items())))
    return [", or ".join(sorted(set(found)))] if found else []
