"""Which rows of a table belong to whom."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, false, func, or_, true

from billing_pipeline.guardrails.scope import customer_of

Customers = Collection[str] | None
"""Whose rows may be seen; None is everybody's."""


def among(customer_id: ColumnElement[Any], customers: Customers) -> ColumnElement[bool]:
    """Whether a customer is one of these."""
    return true() if customers is None else customer_id.in_(sorted(customers))


def of_any(scope: ColumnElement[Any], customers: Customers) -> ColumnElement[bool]:
    """Whether a scope belongs to one of these customers; exact about case and special characters."""
    if customers is None:
        return true()
    return or_(false(), *(_of(scope, customer_id) for customer_id in sorted(customers)))


def is_seen(scope: str, customers: Customers) -> bool:
    """Whether a scope belongs to one of these customers."""
    return customers is None or customer_of(scope) in customers


def _of(scope: ColumnElement[Any], customer_id: str) -> ColumnElement[bool]:
    prefixes = (f"project:{customer_id}/", f"session:{customer_id}/")
    return or_(
        scope == f"customer:{customer_id}",
        *(func.substr(scope, 1, len(prefix)) == cast(prefix, Text) for prefix in prefixes),
    )
