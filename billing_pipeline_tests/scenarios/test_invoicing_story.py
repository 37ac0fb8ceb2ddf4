"""Two months of a company as `docs/invoicing-story.md` tells them: run as it stands there, worked out by hand."""

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.settings import PROJECT_ROOT
from billing_pipeline_tests.scenarios.company import Company, lines

HERE = Path(__file__).parent / "invoicing_story"
PAGE = (PROJECT_ROOT / "docs" / "invoicing-story.md").read_text("utf-8")
BLOCK = re.compile(r"^```console\n\$ (billing [^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WIDTH = {"COLUMNS": "110"}

Told = tuple[Company, list[tuple[str, str, str]]]
"""The company, and of each block: the command, what the page says and what was printed."""


@pytest.fixture(scope="module")
def told(
    new_company: Callable[..., Company],
    billing_main: Callable[..., Any],
    process: Callable[..., Any],
) -> Told:
    """The page's commands, run one after the other in a new home."""
    company = new_company(dagster_on_disk=True)
    shutil.copytree(HERE / "data", company.data)
    blocks = []
    for command, page in BLOCK.findall(PAGE):
        words = [str(HERE / word) if word.endswith(".ndjson") else word for word in shlex.split(command)[1:]]
        if words[0] == "close":
            # In a process of its own: Dagster's partitions have the rule versions of where they are imported.
            done = process(company.home, Path(sys.executable).with_name("billing"), *words, changed=WIDTH)
        else:
            done = billing_main(company.home, *words, changed=WIDTH)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        blocks.append((command, page, done.stdout))
    return company, blocks


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()).strip()


def test_every_block_is_what_the_command_prints(told: Told) -> None:
    """The page, block by block, is what its commands print."""
    _, blocks = told
    assert len(blocks) >= 17
    for command, page, printed in blocks:
        assert _trimmed(page) == _trimmed(printed), command


@pytest.mark.parametrize(
    ("customer_id", "wanted"),
    [
        ("acme", [("usage", 1000 * 10), ("usage", 500 * 8)]),
        ("bolt", [("usage", 2000 * 5)]),
        ("core", [("usage", 300 * 10), ("credit", -300 * 10)]),
        ("dune", [("usage", 400 * 10), ("minimum", 10_000 - 400 * 10)]),
        ("echo", [("usage", 100 * 10), ("usage", 400 * 5)]),
        ("flux", [("usage", 5000 * 10)]),
    ],
)
def test_january_is_what_it_comes_to_by_hand(told: Told, customer_id: str, wanted: list[Any]) -> None:
    """Each line's component and cents: a price change, a plan change, credits and a minimum."""
    company, _ = told
    assert lines(company.invoice(customer_id, "2025-01"), "component", "amount_minor") == wanted


@pytest.mark.parametrize(
    ("customer_id", "own", "adjustments"),
    [
        ("acme", [300 * 8], [(500 + 200 - 100) * 8 - 500 * 8]),
        ("bolt", [100 * 5], [(2000 - 500) * 5 - 2000 * 5]),
        ("core", [500 * 8, -(5000 - 300 * 10)], []),
        ("dune", [1500 * 8], [200 * 10, -200 * 10]),
        ("echo", [100 * 5], []),
        ("flux", [1000 * 8], []),
        ("gale", [100 * 8], [100 * 10]),
    ],
)
def test_february_carries_the_adjustments_of_january(
    told: Told, customer_id: str, own: list[int], adjustments: list[int]
) -> None:
    """Its own lines, and for January what that comes to now less what was booked."""
    company, _ = told
    found = lines(company.invoice(customer_id, "2025-02"), "kind", "usage_period", "amount_minor")
    assert [amount for kind, _, amount in found if kind != "adjustment"] == own
    assert [(period, amount) for kind, period, amount in found if kind == "adjustment"] == [
        ("2025-01-01", amount) for amount in adjustments
    ]


def test_stripe_has_every_cent_of_both_months(
    told: Told, stripe_invoices: Callable[[Path], list[dict[str, Any]]]
) -> None:
    """All invoices final; bolt's decrease is not on its second one, as it is credited on the first."""
    company, _ = told
    found = stripe_invoices(company.home)
    assert {each["status"] for each in found} <= {"open", "paid"}
    totals: dict[str, list[int]] = {}
    for each in found:
        totals.setdefault(each["customer_id"], []).append(each["total"])
    assert {customer_id: sorted(each) for customer_id, each in totals.items()} == {
        "acme": [3_200, 14_000],
        "bolt": [500, 10_000],
        "core": [0, 2_000],
        "dune": [10_000, 12_000],
        "echo": [500, 3_000],
        "flux": [8_000, 50_000],
        "gale": [1_800],
    }
