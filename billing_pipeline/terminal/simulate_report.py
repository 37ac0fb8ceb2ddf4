"""`billing simulate`: a past period under a draft rule book, beside what was billed."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from billing_pipeline.audit.simulate import Amount, Simulation, simulate
from billing_pipeline.errors import SimulationError
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import format_minor
from billing_pipeline.rating.periods import parse_period
from billing_pipeline.rating.rule_book_yaml import load_rule_book
from billing_pipeline.terminal.progress import shown_progress

BINS = (-100, -50, -25, -10, -5, 0, 5, 10, 25, 50, 100)
"""Percent: bounds of the histogram's bars; what has not changed has a bar of its own."""
BAR_CHARACTERS = 40


@dataclass(frozen=True)
class Change:
    """What one customer (or one charge) was billed in a currency, and what it would be."""

    name: str
    currency: str
    billed_minor: int
    simulated_minor: int

    @property
    def difference_minor(self) -> int:
        """Above 0: it would cost more."""
        return self.simulated_minor - self.billed_minor

    @property
    def percent(self) -> Decimal | None:
        """Of what was billed, to a tenth; None where nothing was."""
        if not self.billed_minor:
            return None
        ratio = Decimal(self.difference_minor) * 100 / abs(Decimal(self.billed_minor))
        return ratio.quantize(Decimal("0.1"), ROUND_HALF_EVEN)


def run_simulate(
    pipeline: Pipeline,
    draft: Path,
    period: str,
    customers: Sequence[str],
    plot: Path | None,
    *,
    as_json: bool,
) -> None:
    """Bill a period under a draft and print it beside what was billed.

    Raises:
        DocumentError: the draft has faults.
        SimulationError: it cannot be compared.
    """
    try:
        month = parse_period(period)
    except ValueError as error:
        raise SimulationError(str(error)) from error
    book = load_rule_book(draft)
    with shown_progress("billing again") as told:
        found = simulate(pipeline.workshop, book, month.replace(day=1), customers, told)
    changes = changes_by(found.amounts, lambda amount: amount.customer_id)
    if plot is not None:
        from billing_pipeline.terminal.simulate_plot import write_plot

        write_plot(plot, found.draft, month, changes)
    if as_json:
        print(json.dumps(as_document(found), ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
        return
    _print(Console(), found, changes)


def changes_by(amounts: Iterable[Amount], named: Callable[[Amount], str]) -> list[Change]:
    """The sums by a name and the currency, ordered by both."""
    sums: dict[tuple[str, str], list[int]] = {}
    for amount in amounts:
        both = sums.setdefault((named(amount), amount.currency), [0, 0])
        both[0] += amount.billed_minor
        both[1] += amount.simulated_minor
    return [Change(*key, *both) for key, both in sorted(sums.items())]


def as_document(found: Simulation) -> dict[str, object]:
    """Everything, exactly: minor units as integers."""
    return {
        "draft": found.draft,
        "period": found.period.isoformat(),
        "customers": [_row(each) for each in changes_by(found.amounts, lambda amount: amount.customer_id)],
        "charges": [_row(each) for each in changes_by(found.amounts, _kind)],
        "totals": [_row(each) for each in changes_by(found.amounts, lambda _: "total")],
        "amounts": [amount._asdict() for amount in found.amounts],
        "blocked": [{"customer_id": name, "message": message} for name, message in found.blocked],
        "not_billed": list(found.not_billed),
        "new_meters": list(found.new_meters),
    }


def _row(change: Change) -> dict[str, object]:
    return {
        "name": change.name,
        "currency": change.currency,
        "billed_minor": change.billed_minor,
        "simulated_minor": change.simulated_minor,
        "difference_minor": change.difference_minor,
        "percent": None if change.percent is None else str(change.percent),
    }


def _kind(amount: Amount) -> str:
    return amount.charge if amount.component == "usage" else f"{amount.charge} ({amount.component})"


def _print(console: Console, found: Simulation, changes: Sequence[Change]) -> None:
    title = f"{found.period:%Y-%m} under the draft {found.draft}, beside what was billed"
    console.print(_table(title, "customer", changes))
    console.print(_table("By charge", "charge", changes_by(found.amounts, _kind)))
    console.print(_table("In all", "", changes_by(found.amounts, lambda _: "total")))
    more = sum(change.difference_minor > 0 for change in changes)
    less = sum(change.difference_minor < 0 for change in changes)
    console.print(f"{more} would pay more, {less} less, {len(changes) - more - less} the same.")
    for text, count in histogram(changes):
        bar = "█" * -(-count * BAR_CHARACTERS // max(1, len(changes)))
        console.print(f"{text:>16}  {bar} {count}", highlight=False)
    for customer_id, message in found.blocked:
        console.print(
            f"blocked {customer_id}: {message}", style="red", markup=False, highlight=False, soft_wrap=True
        )
    if found.not_billed:
        console.print(
            f"Not billed for this period yet, and left out: {', '.join(found.not_billed)}.", soft_wrap=True
        )
    if found.new_meters:
        console.print(f"New meters have counted nothing: {', '.join(found.new_meters)}.", soft_wrap=True)


def histogram(changes: Iterable[Change]) -> list[tuple[str, int]]:
    """How many customers' bills change by how much; bars without anybody are left out."""
    labels = ["no change", "was nothing", f"below {BINS[0]} %"]
    labels += [f"{low} to {high} %" for low, high in pairwise(BINS)]
    labels += [f"above {BINS[-1]} %"]
    counts = dict.fromkeys(labels, 0)
    for change in changes:
        counts[_label(change)] += 1
    return [(label, count) for label, count in counts.items() if count]


def _label(change: Change) -> str:
    percent = change.percent
    if not change.difference_minor:
        return "no change"
    if percent is None:
        return "was nothing"
    if percent < BINS[0]:
        return f"below {BINS[0]} %"
    for low, high in pairwise(BINS):
        # 0 is told from what has gone up or down by less than a tenth of a percent by the difference's sign.
        if percent < high or (percent == high == 0 and change.difference_minor < 0):
            return f"{low} to {high} %"
    return f"above {BINS[-1]} %"


def _table(title: str, name: str, changes: Iterable[Change]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(name, overflow="fold")
    for column in ("billed", "simulated", "difference", "%"):
        table.add_column(column, justify="right", no_wrap=True)
    for change in changes:
        difference = change.difference_minor
        colour = "red" if difference > 0 else "green" if difference < 0 else "dim"
        table.add_row(
            change.name,
            format_minor(change.billed_minor, change.currency),
            format_minor(change.simulated_minor, change.currency),
            f"[{colour}]{'+' if difference > 0 else ''}{format_minor(difference, change.currency)}[/{colour}]",
            "" if change.percent is None else f"{change.percent:+f}",
        )
    return table
