"""`billing rules diff` compares versions and files, as a table or JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from billing_pipeline.settings import PROJECT_ROOT

Billing = Callable[..., Any]
NEWER = PROJECT_ROOT / "data" / "rule_books" / "2026-10-16.yaml"


def test_two_versions_are_compared_as_a_table(tmp_path: Path, billing: Billing) -> None:
    """Things by section and name, with the plans of a price table and the change in percent."""
    done = billing(tmp_path / "home", "rules", "diff", "2023-11-01", "2026-10-16")
    assert done.returncode == 0
    assert "2026-10-16 (from 2026-10-16 00:00 UTC): 9 changes" in done.stdout
    assert "price_tables / tools_usd (of standard)" in done.stdout
    (row,) = (line for line in done.stdout.splitlines() if "rows / tool=web_search" in line)
    assert [cell.strip() for cell in row.split("│")[2:6]] == ["changed", "0.01", "0.008", "-20 %"]


def test_a_version_and_a_file_are_compared_as_json(tmp_path: Path, billing: Billing) -> None:
    """Paths as lists, values as text, the percentage as a decimal."""
    draft = tmp_path / "draft.yaml"
    draft.write_text(
        NEWER.read_text("utf-8").replace(
            "tool: retrieval}, unit_price: 0.0025", "tool: retrieval}, unit_price: 0.002"
        )
    )
    document = json.loads(billing(tmp_path / "home", "rules", "diff", "--json", "2026-10-16", draft).stdout)
    assert document["from"]["version"] == document["to"]["version"] == "2026-10-16"
    assert document["from"]["content_hash"] != document["to"]["content_hash"]
    assert document["changes"] == [
        {
            "path": ["price_tables", "tools_usd", "rows", "tool=retrieval"],
            "change": "changed",
            "old": "0.0025",
            "new": "0.002",
            "percent": "-20",
            "used_by": ["standard"],
        }
    ]


def test_books_that_say_the_same_and_books_that_are_not_there(tmp_path: Path, billing: Billing) -> None:
    """The first is an answer, the second an error with the nearest version."""
    same = billing(tmp_path / "home", "rules", "diff", "2026-10-16", NEWER)
    assert (same.returncode, same.stdout) == (0, "2026-10-16 and 2026-10-16 say the same\n")
    none = billing(tmp_path / "home", "rules", "diff", "2026-10-61", NEWER)
    assert none.returncode == 1
    assert "'2026-10-61' is no file and no version of a rule book; did you mean '2026-10-16'?" in none.stderr
