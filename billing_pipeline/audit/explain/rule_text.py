"""The words of a rule book about one charge or term, as they stand in its file."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

from ruamel.yaml.nodes import CollectionNode

from billing_pipeline.audit.trace_rows import LineRow
from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document

_SECTIONS = ("charges", "flat_fees", "discounts", "minimums", "maximums")


def price_text(folder: Path, line: LineRow) -> str:
    """What the line's rule book says of its charge, fee, term or coupon; "" where its file does not say it.

    A price table that the charge names is added.
    """
    for path in sorted(folder.glob("*.yaml")):
        try:
            root = read_document(path)
        except DocumentError:
            continue
        version = root.child("version")
        if version is not None and version.text() == line.rule_version:
            return _in_book(root, path.read_text("utf-8").splitlines(), line)
    return ""


def _in_book(root: Field, lines: Sequence[str], line: LineRow) -> str:
    if line.component in {"coupon", "invoice_coupon"}:
        return _text(_path(root, "coupons", line.term), lines)
    plan = _path(root, "plans", line.plan) or _path(root, "add_ons", line.plan)
    wanted = line.charge if line.component in {"usage", "flat_fee"} else line.term
    for section in _SECTIONS:
        found = _path(plan, section, wanted)
        if found is not None:
            table = _path(found, "price", "table")
            named = None if table is None else _path(root, "price_tables", table.text())
            return "\n".join(filter(None, (_text(found, lines), _text(named, lines))))
    return ""


def _path(field: Field | None, *keys: str) -> Field | None:
    """The field below, by keys of mappings, or by `name` of the items of a list."""
    for key in keys:
        if field is None:
            return None
        if field.is_list:
            named = ((each, each.child("name")) for each in field.items())
            field = next((each for each, name in named if name is not None and name.text() == key), None)
        else:
            field = field.child(key)
    return field


def _text(field: Field | None, lines: Sequence[str]) -> str:
    if field is None or field.node is None:
        return ""
    ends_below = isinstance(field.node, CollectionNode) and not field.node.flow_style
    end = field.node.end_mark.line + (0 if ends_below else 1)
    found = list(lines[field.line - 1 : end])
    while found and (not found[-1].strip() or found[-1].lstrip().startswith("#")):
        found.pop()
    return dedent("\n".join(found))
