"""`billing rules check`: the faults of rule books, and the gaps of those that have none."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import click

from billing_pipeline.errors import BillingError, DocumentError, DocumentFault
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.book_gaps.find import find_gaps
from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.book_gaps.seen_usage import SeenUsage, usage_gaps
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.document_place import place_of
from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.rating.rule_book_yaml import read_folder, read_rule_book


class _Found(NamedTuple):
    """A gap at its place in a file."""

    gap: Gap
    place: Field

    def __str__(self) -> str:
        kind = "note" if self.gap.is_note else "warning"
        return f"{self.place.path}:{self.place.line}: {self.place.name}: {kind}: {self.gap.message}"

    def document(self) -> dict[str, object]:
        """As JSON."""
        place = self.place
        return {
            "file": place.path,
            "line": place.line,
            "field": place.name,
            "code": self.gap.code,
            "message": self.gap.message,
        }


@dataclass
class _Report:
    files: list[str] = field(default_factory=list)
    faults: list[DocumentFault] = field(default_factory=list)
    gaps: list[_Found] = field(default_factory=list)
    usage: str = ""
    """What usage the books were held against, or why they were not."""

    @property
    def warnings(self) -> list[_Found]:
        return [each for each in self.gaps if not each.gap.is_note]

    @property
    def notes(self) -> list[_Found]:
        return [each for each in self.gaps if each.gap.is_note]


def check_rules(pipeline: Pipeline, files: Sequence[Path], *, strict: bool, as_json: bool) -> bool:
    """Check files, or the folder of the settings; whether there is no fault and, if `strict`, no warning.

    Of a folder only the newest version is looked through for gaps: a version that has been used cannot change.
    """
    report = _Report()
    books = _read_files(report, files) if files else _read_folder(report, pipeline.settings.rule_books_path)
    if not report.faults:
        seen = _seen(pipeline, report)
        for root, book in books:
            gaps = [*find_gaps(book), *usage_gaps(book, seen)]
            found = [_Found(gap, place_of(root, gap.path)) for gap in gaps]
            report.gaps += sorted(found, key=lambda each: each.place.line)
    if as_json:
        click.echo(json.dumps(_document(report), ensure_ascii=False, indent=2))
    else:
        _print(report)
    return not report.faults and not (strict and report.warnings)


def _read_files(report: _Report, files: Sequence[Path]) -> list[tuple[Field, RuleBook]]:
    books = []
    for path in files:
        report.files.append(str(path))
        try:
            root = read_document(path)
            books.append((root, read_rule_book(root)))
        except DocumentError as error:
            report.faults += error.faults
    return books


def _read_folder(report: _Report, folder: Path) -> list[tuple[Field, RuleBook]]:
    report.files += [str(path) for path in sorted(folder.glob("*.yaml"))]
    try:
        return read_folder(folder)[-1:]
    except DocumentError as error:
        report.faults += error.faults
        return []


def _seen(pipeline: Pipeline, report: _Report) -> list[SeenUsage]:
    if not pipeline.settings.lake_path.is_dir():
        report.usage = f"{pipeline.settings.home} holds no usage to check against"
        return []
    from billing_pipeline.invoicing.lines.seen_usage import DAYS, seen_usage

    try:
        found = list(seen_usage(pipeline.workshop))
    except BillingError as error:
        report.usage = f"usage was not looked at: {error}"
        return []
    customers = len({usage.customer_id for usage in found})
    report.usage = (
        f"checked against the last {DAYS} days of usage in {pipeline.settings.home}, {customers:,} customers"
    )
    return found


def _print(report: _Report) -> None:
    for line in (*report.faults, *report.warnings, *report.notes):
        click.echo(str(line))
    if report.usage:
        click.echo(report.usage)
    counts = ((len(report.faults), "fault"), (len(report.warnings), "warning"), (len(report.notes), "note"))
    told = ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
    click.echo(f"{len(report.files):,} rule book{'' if len(report.files) == 1 else 's'}: {told}")


def _document(report: _Report) -> dict[str, object]:
    return {
        "ok": not report.faults,
        "files": report.files,
        "usage": report.usage,
        "faults": [
            {"file": fault.path, "line": fault.line, "field": fault.field, "message": fault.message}
            for fault in report.faults
        ],
        "warnings": [each.document() for each in report.warnings],
        "notes": [each.document() for each in report.notes],
    }
