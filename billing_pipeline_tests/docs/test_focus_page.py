"""The page about exports is true to the columns that are written."""

import re

from billing_pipeline.audit.export.focus_columns import FOCUS_COLUMNS
from billing_pipeline.settings import PROJECT_ROOT


def test_every_column_is_mapped_in_its_order() -> None:
    """With its level, and whether it may be null, as the schema has it."""
    page = (PROJECT_ROOT / "docs" / "focus-export.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (yes|no) \| (.+) \|$", page, re.MULTILINE)
    assert [row[:3] for row in rows] == [
        (column.name, column.level.value, "yes" if column.nullable else "no") for column in FOCUS_COLUMNS
    ]
    assert all(row[3] for row in rows)
