"""Rule books are read exactly, and every fault is told with its path, line and field."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.charge_models.graduated import Graduated
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.rule_book_yaml import load_rule_book, load_rule_books

DEMO = Path(__file__).parents[2] / "data" / "rule_books"

BOOK = """\
version: "1"
effective_from: 2026-01-01T00:00:00Z
units: [token, call]
meters:
  tokens: {unit: token, aggregation: sum, group_by: [model]}
  calls: {unit: call, aggregation: count}
price_tables:
  list:
    currency: usd
    by: [model]
    per: 1000000
    rows:
      - {match: {model: a}, unit_price: 1.10}
plans:
  basic:
    currency: usd
    charges:
      - {name: tokens, meter: tokens, price: {model: per_unit, table: list}}
      - name: calls
        meter: calls
        price:
          model: graduated
          tiers:
            - {up_to: 10, unit_price: 0.1}
            - {unit_price: 0.05, flat_fee: 1}
"""


def write(folder: Path, text: str, name: str = "book.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def faults_of(folder: Path, *changes: tuple[str, str]) -> list[str]:
    """The faults of the book with these pieces of text replaced, without the path."""
    text = BOOK
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = write(folder, text)
    with pytest.raises(DocumentError) as caught:
        load_rule_book(path)
    assert all(fault.path == str(path) for fault in caught.value.faults)
    return [f"{fault.line}: {fault.field}: {fault.message}" for fault in caught.value.faults]


def test_a_book_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Numbers are the decimals of the text, instants are UTC, references are resolved."""
    book = load_rule_book(write(tmp_path, BOOK))
    assert book.version == "1"
    assert book.effective_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert book.meters["tokens"].group_by == ("model",)
    tokens, calls = book.plans["basic"].charges
    assert isinstance(tokens.price, PerUnit)
    assert tokens.price.table is not None
    assert str(tokens.price.table.prices["a",].price) == "1.1"
    assert tokens.price.table.prices["a",].each == Decimal("0.0000011")
    assert isinstance(calls.price, Graduated)
    assert [tier.up_to for tier in calls.price.tiers] == [Decimal(10), None]
    assert book.close_policy.grace_minutes == 60


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "up_to: 10,",
            "up_to: ten,",
            "24: plans.basic.charges[1].price.tiers[0].up_to: 'ten' is no plain decimal",
        ),
        (
            "up_to: 10,",
            "up_to: 0,",
            "24: plans.basic.charges[1].price.tiers[0].up_to: 0 is not above the tier before",
        ),
        (
            "{up_to: 10, ",
            "{",
            "24: plans.basic.charges[1].price.tiers[0]: has no `up_to`, but more tiers follow",
        ),
        (
            "{unit_price: 0.05,",
            "{up_to: 20, unit_price: 0.05,",
            "25: plans.basic.charges[1].price.tiers[1].up_to: closes",
        ),
        (
            "unit_price: 1.10",
            "unit_price: 1e-3",
            "13: price_tables.list.rows[0].unit_price: '1e-3' is no plain decimal",
        ),
        (
            "unit_price: 1.10",
            "unit_price: .inf",
            "13: price_tables.list.rows[0].unit_price: '.inf' is no plain decimal",
        ),
        (
            "unit_price: 1.10",
            "unit_price: -1",
            "13: price_tables.list.rows[0].unit_price: '-1' is no plain decimal",
        ),
        (
            "unit_price: 1.10",
            "unit_price: 0.0000000001",
            "13: price_tables.list.rows[0].unit_price: 0.0000000001 has too",
        ),
        (
            "unit_price: 1.10",
            "price: 1.10",
            "13: price_tables.list.rows[0].price: unknown key 'price'; did you mean 'un",
        ),
        (
            "{model: a}",
            "{modell: a}",
            "13: price_tables.list.rows[0].match.modell: unknown key 'modell'; did you mean",
        ),
        (
            "group_by: [model]",
            "group_by: [m]",
            "18: plans.basic.charges[0].price.table: is by 'model', which the meter does",
        ),
        (
            "currency: usd\n    by",
            "currency: eur\n    by",
            "18: plans.basic.charges[0].price.table: is in eur, but the",
        ),
        (
            "  basic:\n    currency: usd",
            "  basic:\n    currency: usb",
            "16: plans.basic.currency: unknown currency 'usb'",
        ),
        (
            "table: list",
            "table: lost",
            "18: plans.basic.charges[0].price.table: unknown 'lost'; did you mean 'list'?",
        ),
        ("per: 1000000", "per: 100", "11: price_tables.list.per: unknown '100'; did you mean '1000'?"),
        (
            "meter: calls",
            "meter: call",
            "20: plans.basic.charges[1].meter: unknown 'call'; did you mean 'calls'?",
        ),
        (
            "model: graduated",
            "model: graded",
            "22: plans.basic.charges[1].price.model: unknown 'graded'; did you mean",
        ),
        ("unit: token,", "unit: tokens,", "5: meters.tokens.unit: unknown 'tokens'; did you mean 'token'?"),
        (
            "aggregation: count",
            "aggregation: average",
            "6: meters.calls.aggregation: unknown 'average'; give one of",
        ),
        ("[model]}", "[a, b, c, d, e, f, g, h, i]}", "5: meters.tokens.group_by: has 9 items; give 0 to 8"),
        (
            "group_by: [model]}",
            "group_by: [model, model]}",
            "5: meters.tokens.group_by[1]: 'model' is named twice",
        ),
        ("group_by: [model]}", "group_by: [model, project]}", "5: meters.tokens.group_by: 'project' is kept"),
        (
            "2026-01-01T00:00:00Z",
            "2026-01-01",
            "2: effective_from: '2026-01-01' is no instant with an offset",
        ),
        ('version: "1"', "version: Spring 26", "1: version: 'Spring 26' is no name"),
        ('version: "1"\n', "", "1: version: missing; give a value"),
        ("  basic:", "  Basic:", "15: plans.Basic: 'Basic' is no name"),
        (
            "{name: tokens, ",
            "{name: calls, ",
            "19: plans.basic.charges[1]: 'calls' is the name of an earlier charge",
        ),
        ("version:", "version: 1\nversion:", "2: version: 'version' is given twice"),
        ("[token, call]", "&u [token, call]\nnotes: *u", "3: document: has an anchor used as an alias"),
        ("[token, call]", "[token, call", "4: document: is no YAML"),
        ("units:", "? [a]\n: 1\nunits:", "3: document: has a key that is no single text"),
        ('version: "1"', '%YAML 1.9\n---\nversion: "1"', "1: document: has a directive"),
        (
            "2026-01-01T00:00:00Z",
            "0001-01-01T00:00:00+23:59",
            "2: effective_from: '0001-01-01T00:00:00+23:59'",
        ),
    ],
)
def test_a_fault_names_its_line_and_field(tmp_path: Path, old: str, new: str, fault: str) -> None:
    """Each fault is found where it stands."""
    found = faults_of(tmp_path, (old, new))
    assert any(text.startswith(fault) for text in found), found


def test_all_faults_are_listed_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    """A book is mended in one go."""
    found = faults_of(
        tmp_path,
        ("unit: call", "unit: calls"),
        ("unit_price: 1.10", "unit_price: x"),
        ("up_to: 10", "up_to: y"),
    )
    assert [text.split(":")[0] for text in found] == ["6", "13", "24"]


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        ("{grace_minutes: 4321}", "is no whole number from 0 to 4320"),
        ("{grace_minutes: 61, late_window_days: 3, dedup_window_days: 4}", "give at least 5"),
        ("{grace_minutes: 0, late_window_days: 3, dedup_window_days: 3}", "give at least 4"),
        ("{late_policy: drop}", "give one of adjust, reject"),
        ("{conflict_policy: block}", "did you mean 'block_customer'?"),
        ("{grace: 5}", "did you mean 'grace_minutes'?"),
    ],
)
def test_the_close_policy_keeps_its_bounds(tmp_path: Path, policy: str, fault: str) -> None:
    """Grace is 0 to 72 h, and a limited dedup window outlasts every late event."""
    found = faults_of(tmp_path, ("units:", f"close_policy: {policy}\nunits:"))
    assert len(found) == 1
    assert fault in found[0]


def test_a_dedup_window_that_just_suffices_is_taken(tmp_path: Path) -> None:
    """The late window, the grace in whole days and one."""
    policy = "close_policy: {grace_minutes: 1441, late_window_days: 3, dedup_window_days: 6}\n"
    assert load_rule_book(write(tmp_path, policy + BOOK)).close_policy.dedup_window_days == 6


def test_a_dedup_window_also_covers_what_may_still_come_of_days_under_earlier_versions(
    tmp_path: Path,
) -> None:
    """The second version's own late window is short, but usage under the first one comes up to 30 days late."""
    write(tmp_path, "close_policy: {late_window_days: 30}\n" + BOOK, "1.yaml")
    later = BOOK.replace('version: "1"', 'version: "2"').replace("2026-01-01", "2026-02-01")
    policy = "close_policy: {{grace_minutes: 0, late_window_days: 3, dedup_window_days: {}}}\n"
    write(tmp_path, policy.format(31) + later, "2.yaml")
    with pytest.raises(
        DocumentError, match=r"2.yaml:1: close_policy.dedup_window_days: 31 .* give at least 32"
    ):
        load_rule_books(tmp_path)
    write(tmp_path, policy.format(32) + later, "2.yaml")
    assert len(load_rule_books(tmp_path)) == 2


@pytest.mark.parametrize("distinct", ["user_id", "session_id", "correlation_id", "dimensions.model"])
def test_a_unique_count_says_what_it_counts_the_values_of(tmp_path: Path, distinct: str) -> None:
    """A field of the event, or one of its dimensions."""
    counting = f"calls: {{unit: call, aggregation: unique_count, distinct: {distinct}}}"
    text = BOOK.replace("calls: {unit: call, aggregation: count}", counting)
    assert load_rule_book(write(tmp_path, text)).meters["calls"].distinct == distinct


@pytest.mark.parametrize(
    ("meter", "fault"),
    [
        ("{unit: call, aggregation: unique_count}", "counts the values of what? Add `distinct`"),
        ("{unit: call, aggregation: unique_count, distinct: model}", "no dimensions.NAME"),
        ("{unit: call, aggregation: unique_count, distinct: dimensions.}", "no dimensions.NAME"),
        ("{unit: call, aggregation: max, distinct: user_id}", "max has no use for it"),
        ("{unit: call, aggregation: average}", "unknown 'average'"),
    ],
)
def test_a_meter_that_cannot_count_is_refused(tmp_path: Path, meter: str, fault: str) -> None:
    """The fault says what is missing, or which words there are."""
    (found,) = faults_of(tmp_path, ("{unit: call, aggregation: count}", meter))
    assert fault in found


def test_the_content_hash_ignores_how_a_book_is_written(tmp_path: Path) -> None:
    """Comments, quoting, key order and trailing zeros do not matter."""
    other = "# a comment\n" + BOOK.replace("1.10", '"1.1"').replace(
        "{unit: call, aggregation: count}", "{aggregation: count, unit: call, group_by: null}"
    )
    first, second = load_rule_book(write(tmp_path, BOOK)), load_rule_book(write(tmp_path, other))
    assert first.content_hash == second.content_hash


@pytest.mark.parametrize(
    ("old", "new"), [("1.10", "1.11"), ("up_to: 10", "up_to: 11"), ("count", "sum"), ("Z", "+01:00")]
)
def test_the_content_hash_changes_with_every_value(tmp_path: Path, old: str, new: str) -> None:
    """What changes a cent changes the hash."""
    changed = load_rule_book(write(tmp_path, BOOK.replace(old, new))).content_hash
    assert changed != load_rule_book(write(tmp_path, BOOK)).content_hash


def test_books_of_a_folder_come_in_the_order_of_their_starts(tmp_path: Path) -> None:
    """The version in force is the last that has started."""
    write(tmp_path, BOOK.replace('"1"', '"2"').replace("2026-01-01", "2026-02-01"), "a.yaml")
    write(tmp_path, BOOK, "b.yaml")
    books = load_rule_books(tmp_path)
    assert [book.version for book in books] == ["1", "2"]
    assert books.in_force(datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) is None
    for instant, version in [
        (datetime(2026, 1, 1, tzinfo=UTC), "1"),
        (datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC), "1"),
        (datetime(2026, 2, 1, tzinfo=UTC), "2"),
    ]:
        book = books.in_force(instant)
        assert book is not None
        assert book.version == version
    assert books.get("2") is books.books[1]
    assert books.get("3") is None


def test_two_books_share_neither_version_nor_start_nor_change_a_plans_currency(tmp_path: Path) -> None:
    """Each such fault names the file that comes second."""
    write(tmp_path, BOOK, "a.yaml")
    write(tmp_path, BOOK.replace("usd", "eur"), "b.yaml")
    with pytest.raises(DocumentError) as caught:
        load_rule_books(tmp_path)
    assert [fault.field for fault in caught.value.faults] == ["version", "effective_from", "plans.basic"]
    assert {Path(fault.path).name for fault in caught.value.faults} == {"b.yaml"}


def test_the_faults_of_all_files_of_a_folder_are_listed(tmp_path: Path) -> None:
    """One bad file does not hide another."""
    write(tmp_path, BOOK.replace("usd", "usx"), "a.yaml")
    write(tmp_path, "", "b.yaml")
    write(tmp_path, "\N{LATIN SMALL LETTER A}: [" * 3000, "c.yaml")
    (tmp_path / "d.yaml").write_bytes(b"\xff")
    with pytest.raises(DocumentError) as caught:
        load_rule_books(tmp_path)
    assert {Path(fault.path).name for fault in caught.value.faults} == {
        "a.yaml",
        "b.yaml",
        "c.yaml",
        "d.yaml",
    }


def test_an_empty_folder_and_a_missing_file_are_faults(tmp_path: Path) -> None:
    """Nothing to load is an error, not an empty set of rules."""
    with pytest.raises(DocumentError, match=r"has 0 \*.yaml files"):
        load_rule_books(tmp_path)
    with pytest.raises(DocumentError, match="cannot be read"):
        load_rule_book(tmp_path / "none.yaml")


def test_the_books_of_the_demo_load_and_every_plan_prices_or_frees_every_meter() -> None:
    """No meter is left without a charge by accident."""
    books = load_rule_books(DEMO)
    assert [book.version for book in books] == ["2023-11-01", "2026-10-16"]
    for book in books:
        assert set(book.plans) == {"standard", "starter", "growth", "enterprise"}
        for plan in book.plans.values():
            assert plan.charges_by_meter.keys() | plan.not_charged == book.meters.keys()
