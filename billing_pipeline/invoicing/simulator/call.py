"""One call of an endpoint, and what an endpoint declares."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError
from billing_pipeline.invoicing.simulator.store import Transaction


@dataclass(frozen=True)
class Call:
    """What an endpoint works on.

    Args:
        transaction: open; what the endpoint writes is kept together with its answer.
        parameters: read by the contract.
        object_id: the id in the path, "" where there is none.
        now: the simulator's clock, in seconds since 1970 UTC.
        child_id: the second id in the path.
        meter_delay_seconds: how long after its receipt a meter event counts.
    """

    transaction: Transaction
    parameters: dict[str, Any]
    object_id: str
    now: int
    child_id: str = ""
    meter_delay_seconds: int = 0


@dataclass(frozen=True)
class Endpoint:
    """A method and path, the type that says what it accepts, and what the simulator makes of it.

    `understood` are the parameters that have an effect here. Others of the contract are refused rather than
    ignored: a rehearsal that ignores a parameter would prove nothing. Of two calls whose `exclusive` is the same
    text, one at a time is let in.
    """

    method: str
    template: str
    parameters: str
    understood: frozenset[str]
    run: Callable[[Call], dict[str, Any]]
    exclusive: Callable[[dict[str, Any]], str] | None = None

    @cached_property
    def path(self) -> re.Pattern[str]:
        """What the path of a request must look like."""
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9_.-]+)", self.template)
        return re.compile(f"^{pattern}$")


def endpoint(
    method: str,
    template: str,
    parameters: str,
    understood: str,
    run: Callable[[Call], dict[str, Any]],
    *,
    exclusive: Callable[[dict[str, Any]], str] | None = None,
) -> Endpoint:
    """An endpoint from a path with `{id}` (and `{child}`) and the understood parameters in one text.

    `parameters` names the SDK's type: `InvoiceCreateParams`, `billing.MeterCreateParams`, `v2.core.EventListParams`.
    """
    return Endpoint(method, template, parameters, frozenset(understood.split()), run, exclusive)


def understood_only(values: Mapping[str, Any], understood: frozenset[str], prefix: str = "") -> None:
    """Refuse what Stripe takes and the simulator would ignore.

    Raises:
        ApiError: the first such parameter.
    """
    for name in values:
        if name not in understood:
            path = f"{prefix}[{name}]" if prefix else name
            raise ApiError(
                f"The simulator does not understand {path} here; Stripe does.",
                code="simulator_unsupported_parameter",
                param=path,
                keep=False,
            )
