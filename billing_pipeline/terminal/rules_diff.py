"""`billing rules diff`: what two rule books say differently, as a table or JSON."""

import difflib
import json
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_pipeline.errors import UnknownRuleVersionError
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.book_changes.compare import Change, compare_books, percent_text
from billing_pipeline.rating.money import plain
from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.rating.rule_book_yaml import load_rule_book

_STYLES = {"added": "green", "removed": "red", "changed": ""}


def diff_rules(pipeline: Pipeline, first: str, second: str, *, as_json: bool) -> None:
    """Print the differences of two rule books, each a file or a version of the settings' folder.

    Raises:
        DocumentError: one of them has faults.
        UnknownRuleVersionError: there is no such file and no such version.
    """
    old, new = find_rule_book(pipeline, first), find_rule_book(pipeline, second)
    changes = compare_books(old, new)
    if as_json:
        document = {
            "from": _head(old),
            "to": _head(new),
            "changes": [_document(change) for change in changes],
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    elif changes:
        _print(old, new, changes)
    else:
        click.echo(f"{old.version} and {new.version} say the same")


def find_rule_book(pipeline: Pipeline, name: str) -> RuleBook:
    """A rule book by its file or, where there is no such file, by its version.

    Raises:
        DocumentError: it has faults.
        UnknownRuleVersionError: there is neither.
    """
    if Path(name).is_file():
        return load_rule_book(Path(name))
    book = pipeline.books.get(name)
    if book is None:
        known = [each.version for each in pipeline.books]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise UnknownRuleVersionError(name, near[0] if near else None, known)
    return book


def _head(book: RuleBook) -> dict[str, str]:
    return {
        "version": book.version,
        "effective_from": f"{book.effective_from:%Y-%m-%dT%H:%M:%SZ}",
        "content_hash": book.content_hash,
    }


def _document(change: Change) -> dict[str, object]:
    return {
        "path": list(change.path),
        "change": change.change,
        "old": change.old or None,
        "new": change.new or None,
        "percent": None if change.percent is None else plain(change.percent),
        "used_by": list(change.used_by),
    }


def _print(old: RuleBook, new: RuleBook, changes: list[Change]) -> None:
    title = f"{old.version} (from {old.effective_from:%Y-%m-%d %H:%M} UTC) → "
    title += f"{new.version} (from {new.effective_from:%Y-%m-%d %H:%M} UTC): {len(changes):,} changes"
    table = Table(title=title, title_justify="left")
    table.add_column("what", overflow="fold")
    table.add_column("change", no_wrap=True)
    table.add_column("old", overflow="fold")
    table.add_column("new", overflow="fold")
    table.add_column("by", justify="right", no_wrap=True)
    for (section, name), group in groupby(changes, lambda change: (change.path[0], change.path[1])):
        members = list(group)
        table.add_section()
        used_by = f" (of {', '.join(members[0].used_by)})" if members[0].used_by else ""
        heading = Text(f"{section} / {name}{used_by}", style="bold")
        whole = members[0] if len(members[0].path) == len(("section", "name")) else None
        table.add_row(heading, *(_cells(whole) if whole else ()))
        for change in members[1:] if whole else members:
            table.add_row(Text("  " + " / ".join(change.path[2:])), *_cells(change))
    Console().print(table)


def _cells(change: Change) -> tuple[Text, Text, Text, str]:
    """What happened, the old and the new value, and by how much it changed."""
    what = Text(change.change, style=_STYLES[change.change])
    return what, Text(change.old), Text(change.new), percent_text(change.percent)
