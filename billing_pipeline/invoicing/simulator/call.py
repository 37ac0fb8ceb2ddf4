"""One call of an endpoint, and what an endpoint declares."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from billing_pipeline.invoicing.simulator.store import Transaction


@dataclass(frozen=True)
class Call:
    """What an endpoint works on: the open transaction, parameters, the id in the path, the second it is."""

    transaction: Transaction
    parameters: dict[str, Any]
    object_id: str
    now: int


@dataclass(frozen=True)
class Endpoint:
    """A method and path, the SDK's type that says what it accepts, and what the simulator makes of it.

    `understood` are the parameters that have an effect here. Others of the contract are refused rather than
    ignored: a rehearsal that ignores a parameter would prove nothing.
    """

    method: str
    path: re.Pattern[str]
    parameters: str
    understood: frozenset[str]
    run: Callable[[Call], dict[str, Any]]


def endpoint(
    method: str, path: str, parameters: str, understood: str, run: Callable[[Call], dict[str, Any]]
) -> Endpoint:
    """An endpoint from a path with `{id}` and the understood parameters in one text."""
    pattern = re.compile("^" + path.replace("{id}", "(?P<id>[A-Za-z0-9_]+)") + "$")
    return Endpoint(method, pattern, parameters, frozenset(understood.split()), run)
