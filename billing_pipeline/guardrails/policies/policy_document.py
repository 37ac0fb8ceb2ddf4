"""Reads `data/guard.yaml`: the policies, which plan has which, and upper unit prices. All faults are listed at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from billing_pipeline.guardrails.policies.policy import (
    PlanPolicies,
    Policies,
    Policy,
    currencies_of,
    without_limits,
)
from billing_pipeline.guardrails.policies.policy_reading import read_policy
from billing_pipeline.rating.charge_models.unit_price import UnitPrice, read_per, read_price
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.rule_book import RuleBooks


def load_policies(path: Path, books: RuleBooks) -> Policies:
    """The policies of a document, for the plans of all rule books; without the file nothing is limited.

    Raises:
        DocumentError: lists every fault of the file.
    """
    if not path.exists():
        return without_limits(books)
    return read_policies(read_document(path), books)


def read_policies(root: Field, books: RuleBooks) -> Policies:
    """The policies that a document holds, for the plans of all rule books.

    Raises:
        DocumentError: lists every fault of the document.
    """
    keys = root.mapping(required=("policies", "default"), optional=("plans", "upper_unit_prices"))
    fields = keys["policies"].named()
    currencies = currencies_of(books)
    default = _read_default(keys["default"], list(fields))
    chosen = dict.fromkeys(currencies, default)
    for plan, field in keys["plans"].named().items() if "plans" in keys else ():
        if plan not in currencies:
            _refuse_plan(field, plan, "plan", list(currencies))
            continue
        chosen[plan] = _read_chosen(field, list(fields), default)
    policies: dict[str, Mapping[str, Policy]] = {}
    for name, field in fields.items():
        used = {currencies[plan] for plan, names in chosen.items() if name in names}
        policies[name] = read_policy(name, field, sorted(used))
    prices: dict[tuple[str, str], UnitPrice] = {}
    if "upper_unit_prices" in keys:
        prices = _read_upper_unit_prices(keys["upper_unit_prices"], books)
    root.raise_faults()
    return Policies(
        by_plan={
            plan: PlanPolicies(
                policies[names.production][currencies[plan]], policies[names.trial][currencies[plan]]
            )
            for plan, names in chosen.items()
        },
        upper_unit_prices=prices,
        unused=tuple(name for name in fields if not policies[name]),
    )


class _Chosen(NamedTuple):
    """Names of policies; a pair, so that `in` asks for either."""

    production: str
    trial: str


def _read_default(field: Field, known: Sequence[str]) -> _Chosen:
    keys = field.mapping(required=("production",), optional=("trial",))
    production = keys["production"].choice(known)
    return _Chosen(production, keys["trial"].choice(known) if "trial" in keys else production)


def _read_chosen(field: Field, known: Sequence[str], default: _Chosen) -> _Chosen:
    keys = field.mapping(optional=_Chosen._fields)
    if not keys:
        field.fault("says nothing; give `production`, `trial` or both, or leave the plan out")
    return default._replace(**{name: child.choice(known) for name, child in keys.items()})


def _read_upper_unit_prices(field: Field, books: RuleBooks) -> dict[tuple[str, str], UnitPrice]:
    known = sorted({name for book in books for name in (*book.plans, *book.add_ons)})
    found: dict[tuple[str, str], UnitPrice] = {}
    for plan, of_plan in field.named().items():
        if plan not in known:
            _refuse_plan(of_plan, plan, "plan or add-on", known)
            continue
        for charge, price_field in of_plan.named().items():
            keys = price_field.mapping(required=("unit_price",), optional=("per",))
            per = read_per(keys.get("per"))
            found[plan, charge] = UnitPrice(read_price(keys["unit_price"], per), per)
    return found


def _refuse_plan(field: Field, name: str, kind: str, known: Sequence[str]) -> None:
    field.fault(f"no rule book has a {kind} {name!r}; there are {', '.join(known)}")
