"""Reads `data/invoicing.yaml`: what holds by default, and for plans of their own. All faults are listed at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from billing_pipeline.invoicing.policies.policy import (
    Approval,
    Decreases,
    Delivery,
    InvoicingPolicies,
    InvoicingPolicy,
    ZeroInvoices,
)
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.rule_book import RuleBooks

_CHOICES: dict[str, Sequence[str]] = {
    "approval": get_args(Approval),
    "zero_invoices": get_args(ZeroInvoices),
    "decreases": get_args(Decreases),
    "delivery": get_args(Delivery),
}


def load_policies(path: Path, books: RuleBooks) -> InvoicingPolicies:
    """The policies of a document; without the file every plan has the defaults.

    Raises:
        DocumentError: lists every fault of the file.
    """
    return read_policies(read_document(path), books) if path.exists() else InvoicingPolicies()


def read_policies(root: Field, books: RuleBooks) -> InvoicingPolicies:
    """The policies that a document holds, for the plans and add-ons of all rule books.

    Raises:
        DocumentError: lists every fault of the document.
    """
    keys = root.mapping(optional=("default", "plans"))
    default = _read_policy(keys["default"], InvoicingPolicy()) if "default" in keys else InvoicingPolicy()
    known = sorted({name for book in books for name in (*book.plans, *book.add_ons)})
    by_plan: dict[str, InvoicingPolicy] = {}
    for plan, field in keys["plans"].named().items() if "plans" in keys else ():
        if plan not in known:
            field.fault(f"no rule book has a plan or add-on {plan!r}; there are {', '.join(known)}")
            continue
        by_plan[plan] = _read_policy(field, default)
        _check_delivery(field, plan, by_plan[plan], books)
    if "default" in keys and default.delivery == "meter_events":
        keys["default"].fault("meter_events is for single plans only; say it under plans")
    root.raise_faults()
    return InvoicingPolicies(default, by_plan)


def _read_policy(field: Field, default: InvoicingPolicy) -> InvoicingPolicy:
    keys = field.mapping(optional=tuple(_CHOICES))
    chosen = {name: vars(default)[name] for name in _CHOICES}
    chosen |= {name: child.choice(_CHOICES[name]) for name, child in keys.items()}
    return InvoicingPolicy(
        approval=cast("Approval", chosen["approval"]),
        zero_invoices=cast("ZeroInvoices", chosen["zero_invoices"]),
        decreases=cast("Decreases", chosen["decreases"]),
        delivery=cast("Delivery", chosen["delivery"]),
    )


def _check_delivery(field: Field, plan: str, policy: InvoicingPolicy, books: RuleBooks) -> None:
    """Stripe prices meter events by itself: it knows none of our terms, and only sums."""
    if policy.delivery != "meter_events":
        return
    for book in books:
        found = book.plans.get(plan) or book.add_ons.get(plan)
        if found is None:
            continue
        if found.terms or found.flat_fees or found.trial_days:
            field.fault(
                f"delivery: meter_events, but rule book {book.version} gives {plan!r} fees, terms or a trial, which "
                "Stripe would not know of; deliver rated_lines"
            )
        for charge in found.charges:
            if charge.price.folded:
                field.fault(
                    f"delivery: meter_events, but charge {charge.name!r} of {plan!r} in rule book {book.version} takes "
                    "its amount from a dimension, which Stripe would not see; deliver rated_lines"
                )
            if book.meters[charge.meter].is_additive:
                continue
            field.fault(
                f"delivery: meter_events, but charge {charge.name!r} of {plan!r} in rule book {book.version} has a "
                "meter that is no sum or count; deliver rated_lines"
            )
