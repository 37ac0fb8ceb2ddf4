"""Rule books as YAML: one file per version, checked as a whole, every fault with path, line and field."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

from billing_pipeline.errors import DocumentError, DocumentFault
from billing_pipeline.rating.charge_models.by_name import read_charge_model
from billing_pipeline.rating.charge_models.price_table import (
    DIMENSION_CHARACTERS_MOST,
    PriceTable,
    read_dimensions,
    read_price_table,
)
from billing_pipeline.rating.charge_models.surroundings import PROJECT, Surroundings
from billing_pipeline.rating.content_hash import content_hash
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.money import is_currency
from billing_pipeline.rating.rule_book import (
    DISTINCT_DIMENSION,
    DISTINCT_FIELDS,
    Aggregation,
    Charge,
    ClosePolicy,
    ConflictPolicy,
    LatePolicy,
    Meter,
    Plan,
    RuleBook,
    RuleBooks,
)

GRACE_MINUTES_MOST = 72 * 60
DAYS_MOST = 36_500
BOOKS_MOST = 1000
UNIT_CHARACTERS_MOST = 64


def load_rule_books(folder: Path) -> RuleBooks:
    """All rule books of a folder (`*.yaml`), ordered by `effective_from`.

    Raises:
        DocumentError: lists the faults of all files, also versions or starts that two files share, and plans
            that change their currency between versions.
    """
    faults: list[DocumentFault] = []
    read: list[tuple[Field, RuleBook]] = []
    paths = sorted(folder.glob("*.yaml"))
    if not 1 <= len(paths) <= BOOKS_MOST:
        raise DocumentError(
            [
                DocumentFault(
                    str(folder), 1, "folder", f"has {len(paths)} *.yaml files; give 1 to {BOOKS_MOST}"
                )
            ]
        )
    for path in paths:
        try:
            root = read_document(path)
            read.append((root, _read_book(root)))
        except DocumentError as error:
            faults += error.faults
    read.sort(key=lambda pair: pair[1].effective_from)
    for number, (root, book) in enumerate(read):
        for _, earlier in read[:number]:
            _compare(root, book, earlier)
        _compare_policies(root, book, [earlier for _, earlier in read[:number]])
        faults += root.faults
    if faults:
        raise DocumentError(faults)
    return RuleBooks(tuple(book for _, book in read))


def load_rule_book(path: Path) -> RuleBook:
    """One rule book.

    Raises:
        DocumentError: lists every fault of the file.
    """
    return _read_book(read_document(path))


def _read_book(root: Field) -> RuleBook:
    keys = root.mapping(
        required=("version", "effective_from", "units", "meters", "plans"),
        optional=("description", "price_tables", "close_policy"),
    )
    units = frozenset(
        item.text(most=UNIT_CHARACTERS_MOST) for item in keys["units"].items(least=1, most=1000)
    )
    meters = {name: _read_meter(name, field, units) for name, field in keys["meters"].named().items()}
    tables: dict[str, PriceTable] = {}
    if "price_tables" in keys:
        tables = {name: read_price_table(field) for name, field in keys["price_tables"].named().items()}
    plans = {name: _read_plan(name, field, meters, tables) for name, field in keys["plans"].named().items()}
    policy = _read_close_policy(keys["close_policy"]) if "close_policy" in keys else ClosePolicy()
    if "description" in keys:
        keys["description"].text(most=2000)
    version, effective_from = keys["version"].name_text(), keys["effective_from"].instant()
    root.raise_faults()
    assert root.node is not None  # noqa: S101 - for the type checker; without a node there is a fault
    return RuleBook(
        version, effective_from, content_hash(root.node), units, meters, plans, close_policy=policy
    )


def _read_meter(name: str, field: Field, units: frozenset[str]) -> Meter:
    keys = field.mapping(
        required=("unit", "aggregation"), optional=("group_by", "filter", "distinct", "description")
    )
    group_by = read_dimensions(keys["group_by"]) if "group_by" in keys else ()
    if PROJECT in group_by:
        keys["group_by"].fault(f"{PROJECT!r} is kept for the project id; rename the dimension")
    taken: dict[str, frozenset[str]] = {}
    if "filter" in keys:
        for dimension, values in keys["filter"].entries(characters_most=DIMENSION_CHARACTERS_MOST).items():
            taken[dimension] = frozenset(item.text() for item in values.items(least=1, most=1000))
    if "description" in keys:
        keys["description"].text(most=2000)
    aggregation = cast("Aggregation", keys["aggregation"].choice(get_args(Aggregation)))
    return Meter(
        name=name,
        unit=keys["unit"].choice(sorted(units)),
        aggregation=aggregation,
        group_by=group_by,
        filter=taken,
        distinct=_read_distinct(keys, aggregation),
    )


def _read_distinct(keys: Mapping[str, Field], aggregation: Aggregation) -> str | None:
    wanted = aggregation == "unique_count"
    if "distinct" not in keys:
        if wanted:
            keys["aggregation"].fault(
                f"counts the values of what? Add `distinct`: one of {', '.join(DISTINCT_FIELDS)} or dimensions.NAME"
            )
        return None
    distinct = keys["distinct"].text(most=len(DISTINCT_DIMENSION) + DIMENSION_CHARACTERS_MOST)
    name = distinct.removeprefix(DISTINCT_DIMENSION)
    if not wanted:
        keys["distinct"].fault(f"is for the aggregation unique_count; {aggregation} has no use for it")
    elif distinct not in DISTINCT_FIELDS and (not distinct.startswith(DISTINCT_DIMENSION) or not name):
        keys["distinct"].fault(
            f"{distinct!r} is none of {', '.join(DISTINCT_FIELDS)} and no dimensions.NAME; name one of these"
        )
    return distinct


def _read_plan(
    name: str, field: Field, meters: Mapping[str, Meter], tables: Mapping[str, PriceTable]
) -> Plan:
    keys = field.mapping(required=("currency", "charges"), optional=("description", "not_charged"))
    currency = keys["currency"].text()
    if currency and not is_currency(currency):
        keys["currency"].fault(
            f"unknown currency {currency!r}; give a code of ISO 4217 in lower case, like usd"
        )
    charges: dict[str, Charge] = {}
    for item in keys["charges"].items(most=1000):
        charge = _read_charge(item, currency, meters, tables)
        if charge and charge.name in charges:
            item.fault(f"{charge.name!r} is the name of an earlier charge; give it another")
        elif charge:
            charges[charge.name] = charge
    not_charged: set[str] = set()
    if "not_charged" in keys:
        for item in keys["not_charged"].items(most=1000):
            meter = item.choice(sorted(meters))
            if meter in {charge.meter for charge in charges.values()}:
                item.fault(f"{meter!r} has a charge in this plan; remove one of the two")
            not_charged.add(meter)
    if "description" in keys:
        keys["description"].text(most=2000)
    return Plan(name, currency, tuple(charges.values()), frozenset(not_charged))


def _read_charge(
    item: Field, currency: str, meters: Mapping[str, Meter], tables: Mapping[str, PriceTable]
) -> Charge | None:
    keys = item.mapping(required=("name", "meter", "price"), optional=("description",))
    name = keys["name"].name_text()
    meter = meters.get(keys["meter"].choice(sorted(meters)))
    description = keys["description"].text() if "description" in keys else name.replace("_", " ").capitalize()
    around = Surroundings(currency, meter.group_by if meter else (), tables)
    price = read_charge_model(keys["price"], around) if meter else None
    return Charge(name, meter.name, price, description) if meter and price else None


def _read_close_policy(field: Field) -> ClosePolicy:
    default = ClosePolicy()
    keys = field.mapping(
        optional=("grace_minutes", "late_window_days", "late_policy", "dedup_window_days", "conflict_policy")
    )
    grace_minutes, late_window_days = default.grace_minutes, default.late_window_days
    if "grace_minutes" in keys:
        grace_minutes = keys["grace_minutes"].whole(least=0, most=GRACE_MINUTES_MOST)
    if "late_window_days" in keys:
        late_window_days = keys["late_window_days"].whole(least=0, most=DAYS_MOST)
    dedup_window_days = None
    if "dedup_window_days" in keys:
        dedup_window_days = keys["dedup_window_days"].whole(least=1, most=DAYS_MOST)
        least = _dedup_days_least(late_window_days, grace_minutes)
        if dedup_window_days < least:
            keys["dedup_window_days"].fault(_too_short(dedup_window_days, least))
    late_policy, conflict_policy = default.late_policy, default.conflict_policy
    if "late_policy" in keys:
        late_policy = cast("LatePolicy", keys["late_policy"].choice(get_args(LatePolicy)))
    if "conflict_policy" in keys:
        conflict_policy = cast("ConflictPolicy", keys["conflict_policy"].choice(get_args(ConflictPolicy)))
    return ClosePolicy(grace_minutes, late_window_days, late_policy, dedup_window_days, conflict_policy)


def _dedup_days_least(late_window_days: int, grace_minutes: int) -> int:
    """What of a usage day may still come is compared with everything received since the first of it could come."""
    return late_window_days + -(-grace_minutes // (24 * 60)) + 1


def _too_short(dedup_window_days: int, least: int) -> str:
    return (
        f"{dedup_window_days} is too short to know an event again; give at least {least}"
        " (late window + grace in whole days + 1) or leave it out for no limit"
    )


def _compare_policies(root: Field, book: RuleBook, earlier: Sequence[RuleBook]) -> None:
    """Usage of days under earlier versions may still come, late by their windows."""
    window = book.close_policy.dedup_window_days
    policies = [each.close_policy for each in (*earlier, book)]
    least = _dedup_days_least(
        max(policy.late_window_days for policy in policies), max(policy.grace_minutes for policy in policies)
    )
    if window is not None and window < least:
        policy = root.child("close_policy")
        field = policy.child("dedup_window_days") if policy else None
        if field:
            field.fault(
                f"{_too_short(window, least)}; earlier versions, whose usage may still come, are counted in"
            )


def _compare(root: Field, book: RuleBook, earlier: RuleBook) -> None:
    """Note what this version may not have in common, or must keep, with an earlier one."""
    keys = root.mapping(
        required=("version", "effective_from", "plans"),
        optional=("description", "units", "meters", "price_tables", "close_policy"),
    )
    if book.version == earlier.version:
        keys["version"].fault(f"{book.version!r} is another file's version too; each version has one file")
    if book.effective_from == earlier.effective_from:
        keys["effective_from"].fault(
            f"version {earlier.version!r} starts at the same instant; move one of the two"
        )
    plans = keys["plans"].named()
    for name, plan in book.plans.items():
        before = earlier.plans.get(name)
        if before and before.currency != plan.currency:
            plans[name].fault(
                f"is in {plan.currency}, but in {before.currency} in version {earlier.version!r};"
                " a plan keeps its currency, give the new one another name"
            )
