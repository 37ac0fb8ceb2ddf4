"""What limits, counters, pauses and kill switches are kept for: a customer, one of its projects, or a session.

A scope is written as one text: `customer:acme`, `project:acme/search`, `session:acme/run-7`. Customer ids have no
slash.
"""

from typing import Literal

ScopeKind = Literal["customer", "project", "session"]


def customer_scope(customer_id: str) -> str:
    """`customer:acme`."""
    return f"customer:{customer_id}"


def project_scope(customer_id: str, project_id: str) -> str:
    """`project:acme/search`."""
    return f"project:{customer_id}/{project_id}"


def session_scope(customer_id: str, session_id: str) -> str:
    """`session:acme/run-7`."""
    return f"session:{customer_id}/{session_id}"


def kind_of(scope: str) -> str:
    """`customer`, `project` or `session`."""
    return scope.partition(":")[0]


def customer_of(scope: str) -> str:
    """The customer that a scope belongs to."""
    return scope.partition(":")[2].partition("/")[0]


def project_of(scope: str) -> str:
    """The project of a scope of kind `project`."""
    return scope.partition("/")[2]
