"""Scopes as people write them, checked; and which rows of a table belong to whom."""

from collections.abc import Collection
from typing import Any, get_args

from sqlalchemy import ColumnElement, Text, cast, false, func, or_, true

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.scope import ScopeKind, customer_of

SCOPE_CHARACTERS = 540
Customers = Collection[str] | None
"""Whose rows may be seen; None is everybody's."""

_HOW = "write customer:ID, project:CUSTOMER/ID or session:CUSTOMER/ID"


def checked_scope(text: str) -> str:
    """The scope, if it is written as one.

    Raises:
        GuardRequestError: it is not.
    """
    kind, _, name = text.partition(":")
    customer_id, slash, rest = name.partition("/")
    is_whole = not slash if kind == "customer" else bool(rest)
    if kind not in get_args(ScopeKind) or not customer_id or not is_whole:
        raise GuardRequestError("scope", text, _HOW)
    if len(text) > SCOPE_CHARACTERS or not text.isprintable():
        raise GuardRequestError("scope", text, f"{_HOW}, in at most {SCOPE_CHARACTERS} printable characters")
    return text


def of_customer(scope: ColumnElement[Any], customer_id: str) -> ColumnElement[bool]:
    """Whether a scope is the customer or belongs to it; exact about case and special characters."""
    prefixes = (f"project:{customer_id}/", f"session:{customer_id}/")
    return or_(
        scope == f"customer:{customer_id}",
        *(func.substr(scope, 1, len(prefix)) == cast(prefix, Text) for prefix in prefixes),
    )


def of_any(scope: ColumnElement[Any], customers: Customers) -> ColumnElement[bool]:
    """Whether a scope belongs to one of these customers."""
    if customers is None:
        return true()
    return or_(false(), *(of_customer(scope, customer_id) for customer_id in sorted(customers)))


def is_seen(scope: str, customers: Customers) -> bool:
    """Whether a scope belongs to one of these customers."""
    return customers is None or customer_of(scope) in customers
