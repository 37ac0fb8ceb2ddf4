"""`billing rules import genai-prices` writes rule books that pass `billing rules check`."""

import sys
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
)

from billing_pipeline.rating.rule_book_yaml import load_rule_book, load_rule_books

Billing = Callable[..., Any]
IMPORT = ("rules", "import", "genai-prices")


@pytest.fixture
def two_changes() -> Iterator[None]:
    """A package that knows one model, with new prices on two days; only the second one is about tokens."""
    prices = [
        ConditionalPrice(prices=ModelPrice(output_mtok=Decimal(3))),
        ConditionalPrice(
            StartDateConstraint(date(2026, 11, 1)),
            prices=ModelPrice(output_mtok=Decimal(3), web_searches_kcount=Decimal(1)),
        ),
        ConditionalPrice(StartDateConstraint(date(2026, 12, 1)), prices=ModelPrice(output_mtok=Decimal(2))),
    ]
    models = [
        ModelInfo(id="atlas", match=ClauseEquals("atlas"), prices=prices),
        ModelInfo(id="nova", match=ClauseStartsWith("nova-"), prices=prices),
    ]
    provider = Provider(id="own", name="Own", api_pattern="", models=models)
    set_custom_snapshot(DataSnapshot([provider], from_auto_update=False))
    yield
    set_custom_snapshot(None)


def test_real_prices_make_a_rule_book_that_has_no_gaps(tmp_path: Path, billing: Billing) -> None:
    """Of one provider, on standard output; what was left out is counted on standard error."""
    done = billing(tmp_path / "home", *IMPORT, "--provider", "anthropic", "--from", "2026-10-16")
    assert done.returncode == 0
    path = tmp_path / "draft.yaml"
    path.write_text(done.stdout, "utf-8")
    prices = load_rule_book(path).price_tables["models_usd"].prices
    assert f"{len(prices):,} prices of " in done.stderr
    assert {match[1] for match in prices} >= {"input_uncached", "input_cached", "output", "input_cache_write"}
    checked = billing(tmp_path / "home", "rules", "check", "--strict", path)
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (
        0,
        "1 rule book: 0 faults, 0 warnings, 0 notes",
    )


@pytest.mark.usefixtures("two_changes")
def test_one_rule_book_lists_the_changes_that_come_later(tmp_path: Path, billing: Billing) -> None:
    """A file that is there already is never overwritten."""
    path = tmp_path / "draft.yaml"
    arguments = (*IMPORT, "--from", "2026-10-16", "--version", "list-1", "--models", "atlas", "-o", path)
    assert billing(tmp_path / "home", *arguments).returncode == 0
    assert load_rule_book(path).version == "list-1"
    assert path.read_text("utf-8").endswith("#   2026-12-01: own atlas output: 3 -> 2\n")
    again = billing(tmp_path / "home", *arguments)
    assert again.returncode == 1
    assert f"{path} is there already" in again.stderr


@pytest.mark.usefixtures("two_changes")
def test_all_versions_are_one_rule_book_per_day_on_which_a_price_changes(
    tmp_path: Path, billing: Billing
) -> None:
    """From the given day on; they load as the versions of one folder."""
    folder = tmp_path / "books"
    done = billing(tmp_path / "home", *IMPORT, "--from", "2026-10-16", "--all-versions", folder)
    assert done.returncode == 0
    assert done.stdout.split() == [
        str(folder / f"genai-prices-{day}.yaml") for day in ("2026-10-16", "2026-12-01")
    ]
    books = load_rule_books(folder)
    assert [(book.version, f"{book.effective_from:%Y-%m-%d}") for book in books] == [
        ("genai-prices-2026-10-16", "2026-10-16"),
        ("genai-prices-2026-12-01", "2026-12-01"),
    ]
    assert [str(book.price_tables["models_usd"].prices["atlas", "output"].price) for book in books] == [
        "3",
        "2",
    ]
    again = billing(tmp_path / "home", *IMPORT, "--from", "2026-12-01", "--all-versions", folder)
    assert again.returncode == 1


@pytest.mark.usefixtures("two_changes")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "x.yaml", "--all-versions", "x"), "give either --output for one rule book or --all-versions"),
        (("--version", "List 1"), "'List 1' is no version"),
        (("--models", "nova"), "none of the 1 models has a whole name and a price of tokens"),
        (("--provider", "owm"), "did you mean 'own'?"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, billing: Billing, arguments: tuple[str, ...], words: str
) -> None:
    """Before anything is written."""
    done = billing(tmp_path / "home", *IMPORT, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


def test_without_the_package_the_error_says_how_to_install_it(
    tmp_path: Path, billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra, for those who import prices."""
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    done = billing(tmp_path / "home", *IMPORT)
    assert done.returncode == 1
    assert "pip install 'billing-pipeline[genai-prices]'" in done.stderr
