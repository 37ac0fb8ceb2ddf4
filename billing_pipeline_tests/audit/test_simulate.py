"""`simulate`: a past month under a draft, beside what was billed, and not a byte of the home is touched by it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.audit.simulate import simulate
from billing_pipeline.audit.simulated import Beside, CustomerSimulation, Simulation
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import SimulationRefusedError, UnknownCustomerError
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book
from billing_pipeline.schemas.tables import TABLES
from billing_pipeline.terminal.simulate_report import run_simulate

OCTOBER = date(2026, 10, 1)
RULES = """
version: first
effective_from: 2026-01-01T00:00:00Z
units: [token, call]
meters:
  tokens: {unit: token, aggregation: sum, group_by: [model]}
  calls: {unit: call, aggregation: sum}
plans:
  growth:
    currency: usd
    charges:
      - {name: tokens, meter: tokens, price: {model: per_unit, unit_price: 0.01}}
      - name: calls
        meter: calls
        price: {model: graduated, tiers: [{up_to: 100, unit_price: 0.10}, {unit_price: 0.05}]}
      - {name: base, price: {model: flat_fee, amount: 20.00, pay: in_advance}}
    discounts: [{name: launch, percent: 10, applies_to: [tokens]}]
  abroad:
    currency: eur
    charges:
      - {name: tokens, meter: tokens, price: {model: per_unit, unit_price: 0.02}}
    not_charged: [calls]
coupons:
  welcome: {percent: 50, duration: forever}
"""
Simulate = Callable[..., Simulation]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RuleBooks]:
    folder = tmp_path_factory.mktemp("rules")

    def load(text: str) -> RuleBooks:
        path = folder / "draft.yaml"
        path.write_text(text, "utf-8")
        return RuleBooks((load_rule_book(path),))

    return load


@pytest.fixture(scope="module")
def company(
    *,
    books: Callable[[str], RuleBooks],
    new_pipeline: Callable[..., Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    """October and November closed: acme has late usage and a correction, mid another anchor day, slow no plan."""
    calls = {"unit": "call", "dimensions": {"tool": "search"}}
    first, noon, late = "2026-10-01T12:00:00Z", "2026-10-20T12:00:00Z", "2026-11-04T12:00:00Z"
    pipeline = new_pipeline(books(RULES))
    log = [
        *registered("acme"),
        *registered("beta"),
        change("coupon", "beta", "redeem", coupon="welcome"),
        *registered("euro", plan="abroad"),
        *registered("idle"),
        *registered("mid", anchor_day=15),
        *registered("slow", plan=None),
    ]
    entries = [(first, record) for record in log]
    entries += [
        (noon, usage("a1", noon)),
        (noon, usage("a2", noon, quantity="500", dimensions={"model": "small", "token_class": "input"})),
        (noon, usage("b1", noon, customer_id="beta", quantity="150", **calls)),
        (noon, usage("e1", noon, customer_id="euro")),
        (noon, usage("m1", noon, customer_id="mid")),
        (noon, usage("m0", "2026-10-14T12:00:00Z", customer_id="mid", quantity="7")),
        (noon, usage("s1", noon, customer_id="slow")),
        (late, usage("a3", noon, quantity="333")),
        (late, usage("m2", late, customer_id="mid", quantity="11")),
        (late, correction("fix", "a2", late)),
    ]
    receive(pipeline, entries)
    days = [date(2026, 10, day) for day in (1, 14, 20, 31)] + [date(2026, 11, day) for day in (4, 14, 30)]
    close(pipeline, days)
    return pipeline


@pytest.fixture
def under(company: Pipeline, books: Callable[[str], RuleBooks], tmp_path: Path) -> Simulate:
    """October under the rules with some of their text replaced."""

    def run(*changes: tuple[str, str], month: date = OCTOBER, customers: Sequence[str] = ()) -> Simulation:
        text = RULES
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (draft,) = books(text)
        workshop = replace(company.workshop, engine=company.engine.with_scratch(tmp_path / "spill"))
        scratch = OverlaidLake(company.lake, tmp_path / "scratch")
        return simulate(workshop, scratch, draft, month, customers=customers, told=lambda *_: None)

    return run


def compared(found: Simulation) -> dict[str, Beside]:
    return {customer.customer_id: amounts for customer, _, amounts in found.compared}


def only(found: Simulation, state: str) -> dict[str, CustomerSimulation]:
    return {each.customer_id: each for each in found.customers if each.state == state}


def test_unchanged_rules_simulate_to_what_was_billed(under: Simulate) -> None:
    """Fees, discounts, coupons, late usage, a correction and another anchor day: everybody differs by 0."""
    found = under()
    assert compared(found) == {
        "acme": Beside(2000 + 1333 - 133, 3200),
        "beta": Beside((2000 + 1250) // 2, 1625),
        "euro": Beside(2000, 2000),
        "idle": Beside(2000, 2000),
        "mid": Beside(2000 + 1011 - 101, 2910),
    }
    assert all(not each.difference for each in found.charges.values())
    assert only(found, "compared")["mid"].usage_period == date(2026, 10, 15)
    assert found.metered_again == ()


def test_a_price_change_moves_those_who_use_it_by_the_cents_it_costs(under: Simulate) -> None:
    """1,333 and 1,011 tokens at 1.2 instead of 1 cent, less the discount of 10 % on the rounded line."""
    found = under(("unit_price: 0.01}", "unit_price: 0.012}"))
    changed = {customer: each.difference for customer, each in compared(found).items() if each.difference}
    assert changed == {"acme": (1600 - 160) - (1333 - 133), "mid": (1213 - 121) - (1011 - 101)}
    usd = found.totals["usd"]
    assert (usd.more, usd.less, usd.same) == (2, 0, 2)
    assert usd.amounts.difference == sum(changed.values())
    assert {key.charge for key, each in found.charges.items() if each.difference} == {"tokens"}


def test_a_fee_is_tried_on_those_without_usage_too(under: Simulate) -> None:
    found = under(("amount: 20.00", "amount: 15.00"))
    assert compared(found)["idle"] == Beside(2000, 1500)
    assert found.totals["usd"].less == 4


def test_whoever_the_draft_cannot_price_is_listed_and_not_counted(under: Simulate) -> None:
    """A plan that is gone, and a customer who has none."""
    found = under(("  abroad:", "  elsewhere:"))
    blocked = only(found, "blocked")
    assert set(blocked) == {"euro", "slow"}
    assert "no such plan" in blocked["euro"].reasons[0]
    assert list(found.totals) == ["usd"]


def test_a_changed_meter_is_metered_again(under: Simulate) -> None:
    """Events are counted in place of tokens: two of acme's stand, the voided one does not."""
    found = under(
        ("tokens: {unit: token, aggregation: sum", "tokens: {unit: token, aggregation: count"),
        ("unit_price: 0.01}", "unit_price: 1.00}"),
    )
    assert found.metered_again == ("tokens",)
    assert compared(found)["acme"] == Beside(3200, 2000 + 200 - 20)
    assert compared(found)["mid"] == Beside(2910, 2000 + 200 - 20)
    assert compared(found)["beta"].difference == 0


def test_a_meter_that_looks_at_the_day_as_a_whole_is_metered_again(under: Simulate) -> None:
    """The largest event of a day, over what was posted on time and late: 1,000 tokens of acme's 1,333."""
    found = under(("tokens: {unit: token, aggregation: sum", "tokens: {unit: token, aggregation: max"))
    assert compared(found)["acme"] == Beside(3200, 2000 + 1000 - 100)


def test_usage_that_no_meter_of_the_draft_takes_blocks_its_customer(under: Simulate) -> None:
    found = under(("group_by: [model]}", "group_by: [model], filter: {model: [small]}}"))
    blocked = only(found, "blocked")
    assert {"acme", "euro", "mid"} <= set(blocked)
    assert "taken by no meter of first" in blocked["acme"].reasons[0]
    assert compared(found)["beta"].difference == 0


def test_a_month_that_is_not_billed_yet_is_told_apart(under: Simulate) -> None:
    """Its fees in advance are booked already, but nothing else can be."""
    found = under(month=date(2026, 12, 1), customers=["idle"])
    (idle,) = found.customers
    assert (idle.state, idle.by_currency) == ("not_billed", {"usd": Beside(2000, 2000)})
    assert "2026-12-31" in idle.reasons[0]
    assert not found.totals


def test_only_the_named_customers_are_looked_at(under: Simulate) -> None:
    assert set(compared(under(customers=["beta"]))) == {"beta"}
    with pytest.raises(UnknownCustomerError, match="nobody"):
        under(customers=["nobody"])


def test_a_month_before_the_first_rules_is_refused(under: Simulate) -> None:
    with pytest.raises(SimulationRefusedError, match="no rule book was in force in 2025-01"):
        under(month=date(2025, 1, 1))


def test_nothing_is_written(company: Pipeline, under: Simulate) -> None:
    """No table has a new snapshot, and no file of the home is new, gone or changed; also when metering again."""

    def state() -> tuple[object, ...]:
        files = (path for path in company.settings.home.rglob("*") if path.is_file())
        stored = {str(path): path.read_bytes() for path in files if path.suffix != ".lock"}
        lake = company.lake
        return stored, {table.name: lake.snapshot(table) for table in TABLES if lake.has(table)}

    before = state()
    under(("group_by: [model]", "group_by: [model, token_class]"), ("amount: 20.00", "amount: 15.00"))
    assert state() == before


def test_the_report_says_who_pays_what_and_draws_it(
    company: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tables with a histogram, as JSON in minor units, and as SVG."""
    monkeypatch.setenv("COLUMNS", "160")
    draft, plot = tmp_path / "draft.yaml", tmp_path / "plot.svg"
    draft.write_text(RULES.replace("amount: 20.00", "amount: 15.00"), "utf-8")
    assert run_simulate(company, str(draft), "2026-10", [], plot, as_json=False)
    told = capsys.readouterr().out
    assert "4 pay less, 0 more, 0 the same" in told
    assert "-20 to -50 %" in told
    assert "1 customer would be blocked" in told
    assert "<svg" in plot.read_text("utf-8")
    assert run_simulate(company, str(draft), "2026-10", ["idle"], None, as_json=True)
    document = json.loads(capsys.readouterr().out)
    (customer,) = document["customers"]
    assert customer["currencies"] == [
        {
            "currency": "usd",
            "billed_minor": 2000,
            "simulated_minor": 1500,
            "difference_minor": -500,
            "percent": "-25.00",
        }
    ]


def test_the_faults_of_a_draft_are_listed_with_their_lines(
    company: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(RULES.replace("currency: eur", "currency: xxx"), "utf-8")
    assert not run_simulate(company, str(draft), "2026-10", [], None, as_json=False)
    assert "draft.yaml:19: plans.abroad.currency" in capsys.readouterr().out


@pytest.mark.parametrize("period", ["2026-10-15", "October"])
def test_a_period_that_is_no_month_is_refused(company: Pipeline, period: str) -> None:
    with pytest.raises(SimulationRefusedError, match="2026-10"):
        run_simulate(company, "first", period, [], None, as_json=False)
