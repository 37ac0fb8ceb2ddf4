"""What the sheet says of the terms around charges, read from `around.yaml`, and what they come to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from billing_pipeline.charge_sheet.june import CURRENCY, JUNE, invoiced, rated_period
from billing_pipeline.charge_sheet.yaml_text import yaml_text
from billing_pipeline.rating.agreement import Agreement, Assignment, CreditGrant, Redemption
from billing_pipeline.rating.charges import TRIAL, RatedCharge
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.rating.rule_book_yaml import read_rule_book

FILE = Path(__file__).with_name("around.yaml")
_CUSTOMER = "acme"
_LONG_AGO = date(2025, 1, 1)
_NEVER = "never"
_SECTION = ("plan", "notes", "coupons", "grants")
_CASE = ("from", "used", "redeemed", "due")


@dataclass(frozen=True)
class AroundCase:
    """One row of a table: what is so, and the lines that come of it (minor units), by component and term."""

    text: str
    lines: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class AroundSheet:
    """A section about terms around charges; `terms` as they stand in a rule book, `order` as they are applied."""

    name: str
    line: str
    formula: str
    notes: tuple[str, ...]
    terms: str
    order: tuple[str, ...]
    currency: str
    cases: tuple[AroundCase, ...]


def around_sheets() -> tuple[AroundSheet, ...]:
    """The sections, in the order of the page.

    Raises:
        DocumentError: `around.yaml` is faulty.
    """
    root = read_document(FILE)
    keys = root.mapping(required=("rules", "sections"))
    book = read_rule_book(keys["rules"])
    sheets = tuple(_section(item, keys["rules"], book) for item in keys["sections"].items(least=1))
    root.raise_faults()
    return sheets


def _section(item: Field, rules: Field, book: RuleBook) -> AroundSheet:
    keys = item.mapping(required=("name", "line", "formula", "cases"), optional=_SECTION)
    coupons = [each.text() for each in keys["coupons"].items()] if "coupons" in keys else []
    grants = tuple(_grant(each) for each in keys["grants"].items()) if "grants" in keys else ()
    plan = keys["plan"].text() if "plan" in keys else ""
    cases = []
    for case in keys["cases"].items(least=1):
        of_case = case.mapping(required=("text",), optional=_CASE)
        item.raise_faults()
        agreement = Agreement(
            _CUSTOMER,
            assignments=(Assignment(plan, _day(of_case, "from", _LONG_AGO)),) if plan else (),
            redemptions=_redemptions(of_case, coupons),
            grants=grants,
        )
        lines = (
            invoiced(_amounts(of_case, "due"), agreement, book)
            if grants
            else rated_period(_used(of_case), agreement, book)
        )
        cases.append(AroundCase(of_case["text"].text(), _summed(lines)))
    return AroundSheet(
        name=keys["name"].text(),
        line=keys["line"].text(),
        formula=keys["formula"].text(),
        notes=tuple(note.text(most=1000) for note in keys["notes"].items()) if "notes" in keys else (),
        terms=_terms(rules, plan, coupons) + (yaml_text("grants", keys["grants"]) if grants else ""),
        order=(*_term_names(book, plan), *coupons, *(grant.grant_id for grant in grants)),
        currency=CURRENCY,
        cases=tuple(cases),
    )


def _used(case: Mapping[str, Field]) -> dict[date, Decimal]:
    return {date.fromisoformat(day): quantity for day, quantity in _amounts(case, "used").items()}


def _amounts(case: Mapping[str, Field], name: str) -> dict[str, Decimal]:
    fields = case[name].entries(characters_most=64) if name in case else {}
    return {key: Decimal(field.text()) for key, field in fields.items()}


def _summed(charges: Iterable[RatedCharge]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for charge in charges:
        name = (charge.key.component, charge.key.term)
        sums[name] = sums.get(name, 0) + charge.amount_minor
    return sums


def _grant(field: Field) -> CreditGrant:
    keys = field.mapping(required=("id", "amount"), optional=("priority", "expires", "charges"))
    return CreditGrant(
        grant_id=keys["id"].name_text(),
        currency=CURRENCY,
        amount=Decimal(keys["amount"].text()),
        start=_LONG_AGO,
        priority=keys["priority"].whole(least=0, most=100) if "priority" in keys else 0,
        expires=date.fromisoformat(keys["expires"].text()) if "expires" in keys else None,
        charges=frozenset(item.text() for item in keys["charges"].items())
        if "charges" in keys
        else frozenset(),
    )


def _redemptions(case: Mapping[str, Field], coupons: Sequence[str]) -> tuple[Redemption, ...]:
    if "redeemed" in case and case["redeemed"].text() == _NEVER:
        return ()
    day = _day(case, "redeemed", JUNE[0])
    return tuple(Redemption(coupon, day) for coupon in coupons)


def _day(keys: Mapping[str, Field], name: str, default: date) -> date:
    return date.fromisoformat(keys[name].text()) if name in keys else default


def _term_names(book: RuleBook, plan: str) -> Iterator[str]:
    yield ""
    if plan:
        yield from (term.name for term in book.plans[plan].terms_in_order)
    yield TRIAL


def _terms(rules: Field, plan: str, coupons: Sequence[str]) -> str:
    text = ""
    for section, names in (("plans", [plan] if plan else []), ("coupons", coupons)):
        field = rules.child(section)
        for name in names if field else ():
            child = field.child(name) if field else None
            text += yaml_text(name, child) if child else ""
    return text
