"""The rules of invoices, credit notes and meters: what is allowed when, and what it does to the amounts."""

from typing import Any

import pytest

from billing_pipeline.invoicing.simulator.api import Simulator
from billing_pipeline.invoicing.simulator.store import Store
from billing_pipeline_tests.invoicing.simulator.asking import NOW, code, send, succeed


@pytest.fixture
def simulator(store: Store) -> Simulator:
    """One whose meter events count after a minute."""
    return Simulator(store, lambda: NOW, meter_delay_seconds=60)


def _invoice(simulator: Simulator, amount: int, *, final: bool = True, customer: str | None = None) -> Any:
    customer = customer or succeed(simulator, "POST", "/v1/customers")["id"]
    invoice = succeed(simulator, "POST", "/v1/invoices", customer=customer)["id"]
    succeed(simulator, "POST", f"/v1/invoices/{invoice}/add_lines", **{"lines[0][amount]": amount})
    return succeed(simulator, "POST", f"/v1/invoices/{invoice}/finalize") if final else {"id": invoice}


ALLOWED = {
    "draft": {"finalize"},
    "open": {"void", "mark_uncollectible", "pay"},
    "paid": set(),
    "void": set(),
    "uncollectible": {"void", "pay"},
}


@pytest.mark.parametrize("state", ALLOWED)
@pytest.mark.parametrize("action", ["finalize", "void", "mark_uncollectible", "pay"])
def test_only_allowed_moves_are_made(simulator: Simulator, state: str, action: str) -> None:
    """From each state the moves that Stripe allows succeed, and all others are a 400."""
    invoice = _invoice(simulator, 100, final=state != "draft")["id"]
    way = {"paid": "pay", "void": "void", "uncollectible": "mark_uncollectible"}.get(state)
    if way:
        succeed(simulator, "POST", f"/v1/invoices/{invoice}/{way}")
    expected = 200 if action in ALLOWED[state] else 400
    assert send(simulator, "POST", f"/v1/invoices/{invoice}/{action}", {}).status == expected


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("add_lines", {"lines[0][amount]": "1"}),
        ("update_lines", {"lines[0][id]": "LINE", "lines[0][amount]": "1"}),
        ("remove_lines", {"lines[0][id]": "LINE", "lines[0][behavior]": "delete"}),
        ("lines/LINE", {"amount": "1"}),
    ],
)
def test_lines_of_a_final_invoice_are_final(simulator: Simulator, path: str, form: dict[str, str]) -> None:
    """Nothing is added, changed or removed once it is finalized."""
    invoice = _invoice(simulator, 100)
    line = invoice["lines"]["data"][0]["id"]
    form = {name: value.replace("LINE", line) for name, value in form.items()}
    answer = send(simulator, "POST", f"/v1/invoices/{invoice['id']}/{path.replace('LINE', line)}", form)
    assert code(answer) == (400, "invoice_not_editable")


def test_of_a_final_invoice_words_can_be_edited(simulator: Simulator) -> None:
    """Metadata and description, as people do by hand; not how it is collected."""
    invoice = _invoice(simulator, 100)["id"]
    changed = succeed(
        simulator, "POST", f"/v1/invoices/{invoice}", **{"metadata[a]": "b", "description": "x"}
    )
    assert (changed["metadata"], changed["description"], changed["total"]) == ({"a": "b"}, "x", 100)
    form = {"collection_method": "send_invoice"}
    assert code(send(simulator, "POST", f"/v1/invoices/{invoice}", form)) == (400, "invoice_not_editable")


def test_voiding_gives_the_balance_back(simulator: Simulator) -> None:
    """What the customer's credit had paid of it is credit again."""
    customer = succeed(simulator, "POST", "/v1/customers", balance=-30)["id"]
    invoice = _invoice(simulator, 100, customer=customer)
    assert (invoice["amount_due"], succeed(simulator, "GET", f"/v1/customers/{customer}")["balance"]) == (
        70,
        0,
    )
    succeed(simulator, "POST", f"/v1/invoices/{invoice['id']}/void")
    assert succeed(simulator, "GET", f"/v1/customers/{customer}")["balance"] == -30


def test_lists_are_paged_backwards(simulator: Simulator) -> None:
    """`ending_before` gives the page before a cursor, and not both cursors may be given."""
    ids = [succeed(simulator, "POST", "/v1/customers")["id"] for _ in range(5)][::-1]
    page = succeed(simulator, "GET", "/v1/customers", ending_before=ids[4], limit=2)
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (ids[2:4], True)
    form = {"ending_before": ids[0], "starting_after": ids[1]}
    assert send(simulator, "GET", "/v1/customers", form).status == 400


def test_credit_notes_never_exceed_the_invoice(simulator: Simulator) -> None:
    """Several may be issued; together they come to the invoice at most, and the last makes it paid."""
    invoice = _invoice(simulator, 100)["id"]
    succeed(simulator, "POST", "/v1/credit_notes", invoice=invoice, amount=60)
    assert send(simulator, "POST", "/v1/credit_notes", {"invoice": invoice, "amount": 41}).status == 400
    succeed(simulator, "POST", "/v1/credit_notes", invoice=invoice, amount=40)
    found = succeed(simulator, "GET", f"/v1/invoices/{invoice}")
    assert (found["status"], found["amount_remaining"], found["pre_payment_credit_notes_amount"]) == (
        "paid",
        0,
        100,
    )


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"amount": "30"}, 400),
        ({"amount": "30", "credit_amount": "20"}, 400),
        ({"amount": "30", "credit_amount": "20", "refund_amount": "10"}, 200),
        ({"amount": "30", "out_of_band_amount": "30"}, 200),
        ({"amount": "30", "credit_amount": "40", "refund_amount": "-10"}, 400),
        ({"amount": "0"}, 400),
        ({}, 400),
        ({"lines[0][type]": "custom_line_item", "lines[0][unit_amount]": "3"}, 400),
    ],
)
def test_what_was_paid_goes_back_somewhere(simulator: Simulator, form: dict[str, str], status: int) -> None:
    """For a paid invoice, the ways back must add up to what is credited."""
    invoice = _invoice(simulator, 100)["id"]
    succeed(simulator, "POST", f"/v1/invoices/{invoice}/pay")
    assert send(simulator, "POST", "/v1/credit_notes", {"invoice": invoice, **form}).status == status


def test_a_line_is_credited_once(simulator: Simulator) -> None:
    """What was taken back of a line before is not there any more; a void note frees it again."""
    invoice = _invoice(simulator, 100)
    line = {
        "lines[0][type]": "invoice_line_item",
        "lines[0][invoice_line_item]": invoice["lines"]["data"][0]["id"],
    }
    first = succeed(
        simulator, "POST", "/v1/credit_notes", invoice=invoice["id"], **line, **{"lines[0][amount]": 70}
    )
    again = {"invoice": invoice["id"], **line, "lines[0][amount]": "31"}
    assert send(simulator, "POST", "/v1/credit_notes", again).status == 400
    succeed(simulator, "POST", f"/v1/credit_notes/{first['id']}/void")
    assert send(simulator, "POST", "/v1/credit_notes", again).status == 200


def _meter(simulator: Simulator, **form: Any) -> str:
    base = {"display_name": "Tokens", "event_name": "tokens", "default_aggregation[formula]": "sum"}
    return str(succeed(simulator, "POST", "/v1/billing/meters", **{**base, **form})["id"])


def _event(simulator: Simulator, customer: str, value: str, **form: Any) -> Any:
    payload = {"payload[stripe_customer_id]": customer, "payload[value]": value}
    return send(simulator, "POST", "/v1/billing/meter_events", {"event_name": "tokens", **payload, **form})


def _sums(simulator: Simulator, meter: str, customer: str) -> list[tuple[int, int]]:
    form = {"customer": customer, "start_time": NOW - 86_400, "end_time": NOW + 86_400}
    path = f"/v1/billing/meters/{meter}/event_summaries"
    found = succeed(simulator, "GET", path, **form, value_grouping_window="day")
    return [((each["start_time"] - NOW) // 86_400, each["aggregated_value"]) for each in found["data"]]


def test_events_count_a_while_after_they_came(simulator: Simulator) -> None:
    """Summaries are asynchronous; they add up by UTC day, and negative values count."""
    meter, customer = _meter(simulator), succeed(simulator, "POST", "/v1/customers")["id"]
    for value, timestamp in (("5", NOW), ("-2", NOW + 10), ("7", NOW - 1)):
        assert _event(simulator, customer, value, timestamp=timestamp).status == 200
    assert _sums(simulator, meter, customer) == []
    succeed(simulator, "POST", "/simulator/clock", advance_seconds=60)
    assert _sums(simulator, meter, customer) == [(0, 3), (-1, 7)]


def test_in_a_meter_with_a_window_the_last_event_counts(simulator: Simulator) -> None:
    """With `event_time_window` day, an event takes the place of the earlier ones of its day."""
    meter = _meter(simulator, event_time_window="day")
    customer = succeed(simulator, "POST", "/v1/customers")["id"]
    for value in ("5", "9"):
        _event(simulator, customer, value)
    succeed(simulator, "POST", "/simulator/clock", advance_seconds=60)
    assert _sums(simulator, meter, customer) == [(0, 9)]


def test_an_identifier_is_taken_once_in_24_hours(simulator: Simulator) -> None:
    """A second event of the same identifier is a 400; a day later the identifier is free."""
    _meter(simulator)
    customer = succeed(simulator, "POST", "/v1/customers")["id"]
    assert _event(simulator, customer, "1", identifier="a").status == 200
    assert code(_event(simulator, customer, "1", identifier="a")) == (400, "duplicate_meter_event")
    succeed(simulator, "POST", "/simulator/clock", advance_seconds=86_400)
    assert _event(simulator, customer, "1", identifier="a").status == 200


@pytest.mark.parametrize(
    ("offset", "status"), [(300, 200), (301, 400), (-35 * 86_400, 200), (-35 * 86_400 - 1, 400)]
)
def test_event_times_are_bounded(simulator: Simulator, offset: int, status: int) -> None:
    """35 days back and five minutes ahead, to the second."""
    assert _event(simulator, "cus_1", "1", timestamp=NOW + offset).status == status


def test_an_event_is_cancelled_within_a_day(simulator: Simulator) -> None:
    """Then it does not count; later, or under another event name, cancelling is refused."""
    meter, customer = _meter(simulator), succeed(simulator, "POST", "/v1/customers")["id"]
    for identifier in ("a", "b"):
        _event(simulator, customer, "4", identifier=identifier)
    cancel = {"event_name": "tokens", "type": "cancel", "cancel[identifier]": "a"}
    path = "/v1/billing/meter_event_adjustments"
    assert send(simulator, "POST", path, {**cancel, "event_name": "other"}).status == 400
    assert send(simulator, "POST", path, cancel).status == 200
    succeed(simulator, "POST", "/simulator/clock", advance_seconds=86_400)
    assert _sums(simulator, meter, customer) == [(0, 4)]
    assert send(simulator, "POST", path, {**cancel, "cancel[identifier]": "b"}).status == 400


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"payload[value]": "1"}, "meter_event_no_customer_defined"),
        ({"payload[stripe_customer_id]": "cus_no", "payload[value]": "1"}, "meter_event_customer_not_found"),
        ({"payload[value]": "1.5"}, "meter_event_invalid_value"),
        ({"payload[value]": "1" * 16}, "meter_event_value_too_many_digits"),
    ],
)
def test_what_cannot_be_counted_is_reported(simulator: Simulator, payload: dict[str, str], code: str) -> None:
    """It is taken without a word; the report comes later, once, with the identifier."""
    _meter(simulator)
    customer = succeed(simulator, "POST", "/v1/customers")["id"]
    given = payload if "customer" in code else {"payload[stripe_customer_id]": customer, **payload}
    succeed(simulator, "POST", "/v1/billing/meter_events", event_name="tokens", identifier="bad", **given)
    assert succeed(simulator, "GET", "/v2/core/events")["data"] == []
    succeed(simulator, "POST", "/simulator/clock", advance_seconds=60)
    for _ in range(2):
        (report,) = succeed(simulator, "GET", "/v2/core/events")["data"]
        (kind,) = report["data"]["reason"]["error_types"]
        assert (kind["code"], kind["sample_errors"][0]["request"]["identifier"]) == (code, "bad")


def test_summaries_need_aligned_times(simulator: Simulator) -> None:
    """By day they begin and end at midnight, UTC."""
    meter, customer = _meter(simulator), succeed(simulator, "POST", "/v1/customers")["id"]
    path = f"/v1/billing/meters/{meter}/event_summaries"
    for start, end, window in ((NOW + 60, NOW + 86_400, "day"), (NOW + 1, NOW + 60, None), (NOW, NOW, None)):
        form = {"customer": customer, "start_time": start, "end_time": end}
        form |= {"value_grouping_window": window} if window else {}
        assert send(simulator, "GET", path, form).status == 400
