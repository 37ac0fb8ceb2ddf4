"""Identity: of every (source, id) the first in the log counts, whatever time it claims and whenever it comes again.

The same content again is a duplicate, however it is written, also months later; other content, if only a fresh
timestamp, is a conflict: it bills nothing and is listed beside the one that counted. What was rejected holds no
identity, and another source's id is another one. Several files of an import are one log, in the order of receipt. A
limited dedup window may forget an identity, never one of a correction or of what was corrected; it may not be shorter
than usage can be late. Conflicts are reported or, by policy, hold back the invoices of the customers they concern, and
nobody else's, until a correction says what counts; the check that lists them is red then.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.settings import PROJECT_ROOT
from billing_pipeline_tests.scenarios.company import Company, corrected, lines, rule_book, used

REPEATED = """
    SELECT d.source, d.id, d.outcome, CAST(d.receipt_day AS VARCHAR), CAST(c.quantity AS INTEGER)
    FROM duplicate_usage_events AS d JOIN valid_usage_events AS c ON c.queue_offset = d.counted_queue_offset
    ORDER BY d.queue_offset
"""
"""What came again, beside the quantity of the one that counted."""


@pytest.fixture(scope="module")
def company(new_company: Callable[..., Company]) -> Company:
    """A dollar a call; usage may be a year late, and no identity is ever forgotten."""
    company = new_company()
    company.write_rules(only=rule_book(late_window_days=365))
    company.write_customers({"id": "acme", "plan": "basic"})
    first, second, summer = "2025-02-01T10:00:00Z", "2025-02-02T10:00:00Z", "2025-07-01T10:00:00Z"
    company.receive_files(
        [
            used("sent-twice", first, 2, received_at="2025-02-01T12:00:00Z"),
            used("resent", second, 4),
            used("same", "2025-02-01T12:00:00+02:00", "8.0", received_at=second, emitted_at=second),
        ],
        [
            used("sent-twice", first, 1, received_at="2025-02-01T11:00:00Z"),
            used("resent", first, 4),
            used("same", first, 8),
            used("same", first, 16, source="another-app"),
            used("mended", first, 32, project_id="unknown"),
            used("mended", first, 64, received_at="2025-02-01T10:05:00Z"),
        ],
    )
    company.receive(used("resent", first, 4, received_at=summer), used("resent", summer, 4))
    company.make("2025-02-01", "2025-02-02", "2025-02-28", "2025-07-01", "2025-07-31")
    return company


def test_the_first_received_counts_and_what_comes_again_does_not_bill(company: Company) -> None:
    """1 of the id sent twice though its file is the second one, 4, 8 and 16 of two sources, 64 after a rejection."""
    (line,) = lines(company.invoice("acme", "2025-02"), "quantity", "amount_minor")
    assert line == (str(1 + 4 + 8 + 16 + 64), 93_00)


def test_a_resend_with_a_fresh_time_is_a_conflict_and_a_redelivery_months_later_a_duplicate(
    company: Company, refused: Callable[..., str]
) -> None:
    """July has no usage of its own: both are repetitions, of whatever day they claim to be."""
    assert company.sql(REPEATED) == [
        ("app", "sent-twice", "conflict", "2025-02-01", 1),
        ("app", "resent", "conflict", "2025-02-02", 4),
        ("app", "same", "duplicate", "2025-02-02", 8),
        ("app", "resent", "duplicate", "2025-07-01", 4),
        ("app", "resent", "conflict", "2025-07-01", 4),
    ]
    assert "there is no invoice" in refused(company.home, "invoice", "show", "acme", "2025-07")


@pytest.fixture(scope="module")
def forgetful(new_company: Callable[..., Company]) -> Company:
    """Usage may be a day late, an identity is known for three days."""
    company = new_company()
    company.write_rules(only=rule_book(late_window_days=1, dedup_window_days=3))
    company.write_customers({"id": "acme", "plan": "basic"})
    noon = "2025-02-{:02}T12:00:00Z".format
    company.receive(
        used("known", noon(1), 1),
        used("forgotten", noon(1), 2),
        used("corrected", noon(1), 4),
        corrected("fix", "corrected", noon(2), quantity_delta="4"),
        used("known", noon(4), 1),
        used("forgotten", noon(5), 16),
        used("corrected", noon(20), 32),
        corrected("fix", "corrected", noon(2), quantity_delta="4") | {"received_at": noon(21)},
        corrected("fix", "corrected", noon(2), quantity_delta="5") | {"received_at": noon(21)},
    )
    company.make(*(noon(day)[:10] for day in (1, 2, 4, 5, 20, 21, 28)))
    return company


def test_beyond_a_limited_window_an_identity_is_new_unless_it_was_corrected(forgetful: Company) -> None:
    """1 and 2, 4 corrected to 8, and 16 of an id that has been forgotten; neither the 32 nor the correction again."""
    (line,) = lines(forgetful.invoice("acme", "2025-02"), "quantity", "amount_minor")
    assert line == (str(1 + 2 + 8 + 16), 27_00)
    kinds = "SELECT id, kind, outcome, CAST(receipt_day AS VARCHAR) FROM duplicate_usage_events ORDER BY queue_offset"
    assert forgetful.sql(kinds) == [
        ("known", "usage", "conflict", "2025-02-04"),
        ("corrected", "usage", "conflict", "2025-02-20"),
        ("fix", "correction", "duplicate", "2025-02-21"),
        ("fix", "correction", "conflict", "2025-02-21"),
    ]


def test_a_window_shorter_than_usage_can_be_late_is_refused_with_line_and_field(
    new_company: Callable[..., Company],
) -> None:
    """A day of lateness, the grace as a whole day, and one more."""
    company = new_company()
    company.write_rules(only=rule_book(late_window_days=1, dedup_window_days=2))
    message = company.refused("import", "--format", "ndjson", "--register", _empty(company))
    assert "only.yaml:14" in message
    assert "dedup_window_days" in message
    assert "give at least 3" in message


def _empty(company: Company) -> Path:
    path = company.home.parent / "empty.ndjson"
    path.write_text("")
    return path


@pytest.fixture(scope="module")
def strict(new_company: Callable[..., Company]) -> Company:
    """The project's own rules, but that conflicts block; periods end with the second of February."""
    company = new_company(dagster_on_disk=True)
    books = sorted((PROJECT_ROOT / "data" / "rule_books").glob("*.yaml"))
    company.write_rules(
        **{
            book.stem: book.read_text("utf-8").replace(
                "conflict_policy: report", "conflict_policy: block_customer"
            )
            for book in books
        }
    )
    company.write_customers(
        *({"id": name, "plan": "standard", "anchor_day": 3} for name in ("acme", "globex", "initech"))
    )
    second = "2025-02-02T10:00:00Z"
    search = {"dimensions": {"tool": "web_search"}}
    company.receive(
        used("own", second, 100, **search),
        used("whose", second, 200, **search),
        used("whose", second, 200, **search, customer_id="globex"),
        used("hers", second, 300, **search, customer_id="globex"),
        used("other", second, 400, **search, customer_id="initech"),
    )
    company.billing("queue", "advance", "--to", "2025-02-03T01:00:00Z")
    assert "held back: acme" in company.billing("close", "--through", "2025-02-02")
    return company


def test_a_conflict_holds_back_the_customers_it_concerns_and_no_other(
    strict: Company, stripe_invoices: Callable[[Path], list[dict[str, Any]]]
) -> None:
    """The one whose event counted and the one whom the other content names; 400 searches cost a third one 4 dollars."""
    for customer_id in ("acme", "globex"):
        message = strict.refused("invoice", "show", customer_id, "2025-01-03")
        assert "held back: the event app whose of 2025-02-02 came again" in message
    assert strict.invoice("initech", "2025-01-03")["total_minor"] == 4_00
    assert [(each["customer_id"], each["total"]) for each in stripe_invoices(strict.home)] == [
        ("initech", 4_00)
    ]


def test_the_check_that_lists_conflicts_is_red_where_they_block(strict: Company) -> None:
    """It stands in Dagster with the two offsets, and has not stopped the run."""
    said = "2025-02-02: app whose: offset 2 says otherwise than 1, which counted"
    assert strict.check("duplicate_usage_events", "no_conflicts") == (False, "ERROR", said)


def test_a_correction_of_the_event_settles_it_and_the_next_invoice_answers_for_both_periods(
    strict: Company,
) -> None:
    """It says that the first was right, by changing nothing: 300 searches each, and March's."""
    search = {"dimensions": {"tool": "web_search"}}
    march = "2025-03-01T10:00:00Z"
    strict.receive(
        corrected("first-is-right", "whose", "2025-02-04T10:00:00Z", replacement={"quantity": "200"}),
        used("more", march, 50, **search),
        used("more-of-hers", march, 60, **search, customer_id="globex"),
    )
    strict.make("2025-02-04", "2025-03-01", "2025-03-02")
    for customer_id, of_march in (("acme", 50), ("globex", 60)):
        invoice = strict.invoice(customer_id, "2025-02-03")
        assert sorted(lines(invoice, "usage_period", "amount_minor")) == [
            ("2025-01-03", 3_00),
            ("2025-02-03", of_march),
        ]
