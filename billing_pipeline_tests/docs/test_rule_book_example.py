"""The complete example of a rule book in the documents is one: it loads, and nothing is missing in it."""

import re
from pathlib import Path

from billing_pipeline.rating.book_gaps.find import find_gaps
from billing_pipeline.rating.rule_book_yaml import load_rule_book

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rule-books.md"


def test_the_example_is_a_rule_book_without_gaps(tmp_path: Path) -> None:
    """With every section there is."""
    (example,) = re.findall(r"^```yaml\n(version.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    path = tmp_path / "book.yaml"
    path.write_text(example, "utf-8")
    book = load_rule_book(path)
    assert find_gaps(book) == []
    assert book.plans["growth"].trial_days == 14
    assert all((book.meters, book.price_tables, book.add_ons, book.coupons, book.plans["growth"].terms))
