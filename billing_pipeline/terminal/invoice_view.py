"""`billing invoice show`: one customer's invoices of a period, line by line, to the cent."""

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_pipeline.errors import NoInvoiceError
from billing_pipeline.invoicing.lines.line_order import LINE_RANK
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import format_minor, grouped, plain
from billing_pipeline.rating.periods import parse_period, period_name
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, INVOICE_LINES

COLUMNS = (
    "currency, billing_period, kind, line_id, project_id, plan, charge, meter, dimensions, rule_version, usage_period, "
    "quantity, unit, amount, booked_before_minor, amount_minor, tiers, description, evidence_digest, period_end_day, "
    "component, term, reason, quantity_before, rated_as_of, rollup_partitions"
)
Line = dict[str, Any]


def show_invoice(pipeline: Pipeline, customer_id: str, period: str, *, as_json: bool) -> None:
    """Print the invoices (one per currency) of a customer's period.

    Raises:
        NoInvoiceError: there is none; says whether it is blocked, and why.
    """
    try:
        start = parse_period(period)
    except ValueError as error:
        raise NoInvoiceError(str(error)) from error
    lines = lines_of(pipeline.workshop, customer_id, start)
    if not lines:
        raise NoInvoiceError(_why_none(pipeline, customer_id, start))
    invoices = [
        (currency, list(group)) for currency, group in groupby(lines, lambda line: str(line["currency"]))
    ]
    if as_json:
        for currency, group in invoices:
            print(json.dumps(as_document(customer_id, start, currency, group), ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
        return
    console = Console()
    for currency, group in invoices:
        print_invoice(console, (customer_id, start, currency), group)


def as_document(customer_id: str, start: date, currency: str, lines: Sequence[Line]) -> dict[str, Any]:
    """The invoice as JSON: amounts in minor units as integers, everything exact as text.

    A line without a unit has no quantity.
    """
    before = _before_credits(lines)
    return {
        "customer_id": customer_id,
        "billing_period": start.isoformat(),
        "period_end_day": str(lines[0]["period_end_day"]),
        "currency": currency,
        "before_credits_minor": before,
        "before_credits": format_minor(before, currency),
        "total_minor": sum(line["amount_minor"] for line in lines),
        "total": format_minor(sum(line["amount_minor"] for line in lines), currency),
        "lines": [
            {
                **{
                    name: line[name]
                    for name in (
                        *("line_id", "kind", "component", "term", "reason", "description"),
                        *("project_id", "plan", "charge"),
                    )
                },
                "meter": line["meter"],
                "dimensions": json.loads(line["dimensions"]),
                "rule_version": line["rule_version"],
                "usage_period": str(line["usage_period"]),
                "rated_as_of": str(line["rated_as_of"]),
                "quantity": plain(line["quantity"]) if line["unit"] else None,
                "quantity_before": plain(line["quantity_before"]) if line["unit"] else None,
                "unit": line["unit"],
                "tiers": json.loads(line["tiers"]),
                "amount_unrounded": plain(line["amount"]),
                "booked_before_minor": line["booked_before_minor"],
                "amount_minor": line["amount_minor"],
                "evidence_digest": line["evidence_digest"],
                "rollup_partitions": json.loads(line["rollup_partitions"]),
            }
            for line in lines
        ],
    }


def lines_of(workshop: Workshop, customer_id: str, start: date) -> list[Line]:
    """The lines of a customer's invoice period, all currencies, in the order in which they are printed."""
    with workshop.engine.session() as session:
        scan(workshop, session, "lines", INVOICE_LINES)
        rows = session.rows(
            f"SELECT {COLUMNS} FROM lines WHERE customer_id = {_text(customer_id)} "
            f"AND billing_period = DATE '{start}' "
            f"ORDER BY currency, {LINE_RANK}, usage_period, plan, charge, term, rule_version, "
            "dimensions, project_id, line_id"
        )
    names = COLUMNS.split(", ")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _why_none(pipeline: Pipeline, customer_id: str, start: date) -> str:
    with pipeline.engine.session() as session:
        scan(pipeline.workshop, session, "blocked", BLOCKED_INVOICES)
        blocked = session.rows(
            f"SELECT message FROM blocked WHERE customer_id = {_text(customer_id)} "
            f"AND billing_period = DATE '{start}' ORDER BY message"
        )
        scan(pipeline.workshop, session, "lines", INVOICE_LINES)
        known = session.rows("SELECT DISTINCT customer_id, billing_period FROM lines ORDER BY ALL LIMIT 20")
    if blocked:
        return f"the invoice of {customer_id} is held back: " + "; ".join(str(row[0]) for row in blocked)
    there = ", ".join(f"{customer} {period}" for customer, period in known) or "none yet: run `billing close`"
    return f"there is no invoice of customer {customer_id!r} for the period that starts on {start}; there are: {there}"


def print_invoice(
    console: Console, of: tuple[str, date, str], lines: Sequence[Line], what: str = "Invoice"
) -> None:
    """Print an invoice, of a customer, period and currency, as a table."""
    customer_id, start, currency = of
    table = Table(
        title=f"{what} of {customer_id}, {period_name(start)}, {currency.upper()} "
        f"(posting days {start} to {lines[0]['period_end_day']})",
        title_justify="left",
    )
    table.add_column("line", ratio=1)
    for name in ("quantity", "unrounded", "amount"):
        table.add_column(name, justify="right", no_wrap=True)
    credits_of = [line for line in lines if line["component"] == "credit"]
    _add_lines(table, [line for line in lines if line["component"] != "credit"], currency)
    if credits_of:
        table.add_section()
        table.add_row("Before credits", "", "", format_minor(_before_credits(lines), currency))
        table.add_section()
        _add_lines(table, credits_of, currency)
    table.add_section()
    total = format_minor(sum(line["amount_minor"] for line in lines), currency)
    table.add_row("[bold]Total[/bold]", "", "", f"[bold]{total}[/bold]")
    console.print(table)


def _add_lines(table: Table, lines: Sequence[Line], currency: str) -> None:
    for line in lines:
        table.add_row(
            _what(line, currency),
            f"{grouped(line['quantity'])} {line['unit']}" if line["unit"] else "",
            plain(line["amount"]),
            format_minor(line["amount_minor"], currency),
        )


def _before_credits(lines: Sequence[Line]) -> int:
    return sum(line["amount_minor"] for line in lines if line["component"] != "credit")


def _what(line: Line, currency: str) -> Text:
    """What it is, then in small where it was used, under which rules, and how the amount came about."""
    project = f"project {line['project_id']}, " if line["project_id"] else ""
    plan = f"plan {line['plan']}, " if line["plan"] and line["component"] != "usage" else ""
    details = [f"{project}{plan}rules {line['rule_version']}"]
    if line["kind"] == "adjustment" or line["booked_before_minor"]:
        before = format_minor(line["booked_before_minor"], currency)
        details.append(f"adjustment for {period_name(line['usage_period'])}, booked before {before}")
        if line["unit"]:
            details.append(f"quantity {grouped(line['quantity_before'])} → {grouped(line['quantity'])}")
        if line["reason"]:
            details.append(f"reason: {line['reason'].replace('_', ' ')}")
    elif line["usage_period"] > line["billing_period"]:
        details.append(f"in advance for {period_name(line['usage_period'])}")
    details += [_tier(tier) for tier in json.loads(line["tiers"])]
    return Text.assemble(_name(line), *((f"\n  {detail}", "dim") for detail in details))


def _name(line: Line) -> str:
    """`llm_tokens (atlas-large, output)`, `llm_tokens by pilot (…)`, `platform`, `discount launch of llm_tokens`."""
    if line["component"] in {"usage", "flat_fee"}:
        values = ", ".join(json.loads(line["dimensions"]).values())
        by = f" by {line['term']}" if line["term"] else ""
        return f"{line['charge']}{by}{f' ({values})' if values else ''}"
    of = f" of {line['charge']}" if line["charge"] else ""
    return f"{line['component'].replace('invoice_', '')} {line['term']}{of}"


def _tier(tier: dict[str, str]) -> str:
    """`up to 1000: 900 at 0.01`, or in words what a term was taken from: `10 % off 25.00 USD`."""
    fee = f" plus {tier['flat_fee']}" if tier["flat_fee"] not in {"", "0"} else ""
    quantity = Decimal(tier["quantity"])
    if tier["tier"] and not quantity:
        return f"{tier['tier']}{fee}"
    price = f"at {tier['unit_price']}{fee}"
    return f"{tier['tier']}: {grouped(quantity)} {price}" if tier["tier"] else price


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
