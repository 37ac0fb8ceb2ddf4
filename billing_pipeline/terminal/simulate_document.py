"""A simulation as JSON: minor units as whole numbers, percentages as text."""

from collections.abc import Sequence
from typing import Any

from billing_pipeline.audit.simulated import Beside, CustomerSimulation, Simulation
from billing_pipeline.errors import DocumentFault
from billing_pipeline.terminal.simulate_percent import bins_of, percent_digits


def document_of(found: Simulation) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "ok": True,
        "period": f"{found.month:%Y-%m}",
        "version": found.version,
        "metered_again": list(found.metered_again),
        "totals": [
            {
                "currency": currency,
                **_amounts(total.amounts),
                "customers_less": total.less,
                "customers_more": total.more,
                "customers_same": total.same,
            }
            for currency, total in found.totals.items()
        ],
        "charges": [{**key._asdict(), **_amounts(amounts)} for key, amounts in found.charges.items()],
        "histogram": [
            {"percent": each.label, "customers": each.customers}
            for each in bins_of([amounts for *_, amounts in found.compared])
        ],
        "customers": [_customer(each) for each in found.customers],
    }


def faults_document(faults: Sequence[DocumentFault]) -> dict[str, Any]:
    """The faults of a draft, as `billing rules check` tells them."""
    return {
        "ok": False,
        "faults": [
            {"file": fault.path, "line": fault.line, "field": fault.field, "message": fault.message}
            for fault in faults
        ],
    }


def _customer(each: CustomerSimulation) -> dict[str, Any]:
    return {
        "customer_id": each.customer_id,
        "usage_period": each.usage_period.isoformat(),
        "state": each.state,
        "reasons": list(each.reasons),
        "currencies": [
            {"currency": currency, **_amounts(amounts)} for currency, amounts in each.by_currency.items()
        ],
        "charges": [{**key._asdict(), **_amounts(amounts)} for key, amounts in each.charges.items()],
    }


def _amounts(amounts: Beside) -> dict[str, Any]:
    return {
        "billed_minor": amounts.billed,
        "simulated_minor": amounts.simulated,
        "difference_minor": amounts.difference,
        "percent": percent_digits(amounts),
    }
