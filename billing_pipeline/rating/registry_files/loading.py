"""Loads registry files: read, and checked against the rule books and what is registered already."""

from datetime import date
from pathlib import Path

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.registry_files.contract_check import check_contracts
from billing_pipeline.rating.registry_files.customers import read_entries
from billing_pipeline.rating.registry_files.override_check import check_overrides
from billing_pipeline.rating.registry_files.registry_check import check_registry
from billing_pipeline.rating.rule_book import RuleBooks


def load_seed(path: Path, books: RuleBooks) -> list[RegistryChange]:
    """The changes of the registry seed in the order of the file, all at offset -1; none where there is no file.

    Raises:
        DocumentError: the file has faults; all of them are listed with line and field.
    """
    return load_changes(path, Registry(()), books, may_be_empty=True) if path.is_file() else []


def load_changes(
    path: Path, before: Registry, books: RuleBooks, *, today: date | None = None, may_be_empty: bool = False
) -> list[RegistryChange]:
    """The changes of a registry file in its order.

    Args:
        path: the file.
        before: what is registered without it.
        books: all rule versions.
        today: a usage period that is rated again must have ended before it; None asks for no such thing.
        may_be_empty: whether a file that says nothing is no fault.

    Raises:
        DocumentError: the file has faults; all of them are listed with line and field.
    """
    root = read_document(path, may_be_empty=may_be_empty)
    entries = read_entries(root)
    check_registry(entries, before, today)
    check_contracts(entries, before, books)
    check_overrides(entries, before, books)
    root.raise_faults()
    return [entry.change for entry in entries]
