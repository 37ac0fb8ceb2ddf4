"""What `docs/contracts.md` shows can be applied as it stands, and holds when it says so."""

import re
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.registry_files.customers import CONTRACTS, read_entries
from billing_pipeline.rating.registry_files.loading import load_changes
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.terminal.registry_document import as_document

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "contracts.md").read_text("utf-8")
FORM, EXAMPLE, *PRICES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LOGGED = re.compile(r"^\| (`\w+`)? *\| [^|]*\| (`.+?`) \| ", re.MULTILINE)
ROW = re.compile(r"^\| (\d{4}-\d\d-\d\d) \| (\w+) \| (\w*) ?\| ([^|]*?) ?\| (\w+) \|$", re.MULTILINE)


def write(folder: Path, text: str) -> Path:
    path = folder / "contracts.yaml"
    path.write_text(text, "utf-8")
    return path


def applied(folder: Path, text: str) -> list[RegistryChange]:
    """The changes of a file under the rule books of the demo."""
    books = load_rule_books(ROOT / "data" / "rule_books")
    return load_changes(write(folder, text), Registry(()), books)


def test_the_form_can_be_read_and_shows_every_entry(tmp_path: Path) -> None:
    """Whatever a customer can agree to is in it, and every entity and change in the table of the log."""
    changes = [entry.change for entry in read_entries(read_document(write(tmp_path, FORM)))]
    for name in CONTRACTS:
        assert f"\n    {name}:" in FORM
    listed: set[tuple[str, str]] = set()
    entity = ""
    for first, change in LOGGED.findall(PAGE.split("## In the log")[1]):
        entity = first.strip("`") or entity
        listed |= {(entity, each) for each in re.findall(r"`(\w+)`", change)}
    assert {(each.entity, each.change) for each in changes} == listed


@pytest.mark.parametrize("text", PRICES)
def test_a_missing_price_is_added_as_shown(tmp_path: Path, text: str) -> None:
    """To plans of the demo's rule books."""
    [change] = applied(tmp_path, text)
    assert change.entity == "plan_override"


@pytest.mark.parametrize("row", ROW.findall(PAGE), ids=lambda row: str(row[0]))
def test_every_day_of_the_example_is_as_the_table_says(tmp_path: Path, row: tuple[str, ...]) -> None:
    """Plan, trial, override and credit."""
    day, plan, trial, price, credit = row
    books = load_rule_books(ROOT / "data" / "rule_books")
    shown = as_document(Registry(applied(tmp_path, EXAMPLE)), books, "acme", date.fromisoformat(day))
    held = shown["plan"] or {"plan": "none", "in_trial": False}
    assert held["plan"] == plan
    assert held["in_trial"] == (trial == "yes")
    assert bool(shown["overrides"]) == ("launch-deal" in price)
    assert [each["id"] for each in shown["credit_grants"] if each["in_force"]] == [credit] * (
        credit != "none"
    )


def test_the_table_of_days_is_there() -> None:
    """The pattern above finds every row of it."""
    assert len(ROW.findall(PAGE)) == len(re.findall(r"^\| 20\d\d-", PAGE, re.MULTILINE)) > 0
