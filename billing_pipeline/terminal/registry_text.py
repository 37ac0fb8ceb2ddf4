"""What a change of the registry says, in a few words for people."""

from collections.abc import Mapping
from datetime import date

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.rating.periods import period_name

_TERMS = ("discounts", "minimums", "maximums")


def change_text(change: RegistryChange) -> str:
    """`acme: plan growth until 2026-10-01`."""
    if change.entity in {"customer", "project"}:
        about = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in change.details.items())
        what = "registered" if change.change == "register" else "closed"
        return f"{change.entity} {change.entity_id} {what}{f' ({about})' if about else ''}"
    owner, _, name = change.entity_id.partition("/")
    if change.entity == "plan_override":
        return f"plan {owner}: {_override(change.details)}"
    return f"{owner}: {_agreed(change, name)}"


def _agreed(change: RegistryChange, name: str) -> str:
    """What changes of a customer's contract; `name` is that of the add-on or grant."""
    details = change.details
    match change.change:
        case "assign" if change.entity == "plan_assignment":
            trial = f", {details['trial_days']} trial days" if "trial_days" in details else ""
            text = f"plan {details['plan']}{_until(details)}{trial}"
        case "assign":
            text = f"add-on {name}, quantity {details.get('quantity', 1)}{_until(details)}"
        case "end":
            text = f"add-on {name} ends" if name else "no plan"
        case "redeem":
            text = f"coupon {details['coupon']}"
        case "grant":
            text = f"credit grant {name} of {details['amount']} {details['currency']}{_grant(details)}"
        case "void":
            text = f"credit grant {name} voided ({details.get('reason', '')})"
        case "rerate":
            period = period_name(date.fromisoformat(str(details["usage_period"])))
            rules = f" by the prices of {details['rules']}" if "rules" in details else ""
            text = f"{period} rated again{rules} ({details['who']}: {details['why']})"
        case _:
            text = _override(details)
    return text


def _override(details: Mapping[str, object]) -> str:
    of = f" of plan {details['plan']}" if "plan" in details else ""
    return f"override {details['name']}{of}{_until(details)}: {override_text(details)}"


def override_text(details: Mapping[str, object]) -> str:
    """What an override changes: `price of tokens`, `discounts`."""
    found = []
    if "charge" in details:
        what = "rows of the price table" if "rows" in details else "price"
        added = f", a charge for the meter {details['meter']}" if "meter" in details else ""
        found.append(f"{what} of {details['charge']}{added}")
    return ", ".join([*found, *(name for name in _TERMS if name in details)])


def _until(details: Mapping[str, object]) -> str:
    return f" until {details['until']}" if "until" in details else ""


def _grant(details: Mapping[str, object]) -> str:
    charges = details.get("charges")
    parts = [
        f"until {details['expires']}" if "expires" in details else "",
        f"for {', '.join(map(str, charges))}" if isinstance(charges, list) else "",
        f"priority {details['priority']}" if details.get("priority") else "",
        str(details.get("reason", "")),
    ]
    return f" ({'; '.join(part for part in parts if part)})"
