"""The reference model against figures worked out by hand: one small case for each rule, so that it can be trusted."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline_tests.metering.reference import calendar
from billing_pipeline_tests.metering.reference.log import (
    DAY_US,
    MINUTE_US,
    Book,
    Control,
    Correction,
    Entry,
    Invalid,
    Meter,
    Record,
    Replacement,
    Share,
    Usage,
)
from billing_pipeline_tests.metering.reference.metering import Metering
from billing_pipeline_tests.metering.reference.rollups import restated, rollups, unmetered, versions
from billing_pipeline_tests.metering.reference.state import split

NOON = 12 * 60
START = -100 * DAY_US
TOKENS = Meter("tokens", "token", "sum")
BOOK = Book("old", START, ("token", "call"), (TOKENS,))
NANO = Fraction(1, 10**9)

Timed = tuple[int, Record]


def at(day: int, minutes: float = NOON, microseconds: int = 0) -> int:
    return day * DAY_US + int(minutes * MINUTE_US) + microseconds


REGISTERED: list[Timed] = [
    (START, Control("customer", "acme", "register")),
    (START, Control("project", "acme/p", "register")),
    (START, Control("customer", "beta", "register")),
    (START, Control("project", "beta/q", "register")),
]
FIRST = len(REGISTERED)
"""The offset of the first record behind the registrations."""


def usage(event_id: str, occurred_at: int, quantity: float | Fraction = 10, **fields: Any) -> Usage:
    event = Usage("app", event_id, "acme", "p", occurred_at, "token", Fraction(quantity))
    return replace(event, **fields)


def fix(correction_id: str, corrects_id: str, action: str = "void", **fields: Any) -> Correction:
    event = Correction("support", correction_id, 0, ("app", corrects_id), action)
    return replace(event, **fields)


def adjust(correction_id: str, corrects_id: str, delta: float | Fraction) -> Correction:
    return fix(correction_id, corrects_id, "adjust", delta=Fraction(delta))


def put(correction_id: str, corrects_id: str, **named: Any) -> Correction:
    return fix(correction_id, corrects_id, "replace", replacement=Replacement(**named))


def metered(*timed: Timed, books: Sequence[Book] = (BOOK,)) -> Metering:
    return Metering(
        books,
        [Entry(offset, moment, record) for offset, (moment, record) in enumerate([*REGISTERED, *timed])],
    )


def outcomes(metering: Metering) -> list[tuple[int, str]]:
    return [(each.offset - FIRST, each.outcome) for each in metering.changes]


def short(totals: Any, *columns: int) -> dict[Any, Any]:
    """Some columns of the keys of some totals, with whole numbers where they are whole."""
    return {tuple(key[column] for column in columns): value for key, value in totals.items()}


# The calendar.


def test_a_day_closes_after_its_grace_and_takes_the_last_microsecond_before() -> None:
    assert calendar.close([BOOK], 5) == at(6, 60)
    assert calendar.receipt_day([BOOK], at(6, 60, -1)) == 5
    assert calendar.receipt_day([BOOK], at(6, 60)) == 6


def test_a_shorter_grace_closes_no_day_before_the_one_before_it() -> None:
    """Day 4 closes 72 h after its end, at the start of day 8; days 5 to 7, without a grace, close with it."""
    patient = replace(BOOK, grace_minutes=72 * 60)
    books = [patient, replace(BOOK, version="new", effective_from=5 * DAY_US, grace_minutes=0)]
    assert [calendar.close(books, day) for day in (3, 4, 5, 6, 7, 8)] == [
        day * DAY_US for day in (7, 8, 8, 8, 8, 9)
    ]
    assert calendar.receipt_day(books, at(8, 0, -1)) == 4
    assert calendar.receipt_day(books, at(8, 0)) == 8


def test_the_grace_of_a_day_is_that_of_its_start_also_where_the_version_starts_in_mid_day() -> None:
    books = [BOOK, replace(BOOK, version="new", effective_from=at(5), grace_minutes=120)]
    assert calendar.close(books, 5) == at(6, 60)
    assert calendar.close(books, 6) == at(7, 120)


# The door.


def test_a_record_sees_the_registry_of_lower_offsets_and_closings_by_occurrence() -> None:
    metering = metered(
        (at(1), usage("early", at(1), customer="soon")),  # 0
        (at(1), usage("no project", at(1), project="q")),  # 1
        (at(1), Control("customer", "soon", "register")),
        (at(1), Control("project", "soon/p", "register")),
        (at(1), usage("known", at(1), customer="soon")),  # 4
        (at(1), usage("open", at(1, NOON, 1), customer="soon")),  # 5
        (at(1), Control("customer", "soon", "close", at(1))),
        (at(1), Control("project", "acme/p", "close", at(1, NOON, -1))),
        (at(1), usage("just closed", at(1), customer="soon")),  # 8
        (at(1), usage("before", at(1, NOON, -1), customer="soon")),  # 9
        (at(1), usage("project closed", at(1, NOON, -1))),  # 10
    )
    assert {offset - FIRST: code for offset, code in metering.rejected.items()} == {
        0: ("unknown_customer", "customer_id"),
        1: ("unknown_project", "project_id"),
        8: ("customer_closed", "customer_id"),
        10: ("project_closed", "project_id"),
    }


def test_times_and_units_and_the_contract_are_checked_in_this_order() -> None:
    book = replace(BOOK, effective_from=0, late_window_days=2)
    metering = metered(
        (at(1), Invalid(b"{", "invalid_json")),
        (at(1), usage("ahead", at(1, NOON + 5))),
        (at(1), usage("too far ahead", at(1, NOON + 5, 1))),
        (at(1), usage("before the rules", -1)),
        (at(1), usage("unit", at(1), unit="page")),
        (at(4, 60, -1), usage("just late", at(1))),
        (at(4, 60), usage("too late", at(1))),
        (at(4, 60), fix("any", "time")),
        books=[book],
    )
    assert {offset - FIRST: code for offset, (code, _) in metering.rejected.items()} == {
        0: "invalid_json",
        2: "future_time",
        3: "no_rules_in_force",
        4: "unknown_unit",
        6: "too_late",
    }


def test_where_late_is_refused_the_close_is_the_end() -> None:
    metering = metered(
        (at(2, 60, -1), usage("in time", at(1))),
        (at(2, 60), usage("late", at(1))),
        books=[replace(BOOK, rejects_late=True)],
    )
    assert list(metering.rejected) == [FIRST + 1]


def test_a_record_sent_again_after_its_rejection_keeps_its_first_receipt_time_for_the_late_window() -> None:
    book = replace(BOOK, rejects_late=True)
    log = [Entry(offset, moment, record) for offset, (moment, record) in enumerate(REGISTERED)]
    log.append(Entry(FIRST, at(5), usage("mended", at(1)), first_received_at=at(1)))
    metering = Metering([book], log)
    assert metering.events[FIRST].posting_day == 5


def test_the_first_payer_that_is_refused_is_named() -> None:
    shares = (
        Share("acme", "p", Fraction(1, 2)),
        Share("beta", "p", Fraction(1, 4)),
        Share("none", "p", Fraction(1, 4)),
    )
    metering = metered((at(1), usage("shared", at(1), shares=shares)))
    assert metering.rejected == {FIRST: ("unknown_project", "allocations[1].project_id")}


# Identity.


def test_the_first_offset_counts_and_the_others_name_it() -> None:
    metering = metered(
        (at(1), usage("a", at(1), unit="page")),  # 0: rejected, it has not counted
        (at(1), usage("a", at(1))),  # 1
        (at(1), usage("a", at(1), emitted_at=7)),  # 2
        (at(3), usage("a", at(3))),  # 3: a fresh time is another event of the same identity
        (at(3), usage("a", at(1), source="other")),  # 4
        (at(3), fix("a", "b", source="app")),  # 5
    )
    assert metering.repeated == {
        FIRST + 2: ("duplicate", FIRST + 1),
        FIRST + 3: ("conflict", FIRST + 1),
        FIRST + 5: ("conflict", FIRST + 1),
    }
    assert [offset - FIRST for offset in metering.events] == [1, 4]


def test_a_limited_memory_slides_and_looks_at_every_valid_record() -> None:
    """Window of 3 days: day 4 remembers day 1, day 7 the one that did not count on day 4, day 11 nothing."""
    book = replace(BOOK, dedup_window_days=3)
    metering = metered(
        *((at(day), usage("a", at(day), correlation_id="x")) for day in (1, 4, 7, 11)), books=[book]
    )
    assert metering.repeated == {FIRST + 1: ("conflict", FIRST), FIRST + 2: ("conflict", FIRST + 1)}
    assert list(metering.events) == [FIRST, FIRST + 3]


def test_what_a_correction_names_is_never_forgotten_nor_the_correction() -> None:
    book = replace(BOOK, dedup_window_days=3)
    metering = metered(
        (at(1), usage("a", at(1))),  # 0
        (at(1), usage("b", at(1))),  # 1
        (at(9), usage("a", at(9))),  # 2: named on the same day
        (at(9), fix("f", "a")),  # 3
        (at(19), usage("a", at(19))),  # 4
        (at(19), fix("f", "a")),  # 5
        (at(19), usage("b", at(19))),  # 6: named on a later day only
        (at(29), fix("g", "b")),  # 7: corrects the latest that counted
        books=[book],
    )
    assert metering.repeated == {
        FIRST + 2: ("conflict", FIRST),
        FIRST + 4: ("conflict", FIRST),
        FIRST + 5: ("duplicate", FIRST + 3),
    }
    assert metering.changes[-1].event == metering.events[FIRST + 6]


def test_what_was_sent_again_after_its_rejection_is_never_forgotten_from_then_on() -> None:
    book = replace(BOOK, dedup_window_days=3)
    log = [Entry(offset, moment, record) for offset, (moment, record) in enumerate(REGISTERED)]
    log += [
        Entry(FIRST, at(1), usage("a", at(1))),
        Entry(FIRST + 1, at(1), usage("b", at(1), unit="page")),
        Entry(
            FIRST + 2, at(9), usage("b", at(1), unit="page"), first_received_at=at(1)
        ),  # rejected once more
        Entry(FIRST + 3, at(9), usage("a", at(1)), first_received_at=at(1)),
        Entry(FIRST + 4, at(19), usage("a", at(19))),
    ]
    metering = Metering([book], log)
    assert metering.repeated == {FIRST + 3: ("duplicate", FIRST), FIRST + 4: ("conflict", FIRST)}


def test_a_refused_correction_sent_again_is_looked_at_anew_until_it_is_applied() -> None:
    metering = metered(
        (at(1), fix("f", "a")),  # 0
        (at(1), fix("f", "a")),  # 1
        (at(1), fix("f", "a", note="other")),  # 2
        (at(1), usage("a", at(1))),  # 3
        (at(1), fix("f", "a")),  # 4
        (at(2), fix("f", "a")),  # 5
        (at(2), fix("f", "b")),  # 6
    )
    assert outcomes(metering) == [(0, "original_not_found"), (1, "original_not_found"), (4, "applied")]
    assert metering.repeated == {
        FIRST + 2: ("conflict", FIRST),
        FIRST + 5: ("duplicate", FIRST + 4),
        FIRST + 6: ("conflict", FIRST),
    }


# Allocations.


@pytest.mark.parametrize(
    ("whole", "portions", "digits", "parts"),
    [
        (
            10,
            [Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)],
            0,
            [5, 3, 2],
        ),  # 5, 2.5, 2.5: the tie goes to the first listed
        (1, [Fraction(1, 2), Fraction(1, 2)], 0, [1, 0]),
        (
            Fraction(1, 10),
            [Fraction(3, 10), Fraction(3, 10), Fraction(4, 10)],
            1,
            [0, 0, Fraction(1, 10)],
        ),  # 0.3, 0.3, 0.4 of a tenth
        (
            2,
            [Fraction(3, 10), Fraction(3, 10), Fraction(4, 10)],
            0,
            [1, 0, 1],
        ),  # 0.6, 0.6, 0.8: to the last, then to the first
        (1, [Fraction(1, 3), Fraction(2, 3)], 9, [Fraction(333333333, 10**9), Fraction(666666667, 10**9)]),
        (0, [Fraction(1, 2), Fraction(1, 2)], 0, [0, 0]),
    ],
)
def test_the_largest_remainder_gets_what_is_left_over(
    whole: Fraction, portions: list[Fraction], digits: int, parts: list[Fraction]
) -> None:
    assert split(Fraction(whole), portions, digits) == parts


THIRDS = (
    Share("acme", "p", Fraction(3, 10)),
    Share("beta", "q", Fraction(3, 10)),
    Share("acme", "p", Fraction(4, 10)),
)


def test_a_shared_event_is_booked_to_its_payers_and_counts_one_in_all() -> None:
    calls = Meter("calls", "token", "count")
    metering = metered(
        (at(1), usage("a", at(1), 2, shares=THIRDS)), books=[replace(BOOK, meters=(TOKENS, calls))]
    )
    assert short(rollups(metering), 4, 6) == {
        ("acme", "tokens"): (2, 2),  # parts 1 and 1
        ("acme", "calls"): (Fraction(7, 10), 2),
        ("beta", "calls"): (Fraction(3, 10), 1),
        ("beta", "tokens"): (0, 1),
    }


def test_a_new_quantity_is_split_anew_and_a_new_payer_ends_the_split() -> None:
    metering = metered(
        (at(1), usage("a", at(1), 2, shares=THIRDS)),
        (at(1), adjust("f", "a", 8)),
        (at(1), put("g", "a", project="p")),
    )
    states = [change.new for change in metering.changes]
    assert [[part.quantity for part in state.parts()] for state in states if state] == [[3, 3, 4], [10]]
    assert short(restated(metering, 9), 2) == {("acme",): (10, 1)}


# Corrections.


def test_corrections_apply_in_the_order_of_the_log_each_on_what_the_ones_before_it_left() -> None:
    metering = metered(
        (at(1), usage("a", at(1), 10)),
        (at(1), adjust("f1", "a", -11)),
        (at(1), adjust("f2", "a", -10)),
        (at(1), fix("f3", "a")),
        (at(1), put("f4", "a", billable=False)),
        (at(1), adjust("f5", "a", 3)),
        (at(1), put("f6", "a", billable=True, quantity=Fraction(7))),
        (at(1), adjust("f7", "a", 10**29 - 7)),
        (at(1), adjust("f8", "a", 10**29 - 8)),
    )
    assert [outcome for _, outcome in outcomes(metering)] == [
        "effective_negative",
        *["applied"] * 5,
        "effective_too_large",
        "applied",
    ]
    found: Any = [change.new for change in metering.changes if change.new]
    assert [(state.quantity, state.counted, state.billable) for state in found] == [
        (0, True, True),
        (0, False, True),
        (0, True, False),
        (3, True, False),
        (7, True, True),
        (10**29 - 1, True, True),
    ]


def test_each_correction_books_the_old_row_back_and_the_new_one() -> None:
    metering = metered(
        (at(1), usage("a", at(1), 10)),
        (at(1), put("f1", "a", customer="beta", project="q")),
        (at(3), fix("f2", "a")),
    )
    found: Any = [
        (
            row.offset - FIRST,
            row.posting_day,
            row.sign,
            row.part.customer,
            row.part.quantity,
            row.part.event_share,
        )
        for row in metering.rows()
    ]
    assert found == [
        (0, 1, 1, "acme", 10, 1),
        (1, 1, -1, "acme", 10, 1),
        (1, 1, 1, "beta", 10, 1),
        (2, 3, -1, "beta", 10, 1),
        (2, 3, 1, "beta", 0, 0),
    ]
    assert short(rollups(metering), 0, 3, 4) == {
        (1, "on_time", "acme"): (10, 1),
        (1, "correction", "acme"): (-10, -1),
        (1, "correction", "beta"): (10, 1),
        (3, "correction", "beta"): (-10, -1),
    }


def test_a_correction_is_refused_for_its_original_first_then_for_what_it_names() -> None:
    metering = metered(
        (at(1), fix("ahead", "a")),
        (at(1), usage("a", at(1), 10)),
        (at(1), fix("f", "a", "adjust", delta=Fraction(-99))),
        (at(1), replace(fix("of a correction", "f"), corrects=("support", "f"))),
        (at(1), put("g", "a", customer="none", unit="page")),
        (at(1), put("h", "a", customer="beta", unit="page")),
        (at(1), put("i", "a", unit="page", quantity=Fraction(1))),
        (at(1), Control("customer", "beta", "close", 0)),
        (at(99), put("j", "a", customer="beta", project="q")),
    )
    assert [outcome for _, outcome in outcomes(metering)] == [
        "original_not_found",
        "effective_negative",
        "not_correctable",
        "unknown_customer",
        "unknown_project",
        "unknown_unit",
        "applied",
    ]


def test_a_correction_goes_to_the_usage_day_and_the_version_of_its_original() -> None:
    """The new version, from noon of day 1 on, knows no calls; the event of a microsecond before it does."""
    books = [BOOK, replace(BOOK, version="new", effective_from=at(1), units=("token",))]
    metering = metered(
        (at(1), usage("a", at(1, NOON, -1))),
        (at(1), usage("b", at(1))),
        (at(5), put("f", "a", unit="call")),
        (at(5), put("g", "b", unit="call")),
        (at(5), adjust("h", "b", 1)),
        books=books,
    )
    assert [outcome for _, outcome in outcomes(metering)] == ["applied", "unknown_unit", "applied"]
    assert short(rollups(metering), 0, 1, 2, 3) == {
        (1, "old", 1, "on_time"): (10, 1),
        (1, "new", 1, "on_time"): (10, 1),
        (5, "old", 1, "correction"): (-10, -1),
        (5, "new", 1, "correction"): (1, 0),
    }
    assert short(unmetered(metering), 0, 1, 5) == {(5, "old", "call"): (10, 1)}


# Rollups.


def test_usage_is_booked_in_the_later_of_usage_day_and_receipt_day() -> None:
    metering = metered(
        (at(2, 59), usage("new day", at(2, 58), 1)),
        (at(2, 59), usage("old day", at(1, 58), 2)),
        (at(2, 60), usage("late", at(1, 58), 4)),
        (at(2, 60), usage("free", at(1), 8, billable=False)),
    )
    assert short(rollups(metering), 0, 2, 3) == {
        (2, 2, "on_time"): (1, 1),
        (1, 1, "on_time"): (2, 1),
        (2, 1, "late"): (4, 1),
    }


def test_a_meter_takes_its_unit_and_values_and_keeps_its_dimensions_apart() -> None:
    meter = Meter("outputs", "token", "sum", ("model",), (("class", ("out", "sum")),))
    metering = metered(
        (at(1), usage("a", at(1), 1, dimensions=(("class", "out"), ("model", "m"), ("region", "eu")))),
        (at(1), usage("b", at(1), 2, dimensions=(("class", "sum"), ("model", "m")))),
        (at(1), usage("c", at(1), 4, dimensions=(("class", "out"),))),
        (at(1), usage("d", at(1), 8, dimensions=(("class", "in"), ("model", "m")))),
        (at(1), usage("e", at(1), 16)),
        books=[replace(BOOK, meters=(meter,))],
    )
    assert short(rollups(metering), 8) == {((("model", "m"),),): (3, 2), ((),): (4, 1)}
    assert short(unmetered(metering), 6) == {
        ((("class", "in"), ("model", "m")),): (8, 1),
        ((),): (16, 1),
    }


def one_meter(aggregation: str, distinct: str | None = None) -> list[Book]:
    """Two versions with the same meter; the second one starts at noon of day 1."""
    book = replace(BOOK, meters=(Meter("m", "token", aggregation, (), (), distinct),))
    return [book, replace(book, version="new", effective_from=at(1))]


def test_max_books_what_each_event_raises_it_by_to_the_version_of_the_event() -> None:
    metering = metered(
        (at(1), usage("b", at(1), 7)),
        (at(1), usage("a", at(1, 60), 5)),
        (
            at(2),
            usage("late", at(1, 30), 6),
        ),  # then 6, 6, 7: the old version rises by 1, the new one falls by 1
        (at(3), adjust("f", "b", -7)),  # then 6, 6, 6
        books=one_meter("max"),
    )
    assert short(rollups(metering), 0, 1, 3) == {
        (1, "old", "on_time"): (5, 1),
        (1, "new", "on_time"): (2, 1),
        (2, "old", "late"): (1, 1),
        (2, "new", "late"): (-1, 0),
        (3, "new", "correction"): (-1, 0),
    }
    assert short(restated(metering, 3), 0) == {("old",): (6, 2), ("new",): (0, 1)}
    assert (2, "new") in versions(metering)


def test_latest_is_the_quantity_of_the_last_in_order_of_time_source_and_id() -> None:
    metering = metered(
        (at(1), usage("b", at(1), 7)),
        (at(1), usage("a", at(1), 9)),
        (at(1), usage("z", at(1, 60), 5)),
        (at(2), fix("f", "b")),
        books=one_meter("latest"),
    )
    assert short(rollups(metering), 0, 1, 3) == {
        (1, "old", "on_time"): (5, 1),
        (1, "new", "on_time"): (2, 2),  # 9 - 5, then 7 - 9
        (2, "new", "correction"): (2, -1),  # back to 9
    }


def test_unique_count_counts_a_value_where_it_occurs_first_and_nothing_where_there_is_none() -> None:
    metering = metered(
        (at(1), usage("b", at(1), user_id="u")),
        (at(1), usage("c", at(1), user_id="v")),
        (at(1), usage("d", at(1))),
        (at(2), usage("a", at(1, 60), user_id="u")),
        (at(3), fix("f", "c")),
        books=one_meter("unique_count", "user_id"),
    )
    assert short(rollups(metering), 0, 1, 3) == {
        (1, "new", "on_time"): (2, 3),
        (2, "old", "late"): (1, 1),
        (2, "new", "late"): (-1, 0),
        (3, "new", "correction"): (-1, -1),
    }


def test_unique_count_of_a_dimension_sees_the_dimensions_as_corrected() -> None:
    metering = metered(
        (at(1), usage("b", at(1), dimensions=(("model", "m"),))),
        (at(1), usage("c", at(1), dimensions=(("model", "m"),))),
        (at(2), put("f", "c", dimensions=(("model", "n"),))),
        (at(3), put("g", "c", dimensions=())),
        books=one_meter("unique_count", "dimensions.model"),
    )
    assert short(rollups(metering), 0, 3) == {
        (1, "on_time"): (1, 2),
        (2, "correction"): (1, 0),
        (3, "correction"): (-1, 0),
    }


def test_a_time_weighted_sum_holds_each_level_until_the_next_and_the_last_to_the_end_of_the_day() -> None:
    """5 from 01:00 to 12:00: 198,000 unit-seconds; 7 from 12:00 on: 302,400. With the late one 25,200 and 39,600."""
    metering = metered(
        (at(1), usage("a", at(1, 60), 5)),
        (at(1), usage("b", at(1), 7)),
        (at(2), usage("late", at(1, NOON + 60), 1)),
        (at(3), fix("f", "a")),
        books=one_meter("time_weighted_sum"),
    )
    assert short(rollups(metering), 0, 1, 3) == {
        (1, "old", "on_time"): (198_000, 1),
        (1, "new", "on_time"): (302_400, 1),
        (2, "new", "late"): (25_200 + 39_600 - 302_400, 1),
        (3, "old", "correction"): (-198_000, -1),
    }


def test_the_running_total_of_unit_seconds_is_cut_down_so_that_the_changes_telescope() -> None:
    """A nano for 0.6 s, twice: the total is 0.6 and then 1.2 nano, cut down to 0 and 1."""
    metering = metered(
        (at(1), usage("a", at(1, NOON, -600_000), NANO)),
        (at(1), usage("b", at(1), NANO)),
        (at(1), usage("c", at(1, NOON, 600_000), 0)),
        books=one_meter("time_weighted_sum"),
    )
    assert short(rollups(metering), 1) == {("old",): (0, 1), ("new",): (NANO, 2)}


def test_groups_are_kept_apart_by_usage_day_payer_and_terms_of_the_meter() -> None:
    """The new version's meter of the same name shows something else, so it starts anew."""
    old, new = one_meter("max")
    new = replace(new, meters=(Meter("m", "token", "latest"),))
    metering = metered(
        (at(1), usage("a", at(1, 60), 5)),
        (at(1), usage("b", at(1), 3)),
        (at(2), usage("c", at(2), 2)),
        (at(2), usage("d", at(2), 1, customer="beta", project="q")),
        books=[old, new],
    )
    assert short(rollups(metering), 1, 2, 4) == {
        ("old", 1, "acme"): (5, 1),
        ("new", 1, "acme"): (3, 1),
        ("new", 2, "acme"): (2, 1),
        ("new", 2, "beta"): (1, 1),
    }


def test_rows_that_come_to_nothing_are_left_out_and_zero_usage_is_not_nothing() -> None:
    metering = metered(
        (at(1), usage("a", at(1), 0)),
        (at(1), put("f", "a", quantity=Fraction(0))),
        (at(1), usage("b", at(1, 60), unit="call")),
        (at(1), fix("g", "b")),
    )
    assert short(rollups(metering), 3) == {("on_time",): (0, 1)}
    assert unmetered(metering) == {}
    assert versions(metering) == {(1, "old")}
