"""Reads the `limits` of a policy: how much may be spent within a window, by a customer, project or session."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast, get_args

from billing_pipeline.guardrails.policies.policy_amounts import Amounts, read_amounts
from billing_pipeline.guardrails.scope import ScopeKind
from billing_pipeline.guardrails.terms import LimitTerm, Severity
from billing_pipeline.guardrails.window import COUNTED, Window
from billing_pipeline.rating.document import Field

LIMITS_MOST = 100
_SEVERITIES = get_args(Severity)


class LimitForm(NamedTuple):
    """A limit with its amount in each currency of the policy."""

    scope_kind: ScopeKind
    window: Window
    severity: Severity
    amounts: Amounts

    def term(self, currency: str) -> LimitTerm:
        """The limit in one currency."""
        return LimitTerm(self.scope_kind, self.window, self.severity, self.amounts[currency])


def read_limits(field: Field, currencies: Sequence[str]) -> tuple[LimitForm, ...]:
    """`[{scope, window, hard?, soft?}, …]`, each scope and window once."""
    found: list[LimitForm] = []
    seen: set[tuple[str, str]] = set()
    for item in field.items(most=LIMITS_MOST):
        keys = item.mapping(required=("scope", "window"), optional=_SEVERITIES)
        scope = cast("ScopeKind", keys["scope"].choice(get_args(ScopeKind)))
        window = cast("Window", keys["window"].choice(get_args(Window)))
        if (scope, window) in seen:
            item.fault(f"the {window} of a {scope} has a limit above; put hard and soft into one")
        if scope and window:
            seen.add((scope, window))
            _check_window(keys, scope, window)
        given = [severity for severity in _SEVERITIES if severity in keys]
        if not given:
            item.fault("has neither `hard` nor `soft`; give an amount")
        limits = [LimitForm(scope, window, each, read_amounts(keys[each], currencies)) for each in given]
        _compare(keys, limits)
        found += limits
    return tuple(found)


def _check_window(keys: Mapping[str, Field], scope: str, window: str) -> None:
    """What the ledger counts: sessions as a whole, customers and projects by window; what is asked for at once."""
    if (scope == "session") != (window == "session"):
        where = "`session` alone" if scope == "session" else "request, minute, hour, day or period"
        keys["window"].fault(f"a {scope} is counted by {where}, not by {window}; choose another")
    elif "soft" in keys and window not in COUNTED:
        keys["soft"].fault(f"nobody is told of one {window}; give `hard`, or a longer window")


def _compare(keys: Mapping[str, Field], limits: Sequence[LimitForm]) -> None:
    amounts = {limit.severity: limit.amounts for limit in limits}
    if len(amounts) == len(_SEVERITIES) and any(
        soft > amounts["hard"][currency] for currency, soft in amounts["soft"].items()
    ):
        keys["soft"].fault("is above `hard`, so it is never reached; give less")
