"""The explanation as one HTML page that stands alone: no scripts, nothing loaded, the events attached.

Made of the JSON document, so that page and document say the same, and the page holds the document for the check.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from billing_pipeline.rating.money import format_minor

STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")
DOCUMENT_TAG = '<script type="application/json" id="document">'
"""Before the JSON document. A block of data: no browser runs it."""
Cells = Sequence[object]


def as_page(document: Mapping[str, Any], events_csv: str) -> str:
    """The page of a document (`explanation.as_document`) with all of its events."""
    line = document["line"]
    title = f"{line['description']}"
    parts = [
        _head(document),
        _section("How the amount came about", _steps(document)),
        _section("Rules in force", _rules(document)),
        _section("Quantities by day", _days(document)),
        _section("Corrections", _corrections(document)),
        _section("Late events", _events(document["late"])),
        _section("Other invoices of the same line", _other_lines(document)),
        _section("Events", _listing(document, events_csv)),
        _section("How to verify this page", _hashes(document)),
    ]
    data = json.dumps(document, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, parts))
        + f"\n</main>\n{DOCUMENT_TAG}{data}</script>\n</body>\n</html>\n"
    )


def document_in(page: str) -> str | None:
    """The JSON document that a page holds, or None."""
    _, found, rest = page.rpartition(DOCUMENT_TAG)
    return rest.partition("</script>")[0] if found else None


def _head(document: Mapping[str, Any]) -> str:
    line, hashes = document["line"], document["hashes"]
    mark = (
        '<p class="ok">Verified: the stored usage still gives exactly this line.</p>'
        if hashes["verified"]
        else '<p class="bad">Not verified: the stored usage no longer gives this line.</p>'
    )
    went = "".join(
        f"<dt>{escape(each['what'])}</dt><dd>{escape(each['stripe_id'] or 'not made yet')}, "
        f"{escape(each['state'])}</dd>"
        for each in document["stripe"]
    )
    project = f"<dt>project</dt><dd>{escape(line['project_id'])}</dd>" if line["project_id"] else ""
    return (
        f'<header><p class="kind">Invoice line</p><h1>{escape(line["description"])}</h1>'
        f'<p class="amount">{escape(format_minor(line["amount_minor"], line["currency"]))}</p>{mark}'
        f"<dl><dt>customer</dt><dd>{escape(document['customer_name'])} ({escape(line['customer_id'])})</dd>{project}"
        f"<dt>invoice period</dt><dd>{line['billing_period']} to {line['period_end_day']}</dd>"
        f"<dt>usage period</dt><dd>from {line['usage_period']}</dd>"
        f"<dt>line</dt><dd><code>{escape(line['line_id'])}</code></dd>{went}</dl></header>"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>\n{body}</section>" if body else ""


def _steps(document: Mapping[str, Any]) -> str:
    line = document["line"]
    told = f"<p>Why it moved: {escape(line['reason'].replace('_', ' '))}.</p>" if line["reason"] else ""
    return told + _table(
        ("step", "value"), ([each["what"], each["value"]] for each in document["steps"]), (1,)
    )


def _rules(document: Mapping[str, Any]) -> str:
    rules = document["rules"]
    used = "as recorded at its first use" if rules["used"] else "not recorded as used"
    rows = [
        ["rule version", rules["version"]],
        ["in force from", rules["effective_from"]],
        ["content hash", f"{rules['content_hash']} ({used})"],
        ["plan", rules["plan"]],
        ["contracts as known on", rules["rated_as_of"]],
        ["price from", rules["source"]],
    ]
    rows += [
        [
            "re-rated",
            f"{each['period_end_day']} by {each['who']}: {each['why']} (rules {each['rules'] or 'unchanged'})",
        ]
        for each in document["reratings"]
    ]
    price = f"<pre>{escape(rules['price'])}</pre>" if rules["price"] else ""
    return _table(("what", "value"), (row for row in rows if row[1]), ()) + price


def _days(document: Mapping[str, Any]) -> str:
    names = ("usage day", "on time", "late", "by corrections", "total", "events")
    keys = ("usage_day", "on_time", "late", "correction", "total", "events")
    return _rows(names, keys, document["days"], numbers=(1, 2, 3, 4, 5))


def _corrections(document: Mapping[str, Any]) -> str:
    names = ("received", "event", "action", "reason", "counted before", "counts now")
    rows = [
        [
            each["received_at"],
            f"{each['corrects_source']} {each['corrects_id']}",
            each["action"],
            each["reason_code"].replace("_", " "),
            each["before"],
            each["after"],
        ]
        for each in document["corrections"]
    ]
    return _table(names, rows, (4, 5)) if rows else ""


def _events(events: Iterable[Mapping[str, Any]]) -> str:
    names = ("occurred", "received", "source", "id", "correlation id", "quantity")
    rows = [
        [
            each["occurred_at"] or "",
            each["received_at"],
            each["source"],
            each["id"],
            each["correlation_id"],
            f"{'-' if each['sign'] < 0 else ''}{each['quantity']} {each['unit']}",
        ]
        for each in events
    ]
    return _table(names, rows, (5,)) if rows else ""


def _other_lines(document: Mapping[str, Any]) -> str:
    currency = document["line"]["currency"]
    rows = [
        [
            each["billing_period"],
            each["line_id"],
            each["quantity"],
            format_minor(each["amount_minor"], currency),
            each["reason"].replace("_", " "),
        ]
        for each in document["other_lines"]
    ]
    return _table(("invoice period", "line", "quantity", "amount", "reason"), rows, (2, 3)) if rows else ""


def _listing(document: Mapping[str, Any], events_csv: str) -> str:
    count = document["event_rows"]
    if not count:
        return ""
    data = base64.b64encode(events_csv.encode()).decode()
    name = f"events-{document['line']['line_id']}.csv"
    shown = len(document["events"])
    first = f"The first {shown:,} of {count:,} rows" if shown < count else f"All {count:,} rows"
    return (
        f"<p>{first}; all of them are attached as "
        f'<a download="{escape(name)}" href="data:text/csv;charset=utf-8;base64,{data}">{escape(name)}</a>.</p>'
        + _events(document["events"])
    )


def _hashes(document: Mapping[str, Any]) -> str:
    hashes = document["hashes"]
    rows: list[Cells] = [
        ["evidence digest of the line", hashes["evidence_digest"]],
        ["made again from the stored usage", hashes["evidence_recomputed"]],
        ["SHA-256 of the attached events", hashes["events_sha256"]],
        ["hash of this document", document["document_hash"]],
    ]
    rows += [
        [f"{each['table']} {each['partition']}", f"{each['content_hash']} (snapshot {each['snapshot_id']})"]
        for each in document["partitions"]
    ]
    return _table(("what", "SHA-256"), rows, (), css="hashes")


def _rows(
    names: Sequence[str], keys: Sequence[str], found: Iterable[Mapping[str, Any]], numbers: Sequence[int]
) -> str:
    rows = [[each[key] for key in keys] for each in found]
    return _table(names, rows, numbers) if rows else ""


def _table(names: Sequence[str], rows: Iterable[Cells], numbers: Sequence[int], css: str = "") -> str:
    head = "".join(f"<th{_align(index, numbers)}>{escape(name)}</th>" for index, name in enumerate(names))
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td data-name="{escape(names[index])}"{_align(index, numbers)}>{escape(str(cell))}</td>'
            for index, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table class="{css}"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>\n'


def _align(index: int, numbers: Sequence[int]) -> str:
    return ' class="number"' if index in numbers else ""
