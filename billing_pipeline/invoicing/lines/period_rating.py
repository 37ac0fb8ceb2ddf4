"""Rates one customer's invoice period: what it books, or what holds it back. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from billing_pipeline.invoicing.lines.adjustment_reasons import AdjustmentReasons, Posting
from billing_pipeline.invoicing.lines.conflicts import Conflict
from billing_pipeline.invoicing.lines.evidence import UsageEvidence
from billing_pipeline.invoicing.lines.invoice_line import InvoiceLine, Provenance, invoice_lines
from billing_pipeline.invoicing.lines.invoice_periods import BlockedPeriod, InvoicePeriod, answers_from
from billing_pipeline.rating.adjustments import Booked, UsagePeriod, rate_invoice
from billing_pipeline.rating.agreement import Agreement, Rerating
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.rating.holdings import Holdings, Rules
from billing_pipeline.rating.invoice_terms import invoice_terms
from billing_pipeline.rating.stretches import Stretches

ONE_DAY = timedelta(days=1)
AgreementAt = Callable[[date], Agreement]
"""What was known of a customer's agreement at the close of a day."""


class CustomerUsage(NamedTuple):
    """What rating knows of a customer at the end of an invoice period.

    Attributes:
        rated_as_of: by usage period the day whose knowledge rated it before.
        agreement_at: the customer's agreement as known at the close of a day.
    """

    usage: Sequence[MeteredQuantity]
    booked: Mapping[LineKey, Booked]
    unmetered: Sequence[tuple[Any, ...]]
    postings: Sequence[Posting]
    blocked: Sequence[BlockedPeriod]
    conflicts: Sequence[Conflict]
    rated_as_of: Mapping[date, date]
    agreement_at: AgreementAt


class Fault(NamedTuple):
    """Why an invoice is held back."""

    code: str
    usage_period: date
    message: str


class RatedInvoice(NamedTuple):
    """Lines and the usage periods they rate (with the day of knowledge), or faults and nothing else."""

    lines: Sequence[InvoiceLine] = ()
    rated_as_of: Mapping[date, date] = {}
    reratings: Mapping[date, Rerating] = {}
    faults: Sequence[Fault] = ()


def owed_periods(
    start: date, end: date, blocked: Sequence[BlockedPeriod], agreement_at: AgreementAt, rules: Rules
) -> set[date]:
    """The usage periods that an invoice rates though nothing is posted in them.

    Those that are re-rated, and for their fees its own and those of the blocked invoices that it answers for.
    """
    agreement = agreement_at(end)
    owed = {each.usage_period for each in new_reratings(start, end, blocked, agreement_at)}
    first = answers_from(start, blocked)
    for period in {start, *(each.start for each in blocked if each.start >= first)}:
        stretches = Stretches(agreement, period, rules)
        if stretches.have_terms and any(stretches):
            owed.add(period)
    ahead = Stretches(agreement, end + ONE_DAY, rules)
    if ahead.have_terms and any(ahead):
        owed.add(start)
    return {each for each in owed if each <= start}


def new_reratings(
    start: date, end: date, blocked: Iterable[BlockedPeriod], agreement_at: AgreementAt
) -> tuple[Rerating, ...]:
    """The re-ratings that no earlier invoice of the customer has known."""
    now = agreement_at(end).reratings
    if not now:
        return ()
    known = set(agreement_at(answers_from(start, blocked) - ONE_DAY).reratings)
    return tuple(each for each in now if each not in known)


def rate_invoice_period(period: InvoicePeriod, known: CustomerUsage, rules: Rules) -> RatedInvoice:
    """Rate all usage periods that the invoice touches, then what acts on it as a whole."""
    reratings = new_reratings(period.start, period.end, known.blocked, known.agreement_at)
    rerated = {each.usage_period for each in reratings}
    # What was known at the first invoice that could rate a usage period decides it, now and in every later adjustment;
    # changes entered after that act only through a re-rating.
    as_of = {
        start: period.end if start in rerated else known.rated_as_of.get(start, period.end)
        for start in period.usage_periods
    }
    rows = _by_usage_period(period, known.usage)
    touched = [
        UsagePeriod(start, known.agreement_at(as_of[start]), rows[start]) for start in period.usage_periods
    ]
    rating = rate_invoice(touched, known.booked, rules)
    faults = [Fault("unpriced_usage", each.usage_period, each.message) for each in rating.unpriced]
    faults += _other_faults(period, known)
    if faults:
        return RatedInvoice(faults=sorted(faults))
    agreement = known.agreement_at(period.end)
    next_start = period.end + ONE_DAY
    ahead = rate_invoice([UsagePeriod(next_start, agreement, phase="in_advance")], known.booked, rules)
    bookings = [*rating.bookings, *ahead.bookings]
    bookings += invoice_terms(bookings, known.booked, agreement, rules.books, (period.start, period.end))
    evidence = {
        each.start: UsageEvidence(
            each.quantities, Holdings(each.agreement, each.priced_by(rules)), known.postings
        )
        for each in touched
    }
    reasons = AdjustmentReasons(period, known.blocked, known.postings, rerated)
    provenance = Provenance(
        evidence=lambda key: evidence[key.usage_period].of(key),
        reason=reasons.of,
        rated_as_of={next_start: period.end, period.start: period.end, **as_of},
    )
    return RatedInvoice(
        invoice_lines(period.start, bookings, rules.books, provenance),
        as_of,
        {each.start: found for each in touched if (found := each.agreement.rerating_of(each.start))},
    )


def _other_faults(period: InvoicePeriod, known: CustomerUsage) -> list[Fault]:
    faults = [
        Fault("unmetered_usage", period.usage_period(row[1]), _unmetered_message(row))
        for row in known.unmetered
        if period.usage_period(row[1]) in period.usage_periods
    ]
    answers_for = answers_from(period.start, known.blocked)
    return faults + [
        Fault("conflict", period.usage_period(conflict.usage_day), conflict.message)
        for conflict in known.conflicts
        if conflict.receipt_day >= answers_for
    ]


def _unmetered_message(row: tuple[Any, ...]) -> str:
    _, usage_day, project_id, unit, dimensions, rule_version, quantity = row
    return (
        f"{quantity:f} {unit} of project {project_id} on {usage_day} {dimensions} is taken by no meter of rule version "
        f"{rule_version}; add a meter that takes it"
    )


def _by_usage_period(
    period: InvoicePeriod, rows: Sequence[MeteredQuantity]
) -> dict[date, list[MeteredQuantity]]:
    found: dict[date, list[MeteredQuantity]] = {start: [] for start in period.usage_periods}
    for row in rows:
        start = period.usage_period(row.usage_day)
        if start in found:
            found[start].append(row)
    return found
