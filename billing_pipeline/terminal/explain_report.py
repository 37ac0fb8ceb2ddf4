"""`billing explain`: the explanation of a line as text, JSON or a page, and the check of one that was sent."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_pipeline.audit.explain.check import Checked, compare, read_received
from billing_pipeline.audit.explain.explanation import as_document
from billing_pipeline.audit.explain.gather import Explained, explain_line
from billing_pipeline.audit.explain.page import as_page
from billing_pipeline.errors import TraceNotFoundError
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.terminal.progress import shown_progress

EVENTS_LISTED = 100
EVENTS_SHOWN = 10


def run_explain(
    pipeline: Pipeline, line_id: str, html: Path | None, events: Path | None, *, as_json: bool
) -> bool:
    """Print or write the explanation; whether the tables still give the line.

    Raises:
        TraceNotFoundError: there is no such line.
    """
    found = _explained(pipeline, line_id)
    content = as_document(found.explanation)
    if html is not None:
        html.write_text(as_page(content, found.events_csv), "utf-8")
    if events is not None:
        events.write_bytes(found.events_csv.encode())
    if as_json:
        print(json.dumps(content, ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
    elif html is None and events is None:
        _print(Console(), content)
    else:
        for path in filter(None, (html, events)):
            print(f"wrote {path}")  # noqa: T201 - the command's output
    return bool(content["hashes"]["verified"])


def run_check(pipeline: Pipeline, path: Path) -> bool:
    """Print whether a document that was sent is whole, and whether the tables still say the same.

    Raises:
        ExplanationError: the file is none.
    """
    checked = read_received(path)
    line_id = str(checked.document.get("line", {}).get("line_id", ""))
    console = Console()
    console.print(
        f"document hash: {'right' if checked.is_whole else 'WRONG: it was changed after it was made'}"
    )
    try:
        checked = compare(checked, as_document(_explained(pipeline, line_id).explanation))
    except TraceNotFoundError as error:
        console.print(f"the tables of this home: {error}", markup=False)
        return False
    console.print(f"the tables of this home: {_compared(checked)}")
    return checked.holds


def _compared(checked: Checked) -> str:
    if checked.differences:
        return f"say otherwise in {', '.join(checked.differences)}"
    return "say the same"


def _explained(pipeline: Pipeline, line_id: str) -> Explained:
    with shown_progress("explaining the line"):
        return explain_line(
            pipeline.workshop, pipeline.control, pipeline.settings.rule_books_path, line_id, EVENTS_LISTED
        )


def _print(console: Console, content: dict[str, Any]) -> None:
    line, rules, hashes = content["line"], content["rules"], content["hashes"]
    console.print(Text(line["description"], "bold"))
    console.print(
        Text(
            f"line {line['line_id']}, {content['customer_name']} ({line['customer_id']}), invoice period "
            f"{line['billing_period']} to {line['period_end_day']}"
        )
    )
    if line["reason"]:
        console.print(Text(f"moved by: {line['reason'].replace('_', ' ')}"))
    _table(console, "How the amount came about", content["steps"], ("what", "value"))
    console.print(
        Text(
            f"\nRules {rules['version']}, plan {rules['plan'] or 'none'}, price from {rules['source']}:",
            "bold",
        )
    )
    console.print(Text(rules["price"] or "(a term of the invoice: see the steps)"))
    for each in content["reratings"]:
        console.print(Text(f"re-rated {each['period_end_day']} by {each['who']}: {each['why']}"))
    _table(
        console,
        "Quantities by day",
        content["days"],
        ("usage_day", "on_time", "late", "correction", "total", "events"),
    )
    columns: tuple[str, ...] = (
        "received_at",
        "corrects_source",
        "corrects_id",
        "action",
        "reason_code",
        "before",
        "after",
    )
    _table(console, "Corrections", content["corrections"], columns)
    columns = ("occurred_at", "received_at", "source", "id", "correlation_id", "quantity")
    _table(console, "Late events", content["late"], columns)
    shown = content["events"][:EVENTS_SHOWN]
    _table(console, f"Events ({len(shown)} of {content['event_rows']}; all by --events FILE)", shown, columns)
    columns = ("billing_period", "line_id", "quantity", "amount_minor", "reason")
    _table(console, "Other invoices of the same line", content["other_lines"], columns)
    for each in content["stripe"]:
        console.print(
            Text(f"{each['what']} {each['stripe_id'] or '(none yet)'} in {each['account']}: {each['state']}")
        )
    verified = "verified: made again from the stored usage, it is the same"
    if not hashes["verified"]:
        verified = f"NOT VERIFIED: the stored usage gives {hashes['evidence_recomputed']}"
    console.print(Text(f"\nevidence digest {hashes['evidence_digest']}\n  {verified}"))
    console.print(
        Text(f"events SHA-256   {hashes['events_sha256']}\ndocument hash    {content['document_hash']}")
    )


def _table(console: Console, title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if row[name] is None else str(row[name])) for name in columns))
    console.print(table)
