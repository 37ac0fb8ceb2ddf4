"""What usage costs by registry and rule book: the meters that take it, their charges, overrides, trials, add-ons."""

import json
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.errors import GuardRequestError, UnpricedUsageError
from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.guardrails.policies.policy import PlanPolicies, Policies, Policy, without_limits
from billing_pipeline.guardrails.pricing.usage_pricer import UsagePricer
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.charges import MeteredQuantity
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import PROJECT_ROOT
from billing_pipeline_tests.guardrails.made_customers import MadeCustomers, acme, at, made_books

BOOK = """
version: {version}
effective_from: {start}
units: [token, call, usd, gb, second]
meters:
  tokens: {{unit: token, aggregation: sum, group_by: [model]}}
  large: {{unit: token, aggregation: sum, filter: {{model: [large]}}}}
  calls: {{unit: call, aggregation: sum, group_by: [tool]}}
  requests: {{unit: call, aggregation: count}}
  users: {{unit: call, aggregation: unique_count, distinct: user_id}}
  storage: {{unit: gb, aggregation: max}}
  seconds: {{unit: second, aggregation: sum}}
plans:
  growth:
    currency: usd
    charges:
      - name: tokens
        meter: tokens
        price:
          model: per_unit
          table:
            currency: usd
            by: [model]
            per: 1000000
            rows:
              - {{match: {{model: large}}, unit_price: {large}}}
              - {{match: {{model: small}}, unit_price: 0.5}}
      - {{name: surcharge, meter: large, price: {{model: per_unit, unit_price: 0.000001}}}}
      - {{name: requests, meter: requests, price: {{model: per_unit, unit_price: 0.25}}}}
      - {{name: users, meter: users, price: {{model: per_unit, unit_price: 2}}}}
      - {{name: storage, meter: storage, price: {{model: volume, tiers: [{{unit_price: 1}}]}}}}
    not_charged: [calls]
  tiered:
    currency: usd
    charges:
      - name: calls
        meter: calls
        price: {{model: graduated, tiers: [{{up_to: 10, unit_price: 1}}, {{unit_price: 0.5, flat_fee: 7}}]}}
      - {{name: requests, meter: requests, price: {{model: package, size: 4, unit_price: 2}}}}
      - {{name: tokens, meter: tokens, price: {{model: volume, tiers: [{{unit_price: 1}}]}}}}
    not_charged: [users, seconds]
add_ons:
  watch: {{currency: usd, charges: [{{name: watched, meter: tokens, price: {{model: per_unit, unit_price: 3}}}}]}}
  wacht: {{currency: eur, charges: [{{name: bewacht, meter: tokens, price: {{model: per_unit, unit_price: 3}}}}]}}
"""
DAY = "2026-10-20T12:00:00Z"
Made = Callable[..., UsagePricer]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> RuleBooks:
    """Two versions, of which the later one has a dearer model from noon of 16 October on."""
    return made_books(
        tmp_path_factory.mktemp("books"),
        BOOK.format(version="v1", start="2026-01-01T00:00:00Z", large=10),
        BOOK.format(version="v2", start="2026-10-16T12:00:00Z", large=20),
    )


@pytest.fixture(scope="module")
def priced(books: RuleBooks) -> Made:
    """A pricer for acme as some changes have it, under some policies."""

    def make(*changes: RegistryChange, policies: Policies | None = None) -> UsagePricer:
        customers = MadeCustomers(books, changes or acme())
        return UsagePricer(customers, Rules(books), policies or without_limits(books))

    return make


def usage(unit: str, quantity: str = "1", **dimensions: str) -> Usage:
    return Usage(unit=unit, quantity=quantity, dimensions=dimensions)


def estimate(pricer: UsagePricer, *usages: Usage, instant: str = DAY) -> int:
    return pricer.estimate("acme", "p", usages, at(instant))


def actual(pricer: UsagePricer, *usages: Usage, instant: str = DAY) -> int:
    return pricer.actual("acme", "p", usages, at(instant))


def refused(pricer: UsagePricer, *usages: Usage) -> str:
    with pytest.raises(UnpricedUsageError) as raised:
        estimate(pricer, *usages)
    return str(raised.value)


def test_all_charges_of_all_meters_that_take_it_are_added_up(priced: Made) -> None:
    """By the filter of a meter, and by the dimensions that it groups by alone."""
    pricer = priced()
    assert estimate(pricer, usage("token", "1000000", model="small")) == NANO // 2
    large = usage("token", "1000000", model="large", region="eu")
    assert estimate(pricer, large) == actual(pricer, large) == 21 * NANO


def test_all_usage_is_added_up_before_it_is_rounded(priced: Made) -> None:
    """A tenth of a nano-unit ten times is one; what is held is rounded up, what is spent to the nearest."""
    pricer = priced()
    tenth = usage("token", "0.0002", model="small")
    assert [estimate(pricer, *[tenth] * number) for number in (0, 1, 10, 11)] == [0, 1, 1, 2]
    assert [actual(pricer, *[tenth] * number) for number in (0, 1, 4, 5, 10, 11)] == [0, 0, 0, 1, 1, 1]


def test_the_rule_book_of_the_instant_decides(priced: Made) -> None:
    """Also within a day."""
    pricer, large = priced(), usage("token", "1000000", model="large")
    assert estimate(pricer, large, instant="2026-10-16T11:59:59Z") == 11 * NANO
    assert estimate(pricer, large, instant="2026-10-16T12:00:00Z") == 21 * NANO


def test_a_meter_that_counts_takes_an_event_as_one(books: RuleBooks, priced: Made) -> None:
    """Whatever its quantity; a count of values needs an upper unit price, for each event."""
    with_users = Policies(without_limits(books).by_plan, {("growth", "users"): UnitPrice(Decimal("0.1"))})
    pricer = priced(policies=with_users)
    assert [estimate(pricer, usage("call", quantity)) for quantity in ("0", "1", "500")] == [350_000_000] * 3
    tiered = priced(*acme("tiered"))
    assert estimate(tiered, usage("call", "2")) == (2 + 7 + 2) * NANO
    assert actual(tiered, usage("call", "2")) == 2 * NANO + NANO // 2


def test_a_meter_left_free_on_purpose_costs_nothing(priced: Made) -> None:
    """One without a charge has no price."""
    tiered = priced(*acme("tiered"))
    assert estimate(tiered, usage("second", "5")) == 0
    assert refused(priced(), usage("second", "5")) == (
        "plan growth, meter seconds (rule book v2) has no price: the plan has no charge for the meter; add one, or "
        "list the meter under not_charged"
    )


def test_usage_that_no_meter_takes_has_no_price(priced: Made) -> None:
    """Nor has a combination that the table lacks."""
    assert "no meter of rule book v2 takes it; its meters take call, gb, second, token" in refused(
        priced(), usage("page")
    )
    assert refused(priced(), usage("token", model="new")).startswith(
        "plan growth, charge tokens: model=new has no price: add a row"
    )


def test_what_only_the_period_tells_needs_an_upper_unit_price(books: RuleBooks, priced: Made) -> None:
    """It is refused with what to write; a price of the period's total, or a meter of the day as a whole."""
    text = refused(priced(*acme("tiered")), usage("token", "1000"))
    assert text.startswith(
        "plan tiered, charge tokens (all units: above 0 at 1) has no price: what one use costs"
    )
    assert "`upper_unit_prices: {tiered: {tokens: {unit_price: …}}}` of data/guard.yaml" in text
    assert "charge storage (the max of meter storage) has no price" in refused(priced(), usage("gb", "5"))
    policies = Policies(
        without_limits(books).by_plan,
        {("tiered", "tokens"): UnitPrice(Decimal(2), 1000), ("growth", "storage"): UnitPrice(Decimal(3))},
    )
    assert estimate(priced(*acme("tiered"), policies=policies), usage("token", "1000")) == 2 * NANO
    assert actual(priced(policies=policies), usage("gb", "5")) == 15 * NANO


def test_an_upper_unit_price_stands_for_tiers_and_never_for_what_is_exact(
    books: RuleBooks, priced: Made
) -> None:
    """A fee that is due once need not be held for every call."""
    policies = Policies(
        without_limits(books).by_plan,
        {
            (plan, charge): UnitPrice(Decimal(1))
            for plan in ("growth", "tiered")
            for charge in ("calls", "tokens")
        },
    )
    pricer = priced(*acme("tiered"), policies=policies)
    assert estimate(pricer, usage("call")) == (1 + 2) * NANO
    assert estimate(priced(policies=policies), usage("token", "1000000", model="small")) == NANO // 2


def test_an_override_prices_instead(priced: Made) -> None:
    """For all of a charge's usage, or for the rows it names, from its day on."""
    whole = RegistryChange(
        "contract_override", "acme", "override", date(2026, 10, 5),
        {"name": "deal", "charge": "tokens", "price": {"model": "per_unit", "unit_price": "0.000002"}},
    )  # fmt: skip
    small = usage("token", "1000000", model="small")
    deal = priced(*acme(), whole)
    assert estimate(deal, small) == 2 * NANO
    assert estimate(deal, small, instant="2026-10-04T23:59:59Z") == NANO // 2
    rows = RegistryChange(
        "contract_override", "acme", "override", date(2026, 10, 5),
        {"name": "rows", "charge": "tokens", "rows": [{"match": {"model": "new"}, "unit_price": "0.000007"}]},
    )  # fmt: skip
    by_rows = priced(*acme(), rows)
    assert estimate(by_rows, usage("token", "1000000", model="new")) == 7 * NANO
    assert estimate(by_rows, small) == NANO // 2


def test_a_free_trial_is_free_unless_the_policy_counts_it(priced: Made) -> None:
    """Whatever the shape of the price; add-ons have no trial."""
    changes = acme(start=date(2026, 10, 15), trial_days=30)
    small, stored = usage("token", "1000000", model="small"), usage("gb", "5")
    assert estimate(priced(*changes), small, stored) == 0
    add_on = RegistryChange("add_on_assignment", "acme/watch", "assign", date(2026, 10, 1), {"quantity": 1})
    assert estimate(priced(*changes, add_on), small) == 3_000_000 * NANO
    counts = Policy("trial", "usd", counts_trial_usage=True)
    policies = Policies({"growth": PlanPolicies(Policy("p", "usd"), counts)})
    assert estimate(priced(*changes, policies=policies), small) == NANO // 2


def test_an_add_on_takes_usage_too(priced: Made) -> None:
    """In the plan's currency; in another one it is refused, for one amount cannot be in two."""
    watch = RegistryChange("add_on_assignment", "acme/watch", "assign", date(2026, 10, 1), {"quantity": 1})
    assert estimate(priced(*acme(), watch), usage("token", "2", model="small")) == 6 * NANO + 1000
    wacht = RegistryChange("add_on_assignment", "acme/wacht", "assign", date(2026, 10, 1), {"quantity": 1})
    assert refused(priced(*acme(), wacht), usage("token", "2", model="small")).startswith(
        "add-on wacht, charge bewacht in usd, the currency of plan growth, has no price: it is in eur"
    )


def test_who_has_no_terms_has_no_price(priced: Made) -> None:
    """As the terms say it."""
    with pytest.raises(UnpricedUsageError, match="customer nobody is not registered"):
        priced().estimate("nobody", "p", [usage("token")], at(DAY))


@pytest.mark.parametrize(
    "quantity", ["", "-1", "1e3", "1.", ".5", "1.0000000001", "1" * 30, "٣", " 1", 5, None]
)
def test_a_quantity_that_no_event_could_have_is_refused(priced: Made, quantity: str) -> None:
    """By its field."""
    with pytest.raises(GuardRequestError) as raised:
        estimate(priced(), usage("token", model="small"), usage("token", quantity, model="small"))
    assert raised.value.field == "usage[1].quantity"


@pytest.mark.parametrize("dimensions", [{"model": ["small"]}, {"model": 5}, {5: "small"}])
def test_dimensions_that_are_no_texts_are_refused(priced: Made, dimensions: dict[str, str]) -> None:
    """They come from within the process; JSON is checked when it is read."""
    with pytest.raises(GuardRequestError) as raised:
        estimate(priced(), Usage(unit="token", quantity="1", dimensions=dimensions))
    assert raised.value.field == "usage.dimensions"


MODELS = ("atlas-large", "atlas-small", "claude-opus-4-6")
USAGES = st.one_of(
    st.builds(
        lambda model, kind, quantity: ("llm_tokens", usage("token", quantity, model=model, token_class=kind)),
        st.sampled_from(MODELS), st.sampled_from(["input_uncached", "input_cached", "output"]),
        st.integers(1, 10**6).map(str),
    ),
    st.builds(
        lambda tool, quantity: ("tool_calls", usage("call", quantity, tool=tool)),
        st.sampled_from(["web_search", "retrieval", "other"]), st.integers(1, 9000).map(str),
    ),
    st.builds(
        lambda machine, quantity: ("compute_seconds", usage("second", quantity, machine=machine)),
        st.sampled_from(["small", "gpu"]), st.decimals(0, 20000, places=3).map(lambda value: f"{value:f}"),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def own_books() -> RuleBooks:
    return load_rule_books(Path(PROJECT_ROOT) / "data" / "rule_books")


@settings(deadline=None)
@given(
    plan=st.sampled_from(["standard", "starter", "growth", "enterprise"]), used=st.lists(USAGES, max_size=8)
)
def test_the_period_never_costs_more_than_was_held_for_it(
    own_books: RuleBooks, plan: str, used: Sequence[tuple[str, Usage]]
) -> None:
    """The invoice of any usage under the project's plans; without tiers it is the same to the last digit."""
    customers = MadeCustomers(own_books, acme(plan))
    rules = Rules(own_books)
    pricer = UsagePricer(customers, rules, without_limits(own_books))
    rows = [
        MeteredQuantity(
            "acme", "p", meter, each.unit, json.dumps(dict(each.dimensions), sort_keys=True, separators=(",", ":")),
            date(2026, 10, 20), "2026-10-16", Decimal(each.quantity), 1,
        )
        for meter, each in used
    ]  # fmt: skip
    rated = rate_period(agreement_of(customers.registry, "acme"), date(2026, 10, 1), rows, rules)
    assert not rated.unpriced
    due = sum((Fraction(charge.exact_amount) for charge in rated.charges), Fraction()) * NANO
    held = sum(estimate(pricer, each) for _, each in used)
    assert held >= due
    if plan in {"standard", "starter"}:
        together = [each for _, each in used]
        assert estimate(pricer, *together) == -(-due.numerator // due.denominator)
        assert abs(actual(pricer, *together) - due) <= Fraction(1, 2)
