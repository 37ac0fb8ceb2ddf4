"""Writes published prices of models as a rule book to review: one meter, one price table, one plan."""

import re
import textwrap
from collections.abc import Iterator, Sequence

from billing_pipeline.rating.model_prices import PER, ModelPrices, PriceChange, PriceList, TokenPrice
from billing_pipeline.rating.money import plain

WIDTH = 118
PROVIDERS_NAMED = 5
_REVIEW = (
    "To review: published prices may be late or wrong, and comments say what is left out of them. A table goes by the "
    "whole name of a model; for names that only fit a pattern import those that you send, by --models NAME."
)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*([._/-][A-Za-z0-9]+)+")
"""What YAML reads as the same text without quotes; a single word might be `null` or `no`."""


def rule_book_text(prices: PriceList, version: str, source: str, later: Sequence[PriceChange] = ()) -> str:
    """The rule book as YAML, with comments on everything that it leaves out.

    With several providers, which may price one name differently, the table is by provider, too.

    Args:
        prices: the prices in force when the book starts.
        version: its name.
        source: where the prices are from, such as `genai-prices 0.2.3`.
        later: changes that are known to come after.
    """
    by_provider = len(prices.providers) > 1
    by = ["provider", "model", "token_class"] if by_provider else ["model", "token_class"]
    of = (
        ", ".join(prices.providers)
        if len(prices.providers) <= PROVIDERS_NAMED
        else f"{len(prices.providers)} providers"
    )
    lines = [
        *_comment(
            "",
            f"List prices of {of} in US dollars per 1,000,000 tokens, as {source} knows them for {prices.day}.",
        ),
        *_comment("", _REVIEW),
        f"version: {_text(version)}",
        f"effective_from: {prices.day}T00:00:00Z",
        f"description: {_text(f'List prices from {source}.')}",
        "",
        "units: [token]",
        "",
        "meters:",
        "  llm_tokens:",
        f"    description: Tokens by {', '.join(by).replace('_', ' ')}.",
        "    unit: token",
        "    aggregation: sum",
        f"    group_by: [{', '.join(by)}]",
        "",
        "price_tables:",
        "  models_usd:",
        "    currency: usd",
        f"    by: [{', '.join(by)}]",
        f"    per: {PER}",
        "    rows:",
        *(line for model in prices.models for line in _model(model, by_provider=by_provider)),
        "",
        "plans:",
        "  standard:",
        "    currency: usd",
        "    charges:",
        "      - {name: llm_tokens, meter: llm_tokens, description: LLM tokens,",
        "         price: {model: per_unit, table: models_usd}}",
        *_later(later),
    ]
    return "\n".join(lines) + "\n"


def _model(model: ModelPrices, *, by_provider: bool) -> Iterator[str]:
    yield from _comment("      ", f"{model.provider}: {model.model}")
    for sentence in model.left_out:
        yield from _comment("      ", f"  left out: {sentence}")
    provider = f"provider: {_text(model.provider)}, " if by_provider else ""
    for name in model.names:
        for price in model.prices:
            match = f"{provider}model: {_text(name)}, token_class: {price.token_class}"
            yield from _row(match, price)


def _row(match: str, price: TokenPrice) -> Iterator[str]:
    row = f"      - {{match: {{{match}}}, unit_price: {plain(price.price)}}}"
    if not price.note:
        yield row
    elif len(row) + len(price.note) + 4 <= WIDTH:
        yield f"{row}  # {price.note}"
    else:
        yield from _comment("      ", price.note)
        yield row


def _later(later: Sequence[PriceChange]) -> Iterator[str]:
    if later:
        yield ""
        yield from _comment(
            "", "Later changes that are known already; each needs a rule book that starts on its day:"
        )
        for change in later:
            yield from _comment("", f"  {change}")


def _comment(indent: str, text: str) -> list[str]:
    lead = " " * (len(text) - len(text.lstrip()))
    text = "".join(each if each.isprintable() else " " for each in text)  # others could end the comment
    return textwrap.wrap(
        text.strip(),
        WIDTH,
        initial_indent=f"{indent}# {lead}",
        subsequent_indent=f"{indent}# {lead}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _text(text: str) -> str:
    """The text as a YAML scalar that is read back as it is, whatever characters are in it."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if " " <= each <= "~" else f"\\U{ord(each):08X}" for each in escaped) + '"'
