"""`billing rules import genai-prices`: published model prices as rule books to review."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import click

from billing_pipeline.errors import PriceImportError
from billing_pipeline.rating.document import NAME
from billing_pipeline.rating.model_price_book import rule_book_text
from billing_pipeline.rating.model_prices import PriceChange, PriceList, price_changes
from billing_pipeline.terminal.genai_model_prices import price_list
from billing_pipeline.terminal.genai_price_source import PACKAGE, Chosen, change_days, choose, source


@dataclass(frozen=True)
class PriceImport:
    """What is imported, and where it goes: to `output`, a file per change in `folder`, or standard output."""

    providers: tuple[str, ...]
    models: tuple[str, ...]
    day: date
    version: str | None
    output: Path | None
    folder: Path | None


def import_prices(request: PriceImport) -> None:
    """Write the rule books, and what they hold and leave out to standard error.

    Raises:
        PriceImportError: the package is missing or knows nothing of the kind, or a file is there already.
    """
    if request.output and request.folder:
        raise PriceImportError("give either --output for one rule book or --all-versions for one per change")
    chosen = choose(request.providers, request.models)
    lists = _lists(chosen, request.day)
    if not lists[0].row_count:
        raise PriceImportError(
            f"none of the {len(chosen):,} models has a whole name and a price of tokens; name those that you send "
            "by --models"
        )
    if request.folder:
        _write_all(request, request.folder, lists)
    else:
        later = [change for earlier, after in pairwise(lists) for change in price_changes(earlier, after)]
        _write_one(request, lists[0], later)
    _report(lists[0], len(lists) - 1)


def _lists(chosen: Sequence[Chosen], day: date) -> list[PriceList]:
    """The prices of the day, and of every later day on which a row is known to change."""
    lists = [price_list(chosen, day)]
    for later in change_days(chosen):
        if later > day:
            following = price_list(chosen, later)
            if following.by_row() != lists[-1].by_row():
                lists.append(following)
    return lists


def _write_one(request: PriceImport, prices: PriceList, later: Sequence[PriceChange]) -> None:
    version = _version(request.version or f"{PACKAGE}-{prices.day}")
    text = rule_book_text(prices, version, source(), later)
    if request.output is None:
        click.echo(text, nl=False)
        return
    _refuse_existing([request.output])
    request.output.write_text(text, "utf-8")


def _write_all(request: PriceImport, folder: Path, lists: Sequence[PriceList]) -> None:
    versions = [_version(f"{request.version or PACKAGE}-{prices.day}") for prices in lists]
    paths = [folder / f"{version}.yaml" for version in versions]
    _refuse_existing(paths)
    folder.mkdir(parents=True, exist_ok=True)
    for path, version, prices in zip(paths, versions, lists, strict=True):
        path.write_text(rule_book_text(prices, version, source()), "utf-8")
        click.echo(str(path))


def _version(version: str) -> str:
    if not NAME.fullmatch(version):
        raise PriceImportError(f"{version!r} is no version; use 1 to 64 of a-z, 0-9, '.', '_', '-'")
    return version


def _refuse_existing(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.exists():
            raise PriceImportError(
                f"{path} is there already, and rule books are not overwritten; choose another name"
            )


def _report(prices: PriceList, later: int) -> None:
    priced = [model for model in prices.models if model.row_count]
    left_out = sum(len(model.left_out) for model in prices.models)
    left_out += sum(price.note.startswith("left out") for model in priced for price in model.prices)
    click.echo(
        f"{prices.row_count:,} prices of {len(priced):,} models in force on {prices.day}; "
        f"{len(prices.models) - len(priced):,} models without a row; {left_out:,} times something is left out, "
        f"which comments say; {later:,} later days with known changes",
        err=True,
    )
