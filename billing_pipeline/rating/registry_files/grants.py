"""Reads the credit grants of a registry file."""

from collections.abc import Iterator, Mapping

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.rating.book_sections.amounts import read_amount, read_currency
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import plain
from billing_pipeline.rating.registry_files.entry import (
    Dated,
    RegistryEntry,
    dated_items,
    read_id,
    read_until,
    read_why,
)

PRIORITY_MOST = 1_000_000
CHARGES_MOST = 1_000


def read_credit_grants(field: Field, customer_id: str) -> Iterator[RegistryEntry]:
    """`credit_grants: [{id, amount, currency, effective_from, …, reason}]`; `voided_from` takes one back."""
    optional = ("priority", "expires", "charges", "voided_from", "void_reason")
    for item in dated_items(field, required=("id", "amount", "currency", "reason"), optional=optional):
        entity_id = f"{customer_id}/{read_id(item.keys['id'])}"
        yield item.entry("credit_grant", entity_id, "grant", _details(item))
        yield from _void(item, entity_id)


def _details(item: Dated) -> dict[str, object]:
    keys = item.keys
    details = _value(keys)
    if "priority" in keys:
        details["priority"] = keys["priority"].whole(least=0, most=PRIORITY_MOST)
    until = read_until(keys.get("expires"), item.start)
    if until:
        details["expires"] = until["until"]
    if "charges" in keys:
        details["charges"] = [each.name_text() for each in keys["charges"].items(least=1, most=CHARGES_MOST)]
    return {**details, "reason": read_why(keys["reason"])}


def _value(keys: Mapping[str, Field]) -> dict[str, object]:
    currency = read_currency(keys["currency"])
    faults = len(keys["amount"].faults)
    amount = read_amount(keys["amount"], currency)
    if not amount and len(keys["amount"].faults) == faults:
        keys["amount"].fault("is 0; grant something, or leave the grant out")
    return {"amount": plain(amount), "currency": currency}


def _void(item: Dated, entity_id: str) -> Iterator[RegistryEntry]:
    voided, reason = item.keys.get("voided_from"), item.keys.get("void_reason")
    if voided is None:
        if reason is not None:
            reason.fault("has no `voided_from` beside it; add the day from which the grant is worth nothing")
        return
    if reason is None:
        voided.fault("takes value back without saying why; add `void_reason`")
    change = RegistryChange("credit_grant", entity_id, "void", voided.day(), {"reason": read_why(reason)})
    yield RegistryEntry(change, voided, {})
