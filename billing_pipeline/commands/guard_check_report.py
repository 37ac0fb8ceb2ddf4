"""`billing guard check`: the faults of the guard's policies, and what they come to for each plan."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from billing_pipeline.errors import DocumentError, DocumentFault
from billing_pipeline.guardrails.nano import major_of, nano_words
from billing_pipeline.guardrails.policies.policy import Policies, Policy, currencies_of
from billing_pipeline.guardrails.policies.policy_document import load_policies
from billing_pipeline.guardrails.policies.policy_text import policy_document, policy_lines
from billing_pipeline.guardrails.pricing.charge_bound import ChargeBound, charge_bounds
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import plain
from billing_pipeline.rating.rule_book import RuleBooks

_HOW = {
    "exact": "as the invoice",
    "dearest": "at its dearest position",
    "upper_unit_price": "by its upper unit price",
    "refused": "refused",
}


@dataclass
class _Report:
    file: Path
    rule_version: str
    faults: Sequence[DocumentFault] = ()
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    policies: Policies | None = None
    charges: list[ChargeBound] = field(default_factory=list)


def check_guard(pipeline: Pipeline, file: Path | None, *, strict: bool, as_json: bool) -> bool:
    """Check a file, or that of the settings; whether there is no fault and, if `strict`, no warning.

    Raises:
        DocumentError: the rule books have faults of their own.
    """
    books = pipeline.books
    report = _Report(file or pipeline.settings.guard_path, books.books[-1].version)
    try:
        report.policies = load_policies(report.file, books)
    except DocumentError as error:
        report.faults = error.faults
    else:
        report.charges = list(charge_bounds(books.books[-1], report.policies))
        report.warnings += _warnings(report.charges)
        report.notes += _notes(report, report.policies, books)
    if as_json:
        click.echo(json.dumps(_document(report, books), ensure_ascii=False, indent=2))
    else:
        _print(report)
    return not report.faults and not (strict and report.warnings)


def _warnings(charges: Sequence[ChargeBound]) -> Iterator[str]:
    for each in charges:
        place = f"upper_unit_prices.{each.plan}.{each.charge}: missing:"
        if each.how == "refused":
            yield (
                f"{place} what the charge costs ({each.terms}) is known only after the period, so its usage is refused"
            )
        elif each.one is not None:
            held, settled = (plain(major_of(nano)) for nano in each.one)
            yield (
                f"{place} a unit may be the first of a tier with a fee ({each.terms}), so {held} is held for each one "
                f"and {settled} settled"
            )


def _notes(report: _Report, policies: Policies, books: RuleBooks) -> Iterator[str]:
    if not report.file.exists():
        yield f"there is no {report.file}: nothing is limited, and nobody is paused"
    for name in policies.unused:
        yield f"policies.{name}: holds for no plan"
    known = {
        (plan.name, charge.name)
        for book in books
        for plan in (*book.plans.values(), *book.add_ons.values())
        for charge in plan.charges
    }
    exact = {(each.plan, each.charge) for each in report.charges if each.how == "exact"}
    for plan, charge in policies.upper_unit_prices:
        if (plan, charge) not in known:
            yield f"upper_unit_prices.{plan}.{charge}: no rule book has such a charge; only an override can"
        elif (plan, charge) in exact:
            yield f"upper_unit_prices.{plan}.{charge}: has no use, the price is known exactly"


def _print(report: _Report) -> None:
    for fault in report.faults:
        click.echo(str(fault))
    for text in report.warnings:
        click.echo(f"{report.file}: warning: {text}")
    for text in report.notes:
        click.echo(f"{report.file}: note: {text}")
    if report.policies is not None:
        _print_tables(report, report.policies)
    counts = ((len(report.faults), "fault"), (len(report.warnings), "warning"), (len(report.notes), "note"))
    click.echo(", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in counts))


def _print_tables(report: _Report, policies: Policies) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title="What holds for whom", title_justify="left", show_lines=True)
    for column in ("plans", "policy", "limits", "session's breaker", "pauses", "holds"):
        table.add_column(column)
    for policy, names in _by_policy(policies).items():
        table.add_row("\n".join(names), *_cells(policy))
    console.print(table)
    table = Table(title=f"How usage is priced (rule book {report.rule_version})", title_justify="left")
    for column in ("plan", "charge", "price", "estimate"):
        table.add_column(column)
    for each in report.charges:
        table.add_row(each.plan, each.charge, each.terms, _HOW[each.how])
    console.print(table)


def _by_policy(policies: Policies) -> Mapping[Policy, list[str]]:
    """The plans of each policy in each currency: those of which it holds for production, before trials."""
    found: dict[Policy, list[str]] = {}
    for plan, chosen in policies.by_plan.items():
        found.setdefault(chosen.production, []).append(plan)
    for plan, chosen in policies.by_plan.items():
        if chosen.trial != chosen.production:
            found.setdefault(chosen.trial, []).append(f"{plan}, in trial")
    return found


def _cells(policy: Policy) -> tuple[str, ...]:
    lines = policy_lines(policy, lambda nano: nano_words(nano, policy.currency))
    return (
        policy.name,
        *("\n".join(lines[name]) or "-" for name in ("limits", "breaker", "velocity", "holds")),
    )


def _document(report: _Report, books: RuleBooks) -> Mapping[str, object]:
    found = report.policies
    currencies = currencies_of(books)
    return {
        "ok": not report.faults,
        "file": str(report.file),
        "rule_version": report.rule_version,
        "faults": [
            {"file": fault.path, "line": fault.line, "field": fault.field, "message": fault.message}
            for fault in report.faults
        ],
        "warnings": report.warnings,
        "notes": report.notes,
        "plans": {
            plan: {
                "currency": currencies[plan],
                "production": policy_document(chosen.production),
                "trial": policy_document(chosen.trial),
            }
            for plan, chosen in (found.by_plan.items() if found else ())
        },
        "charges": [
            {"plan": each.plan, "charge": each.charge, "price": each.terms, "estimate": each.how}
            for each in report.charges
        ],
    }
