"""A registry file is read in order, exactly, and refused with every fault's line and field."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.rating.registry_files.customers import read_entries

PROJECT_SEED = Path(__file__).resolve().parents[3] / "data" / "registry.yaml"
MINIMUMS = "{name: x, effective_from: 2026-02-01, minimums: []}"
SEED = """\
customers:
  - id: acme
    name: Acme Inc.
    email: billing@acme.example
    anchor_day: 31
    effective_from: 2026-01-01
    plan: standard
    plans:
      - plan: scale
        effective_from: 2026-07-01
    projects:
      - support-bot
      - id: research
        effective_from: 2026-03-01
        closed_from: 2026-09-01
    closed_from: 2027-01-01
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "registry.yaml"
    path.write_text(text, "utf-8")
    return path


def read(path: Path) -> list[RegistryChange]:
    return [entry.change for entry in read_entries(read_document(path, may_be_empty=True))]


def acme(text: str) -> str:
    """A file in which acme, registered on 1 January, has agreed to something."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return f"customers:\n  - id: acme\n    effective_from: 2026-01-01\n{lines}"


def changes_of(folder: Path, text: str) -> list[RegistryChange]:
    """The changes but the registration."""
    return [change for change in read(write(folder, text)) if change.entity != "customer"]


def faults_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(write(folder, text))
    return [f"{fault.line}: {fault.field}: {fault.message}" for fault in caught.value.faults]


def assert_faults(found: Sequence[str], expected: Sequence[str]) -> None:
    assert len(found) == len(expected), found
    for fault, start in zip(found, expected, strict=True):
        assert fault.startswith(start), f"{fault} does not start with {start}"


def test_a_seed_precedes_the_log(tmp_path: Path) -> None:
    """All its changes stand at offset -1 and answer like any others."""
    changes = read(write(tmp_path, SEED))
    registry = Registry(changes)
    assert {change.queue_offset for change in changes} == {-1}
    assert registry.projects("acme") == ("research", "support-bot")
    assert agreement_of(registry, "acme").plan_on(date(2026, 6, 30)) == "standard"
    assert agreement_of(registry, "acme").plan_on(date(2026, 7, 1)) == "scale"
    assert registry.anchor_day("acme") == 31
    assert registry.closed_at("acme", "research") is not None


def test_the_seed_of_the_project_is_valid_and_empty() -> None:
    """Customers arrive through the log."""
    assert read(PROJECT_SEED) == []


def test_the_form_documented_in_the_seed_is_valid(tmp_path: Path) -> None:
    """The commented example can be used as it stands, and shows every entity there is."""
    lines = PROJECT_SEED.read_text("utf-8").splitlines()
    start = lines.index("# customers:")
    example = [line.removeprefix("# ") for line in lines[start:] if line.startswith("#")]
    changes = read(write(tmp_path, "\n".join(example)))
    assert {change.entity for change in changes} == {
        *("customer", "project", "plan_assignment", "add_on_assignment", "contract_override"),
        *("plan_override", "coupon", "credit_grant", "rerating"),
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "customers:\n"])
def test_an_empty_seed_is_no_fault(tmp_path: Path, text: str) -> None:
    """It says nothing, and may."""
    assert read(write(tmp_path, text)) == []


def test_plans_and_add_ons_are_read_with_their_terms(tmp_path: Path) -> None:
    """Days as ISO dates, whole numbers as numbers; a quantity of 0 is an end."""
    found = changes_of(
        tmp_path,
        acme("""\
plans:
  - {plan: growth, effective_from: 2026-02-01, until: 2026-05-01, trial_days: 14}
plan_ends: 2026-06-01
add_ons:
  - {add_on: seats, effective_from: 2026-02-01, quantity: 5, until: 2026-04-01}
  - {add_on: seats, effective_from: 2026-05-01, quantity: 0}
  - {add_on: support, effective_from: 2026-05-01}
"""),
    )
    assert found == [
        RegistryChange(
            "plan_assignment",
            "acme",
            "assign",
            date(2026, 2, 1),
            {"plan": "growth", "until": "2026-05-01", "trial_days": 14},
        ),
        RegistryChange("plan_assignment", "acme", "end", date(2026, 6, 1)),
        RegistryChange(
            "add_on_assignment",
            "acme/seats",
            "assign",
            date(2026, 2, 1),
            {"until": "2026-04-01", "quantity": 5},
        ),
        RegistryChange("add_on_assignment", "acme/seats", "end", date(2026, 5, 1)),
        RegistryChange("add_on_assignment", "acme/support", "assign", date(2026, 5, 1), {"quantity": 1}),
    ]


def test_the_terms_of_an_override_keep_the_text_that_was_written(tmp_path: Path) -> None:
    """No price passes through a float, and no digit is lost; what is null is left out."""
    [change] = changes_of(
        tmp_path,
        acme("""\
overrides:
  - name: deal
    plan: growth
    effective_from: 2026-02-01
    until: 2027-02-01
    charge: tokens
    price:
      model: graduated
      tier_by: null
      tiers:
        - {up_to: 1000, unit_price: 0.100000000000000000001}
        - {unit_price: 1.10, flat_fee: "5"}
    discounts: [{name: ten, percent: 10, applies_to: [tokens]}]
"""),
    )
    assert (change.entity, change.entity_id, change.change) == ("contract_override", "acme", "override")
    assert change.details == {
        "name": "deal",
        "plan": "growth",
        "until": "2027-02-01",
        "charge": "tokens",
        "price": {
            "model": "graduated",
            "tiers": [
                {"up_to": "1000", "unit_price": "0.100000000000000000001"},
                {"unit_price": "1.10", "flat_fee": "5"},
            ],
        },
        "discounts": [{"name": "ten", "percent": "10", "applies_to": ["tokens"]}],
    }


def test_a_price_may_be_added_to_a_plan_for_all(tmp_path: Path) -> None:
    """As rows of a table, or with the meter of a charge that the plan lacks."""
    [change] = changes_of(
        tmp_path,
        """\
plan_overrides:
  - plan: growth
    name: atlas-mini
    effective_from: 2026-11-01
    charge: tokens
    rows: [{match: {model: atlas-mini}, unit_price: 0.30, per: 1000000}]
""",
    )
    assert (change.entity, change.entity_id) == ("plan_override", "growth")
    assert change.details["rows"] == [
        {"match": {"model": "atlas-mini"}, "unit_price": "0.30", "per": "1000000"}
    ]


def test_grants_coupons_and_reratings_are_read(tmp_path: Path) -> None:
    """An amount is the decimal of the text; a grant that was taken back is two changes."""
    found = changes_of(
        tmp_path,
        acme("""\
coupons: [{coupon: welcome, effective_from: 2026-02-01}]
credit_grants:
  - id: pilot
    amount: 250.10
    currency: usd
    effective_from: 2026-02-01
    priority: 2
    expires: 2027-01-01
    charges: [tokens]
    reason: Pilot
    voided_from: 2026-06-01
    void_reason: Paid back
""")
        + """\
reratings:
  - {customer: acme, usage_period: 2026-03-01, rules: "2026-10-16", who: finance, why: Signed late.}
""",
    )
    assert found == [
        RegistryChange("coupon", "acme", "redeem", date(2026, 2, 1), {"coupon": "welcome"}),
        RegistryChange(
            "credit_grant",
            "acme/pilot",
            "grant",
            date(2026, 2, 1),
            {
                "amount": "250.1",
                "currency": "usd",
                "priority": 2,
                "expires": "2027-01-01",
                "charges": ["tokens"],
                "reason": "Pilot",
            },
        ),
        RegistryChange("credit_grant", "acme/pilot", "void", date(2026, 6, 1), {"reason": "Paid back"}),
        RegistryChange(
            "rerating",
            "acme",
            "rerate",
            date(2026, 3, 1),
            {"usage_period": "2026-03-01", "rules": "2026-10-16", "who": "finance", "why": "Signed late."},
        ),
    ]


def test_an_entry_without_its_own_start_is_about_a_customer_known_already(tmp_path: Path) -> None:
    """It registers nothing; what is registered with a customer needs the day."""
    text = """\
customers:
  - id: acme
    coupons: [{coupon: welcome, effective_from: 2026-02-01}]
  - {id: bolt, email: a@b.example}
  - {id: cord, projects: [bot, {id: web, effective_from: 2026-01-01}]}
"""
    assert_faults(
        faults_of(tmp_path, text),
        [
            "4: customers[1]: has 'email', but no `effective_from`",
            "5: customers[2].projects[0]: needs an `effective_from`",
        ],
    )
    [change] = read(write(tmp_path, text.split("  - {id: bolt", maxsplit=1)[0]))
    assert change.entity == "coupon"


def test_every_fault_is_listed_with_line_and_field(tmp_path: Path) -> None:
    """Unknown keys, wrong values and ids used twice, all at once."""
    text = """\
customers:
  - id: acme
    effective_from: 2026-01-01
    anchor_day: 32
    plann: x
  - id: a/b
    effective_from: soon
    projects: bot
  - id: acme
    effective_from: 2026-01-01
    projects: [bot, bot]
    closed_from: 2026-01-01
"""
    assert_faults(
        faults_of(tmp_path, text),
        [
            "4: customers[0].anchor_day: '32' is no whole number from 1 to 31",
            "5: customers[0].plann: unknown key 'plann'; did you mean 'plan'?",
            "6: customers[1].id: has a slash",
            "7: customers[1].effective_from: 'soon' is no date",
            "8: customers[1].projects: give a list",
            "9: customers[2].id: is listed already, in line 2",
            "11: customers[2].projects[1]: is listed already, in line 11",
            "12: customers[2].closed_from: is not after effective_from",
        ],
    )


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (
            "plans: [{plan: growth, effective_from: 2026-13-01}]",
            "plans[0].effective_from: '2026-13-01' is no",
        ),
        ("plans: [{effective_from: 2026-01-02}]", "plans[0].plan: missing"),
        (
            "plans: [{plan: a, effective_from: 2026-02-01, until: 2026-02-01}]",
            "plans[0].until: is not after effective_from, 2026-02-01",
        ),
        (
            "plans: [{plan: a, effective_from: 2026-02-01, trial_days: 1.5}]",
            "plans[0].trial_days: '1.5' is no",
        ),
        (
            "plan: a\nplans: [{plan: b, effective_from: 2026-01-01}]",
            "plans[0].effective_from: line 2 speaks of",
        ),
        (
            "plans: [{plan: a, effective_from: 2026-02-01}]\nplan_ends: 2026-02-01",
            "plan_ends: line 4 speaks of the same",
        ),
        (
            "add_ons: [{add_on: s, effective_from: 2026-02-01, quantity: -1}]",
            "add_ons[0].quantity: '-1' is no",
        ),
        (
            "add_ons: [{add_on: s, effective_from: 2026-02-01, quantity: 0, until: 2026-03-01}]",
            "add_ons[0].until: stands beside a quantity of 0",
        ),
        ("overrides: [{name: x, effective_from: 2026-02-01}]", "overrides[0]: changes nothing"),
        (
            "overrides: [{name: x, effective_from: 2026-02-01, price: {model: per_unit}}]",
            "overrides[0].price: has no `charge` beside it",
        ),
        (
            "overrides: [{name: x, effective_from: 2026-02-01, charge: c, minimums: []}]",
            "overrides[0].charge: has no `price` or `rows` beside it",
        ),
        (
            "overrides: [{name: x, effective_from: 2026-02-01, charge: c, meter: m, rows: [{per: 1}]}]",
            "overrides[0].meter: has no `price` beside it",
        ),
        (
            "overrides: [{name: x, effective_from: 2026-02-01, charge: c, price: {}, rows: [{per: 1}]}]",
            "overrides[0].rows: stands beside `price`",
        ),
        (
            "overrides: [{name: x, effective_from: 2026-02-01, charge: c, rows: [{match: {a: b}, unit_price: 3}]}]",
            "overrides[0].rows[0]: does not say for how many units",
        ),
        (
            f"overrides: [{MINIMUMS}, {MINIMUMS}]",
            "overrides[1].effective_from: line 4 speaks of the same",
        ),
        (
            "coupons: [{coupon: w, effective_from: 2026-02-01}, {coupon: w, effective_from: 2026-02-01}]",
            "coupons[1].effective_from: line 4 speaks of the same",
        ),
    ],
)
def test_a_faulty_contract_names_its_field(tmp_path: Path, entry: str, fault: str) -> None:
    """In the words of the form."""
    [found] = faults_of(tmp_path, acme(entry))
    assert found.partition(": ")[2].startswith(f"customers[0].{fault}"), found


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            ("amount: 5", "amount: 5.001"),
            "amount: 5.001 cannot be billed in usd, which has 2 digits",
        ),
        (("amount: 5", "amount: 0.00"), "amount: is 0"),
        (("amount: 5", "amount: 1e3"), "amount: '1e3' is no plain decimal"),
        (("usd", "USD"), "currency: unknown currency 'USD'"),
        (("reason: r", "reason: ' '"), "reason: is blank"),
        (("reason: r", ""), "reason: missing"),
        (("id: g", "id: a/b"), "id: has a slash"),
        (("reason: r", "reason: r, expires: 2026-01-01"), "expires: is not after effective_from"),
        (
            ("reason: r", "reason: r, voided_from: 2026-05-01"),
            "voided_from: takes value back without saying why",
        ),
        (("reason: r", "reason: r, void_reason: x"), "void_reason: has no `voided_from`"),
    ],
)
def test_a_faulty_grant_names_its_field(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    """An amount has no more digits than its currency can pay."""
    good = "{id: g, amount: 5, currency: usd, effective_from: 2026-02-01, reason: r}"
    assert len(changes_of(tmp_path, acme(f"credit_grants: [{good}]"))) == 1
    [found] = faults_of(tmp_path, acme(f"credit_grants: [{good.replace(*change)}]"))
    assert found.partition(": ")[2].startswith(f"customers[0].credit_grants[0].{fault}"), found


def test_a_rerating_says_who_and_why(tmp_path: Path) -> None:
    """Neither is left out or blank."""
    text = "reratings: [{customer: acme, usage_period: 2026-03-01, who: ' '}]"
    assert_faults(
        faults_of(tmp_path, text), ["1: reratings[0].why: missing", "1: reratings[0].who: is blank"]
    )


def test_what_is_not_yaml_is_a_fault_with_its_line(tmp_path: Path) -> None:
    """A broken file says where it is broken."""
    with pytest.raises(DocumentError) as caught:
        read(write(tmp_path, "customers:\n  - id: [acme\n"))
    assert caught.value.faults[0].line >= 2
