"""Chooses models of the package `genai-prices`, which ships its prices as data: nothing is fetched."""

import difflib
from collections.abc import Iterator, Sequence
from datetime import date
from fnmatch import fnmatchcase
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from billing_pipeline.errors import PriceImportError

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, Provider

PACKAGE = "genai-prices"
_WILDCARDS = frozenset("*?[")


class Chosen(NamedTuple):
    """A model and the names under which its prices are wanted."""

    provider: "Provider"
    model: "ModelInfo"
    names: tuple[str, ...]
    left_out: tuple[str, ...]


def source() -> str:
    """The package and its version.

    Raises:
        PriceImportError: it is not installed.
    """
    _providers()
    return f"{PACKAGE} {version(PACKAGE)}"


def choose(provider_ids: Sequence[str], patterns: Sequence[str]) -> list[Chosen]:
    """The models of some providers (of all where none is named) whose names fit one of the patterns.

    A pattern without wildcards that is no model's own name is looked up as the package looks up what a response
    names: `claude-opus-4-1-20250805` is priced as the model whose dated names start like that.

    Raises:
        PriceImportError: the package is not installed, knows no such provider, or no model fits.
    """
    known = {provider.id: provider for provider in _providers()}
    for provider_id in provider_ids:
        if provider_id not in known:
            near = difflib.get_close_matches(provider_id, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise PriceImportError(f"{PACKAGE} knows no provider {provider_id!r}; {hint}")
    wanted = [known[provider_id] for provider_id in sorted(set(provider_ids) or known)]
    for pattern in patterns:
        if not any(_fits(provider, model, pattern) for provider in wanted for model in provider.models):
            raise PriceImportError(
                f"{PACKAGE} knows no model of {', '.join(provider_ids) or 'any provider'} named like {pattern!r}; "
                "give another name or pattern, such as 'gpt-*'"
            )
    return [each for provider in wanted for each in _of_provider(provider, patterns)]


def change_days(chosen: Sequence[Chosen]) -> list[date]:
    """The days on which the package knows a price of one of the models to start."""
    days: set[date] = set()
    for each in chosen:
        for conditional in each.model.prices if isinstance(each.model.prices, list) else ():
            start = getattr(conditional.constraint, "start_date", None)
            if start is not None:
                days.add(start)
    return sorted(days)


def _providers() -> "Sequence[Provider]":
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError as error:
        raise PriceImportError(
            f"the package {PACKAGE} is not installed; install it with `uv sync --extra genai-prices`, or with "
            "`pip install 'billing-pipeline[genai-prices]'`"
        ) from error
    return get_snapshot().providers


def _of_provider(provider: "Provider", patterns: Sequence[str]) -> Iterator[Chosen]:
    for model in provider.models:
        names = [
            name
            for name in _whole_names(model)
            if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        names += [
            pattern for pattern in patterns if pattern not in names and _looked_up(provider, model, pattern)
        ]
        if not names:
            continue
        left_out: list[str] = []
        for name in [*names]:
            priced_as = provider.find_model(name)
            if priced_as is not model:
                names.remove(name)
                as_what = f"is priced as {priced_as.id}" if priced_as else "fits none of its patterns"
                left_out.append(f"the name {name}, which {as_what}")
        yield Chosen(provider, model, tuple(names), (*left_out, *_patterns(model)))


def _fits(provider: "Provider", model: "ModelInfo", pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in _whole_names(model)) or _looked_up(
        provider, model, pattern
    )


def _looked_up(provider: "Provider", model: "ModelInfo", name: str) -> bool:
    """Whether the package prices a name as this model, though it is not one of the model's own."""
    return not _WILDCARDS & set(name) and model.is_match(name) and provider.find_model(name) is model


def _whole_names(model: "ModelInfo") -> list[str]:
    """The model's id and the names that its matching logic asks for as a whole."""
    equal = [clause.equals for clause in _clauses(model.match) if hasattr(clause, "equals")]
    return list(dict.fromkeys([model.id, *equal]))


def _clauses(match: "MatchLogic") -> "Iterator[MatchLogic]":
    alternatives = getattr(match, "or_", None)
    if alternatives is None:
        yield match
    else:
        for each in alternatives:
            yield from _clauses(each)


def _patterns(model: "ModelInfo") -> list[str]:
    words = []
    for clause in _clauses(model.match):
        kinds = (kind for kind in ("starts_with", "ends_with", "contains", "regex") if hasattr(clause, kind))
        words += [f"{kind} {getattr(clause, kind)!r}" for kind in kinds]
        words += ["a combination of patterns"] if hasattr(clause, "and_") else []
    return [f"names by pattern ({', '.join(words)})"] if words else []
