"""The tree of a whole rule book, by the sections of its file."""

from billing_pipeline.rating.book_changes.node import Node, group
from billing_pipeline.rating.book_changes.value_nodes import TableNames, thing, value_node, written_table
from billing_pipeline.rating.plan_terms.commitment import Maximum, Minimum
from billing_pipeline.rating.plan_terms.coupon import Coupon
from billing_pipeline.rating.plan_terms.discount import Discount, off_text
from billing_pipeline.rating.plan_terms.flat_fee import FlatFee
from billing_pipeline.rating.rule_book import Charge, Meter, Plan, PlanTerm, RuleBook


def book_tree(book: RuleBook) -> dict[str, Node]:
    """The sections, in the order of the file. Version, start and description are not what a book says."""
    tables = {id(table): name for name, table in book.price_tables.items()}
    return {
        "units": group({unit: Node(unit) for unit in book.units}),
        "meters": group({name: _meter(meter) for name, meter in book.meters.items()}),
        "price_tables": group({name: written_table(table) for name, table in book.price_tables.items()}),
        "plans": group({name: _plan(plan, tables) for name, plan in book.plans.items()}),
        "add_ons": group({name: _plan(plan, tables) for name, plan in book.add_ons.items()}),
        "coupons": group({name: _coupon(coupon) for name, coupon in book.coupons.items()}),
        "close_policy": thing(book.close_policy, {}, text=""),
    }


def _meter(meter: Meter) -> Node:
    by = f" by {', '.join(meter.group_by)}" if meter.group_by else ""
    return thing(meter, {}, text=f"{meter.aggregation} of {meter.unit}{by}")


def _plan(plan: Plan, tables: TableNames) -> Node:
    charges: dict[str, Node] = {charge.name: _charge(charge, tables) for charge in plan.charges}
    charges |= {fee.name: _flat_fee(fee) for fee in plan.flat_fees}
    children: dict[str, Node | None] = {
        "currency": Node(plan.currency),
        "trial_days": Node(str(plan.trial_days)) if plan.trial_days else None,
        "charges": group(charges),
        "not_charged": value_node(plan.not_charged, {}),
        "discounts": _terms(plan, Discount),
        "minimums": _terms(plan, Minimum),
        "maximums": _terms(plan, Maximum),
    }
    return Node(
        f"{plan.currency}: {', '.join(charges)}",
        kind="plan",
        children={name: node for name, node in children.items() if node is not None},
    )


def _charge(charge: Charge, tables: TableNames) -> Node:
    model = type(charge.price).__module__.rpartition(".")[
        2
    ]  # one module per charge model, named as rule books do
    words = f"{model} {charge.price.describe()}"
    price = thing(charge.price, tables, text=words, kind=model)
    children: dict[str, Node | None] = {
        "meter": Node(charge.meter),
        "description": value_node(charge.description, {}),
        "price": price,
    }
    return Node(
        words, kind="charge", children={name: node for name, node in children.items() if node is not None}
    )


def _flat_fee(fee: FlatFee) -> Node:
    return thing(fee, {}, text=f"flat_fee {fee.amount:f} {fee.pay}", kind="flat_fee")


def _terms(plan: Plan, kind: type[PlanTerm]) -> Node:
    found = {term.name: _term(term) for term in plan.terms if isinstance(term, kind)}
    return group(found, order_matters=True)


def _term(term: PlanTerm) -> Node:
    text = off_text(term.percent, term.amount) if isinstance(term, Discount) else f"{term.amount:f}"
    return thing(term, {}, text=text)


def _coupon(coupon: Coupon) -> Node:
    return thing(coupon, {}, text=f"{off_text(coupon.percent, coupon.amount)} {coupon.currency}".strip())
