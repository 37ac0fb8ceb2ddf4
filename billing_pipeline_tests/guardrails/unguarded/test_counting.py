"""What is counted of the log: each event once, and nothing of what the guard has sent."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.guardrails.unguarded.counting import DAY_US, MINUTE_US, Counting
from billing_pipeline.guardrails.unguarded.seen_usage import Payer, SeenUsage
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.guardrails.made_ledger import START_US, PriceByUnit, TermsByCustomer

NOW = START_US + 5 * DAY_US
NANO_OF_1000 = 1_000_500


def seen(
    key: str = "k",
    *payers: Payer,
    at: int = NOW,
    session: str | None = "run-7",
    trace: str = "c",
    billable: bool = True,
    customer: str = "acme",
    quantity: str = "1000",
    unit: str = "token",
) -> SeenUsage:
    """A usage event of a thousand tokens, unless told otherwise."""
    usage = Usage(unit=unit, quantity=quantity)
    return SeenUsage(key, at, session, trace, billable, payers or (Payer(customer, "p", usage),))


def counting(known: dict[str, tuple[bool, str]] | None = None) -> Counting:
    """With what is known."""
    return Counting(known or {}, TermsByCustomer(), PriceByUnit(), NOW)


def test_an_event_is_counted_with_its_price() -> None:
    """For its payer and session, in the minute and period in which it occurred."""
    found = counting()
    found.add(seen())
    assert found.entries == (("acme", "p", "run-7", "usd", NOW, START_US, NANO_OF_1000, 1),)
    ((key, customer, counted, _),) = found.watched
    assert (key, customer, counted) == ("k", "acme", True)


def test_the_events_of_one_action_are_one_call() -> None:
    """Tokens of three classes come as three events of one trace and instant."""
    found = counting()
    for key in ("input", "cached", "output"):
        found.add(seen(key))
    found.add(seen("next", at=NOW + 1))
    ((*_, amount, calls),) = found.entries
    assert (amount, calls) == (4 * NANO_OF_1000, 2)


def test_what_the_guard_sends_first_is_never_counted() -> None:
    """The product's own event with the same identity is the same action."""
    found = counting()
    found.add_guarded(seen())
    found.add(seen())
    assert (found.entries, found.watched) == ((), (("k", "acme", False, "[]"),))


def test_what_the_guard_sends_later_is_taken_back_from_where_it_was_counted() -> None:
    """Though the guard's event says another minute, and another command counted it."""
    before = counting()
    before.add(seen(at=NOW - 3 * MINUTE_US))
    ((key, _, counted, entries),) = before.watched
    found = counting({key: (counted, entries)})
    found.add_guarded(seen())
    assert found.entries == (("acme", "p", "run-7", "usd", NOW - 3 * MINUTE_US, START_US, -NANO_OF_1000, -1),)
    assert found.watched == (("k", "acme", False, "[]"),)
    assert found.taken_back == 1


def test_every_payer_is_counted_and_taken_back() -> None:
    """An event shared by two is one event all the same."""
    payers = (
        Payer("acme", "p", Usage(unit="token", quantity="600")),
        Payer("bolt", "q", Usage(unit="token", quantity="400")),
    )
    before = counting()
    before.add(seen("k", *payers))
    assert [(entry[0], entry[6]) for entry in before.entries] == [("acme", 600_300), ("bolt", 400_200)]
    found = counting({key: (counted, entries) for key, _, counted, entries in before.watched})
    found.add_guarded(seen())
    assert [(entry[0], entry[6]) for entry in found.entries] == [("acme", -600_300), ("bolt", -400_200)]


def test_what_cannot_be_counted_is_skipped_by_cause() -> None:
    """And is not remembered: sent again later, it may be."""
    found = counting()
    found.add(seen("a", unit="second"))
    found.add(seen("b", customer="nobody"))
    found.add(seen("c", billable=False))
    found.add(seen("d", at=NOW - 36 * DAY_US))
    found.add(seen("e", at=NOW + 2 * DAY_US))
    assert found.skipped == Counter(unpriced=1, unknown_customer=1, not_billable=1, other_time=2)
    assert (found.entries, found.watched, found.counted) == ((), (), 0)


EVENTS = st.lists(
    st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), max_size=30
)  # identity, whether the guard sent it, minutes ago


@settings(deadline=None)  # a busy machine is no fault
@given(EVENTS, st.lists(st.integers(1, 5), min_size=1, max_size=30))
def test_in_the_end_each_event_counts_once_unless_the_guard_knows_it(
    events: list[tuple[int, bool, int]], sizes: list[int]
) -> None:
    """In whatever order they come, however often, and wherever the log is cut into commands."""
    known: dict[str, tuple[bool, str]] = {}
    sums: Counter[str] = Counter()
    waiting, cuts = list(events), iter(sizes * 30)
    while waiting:
        size = next(cuts)
        found = counting(known)
        for identity, is_guards, minutes_ago in waiting[:size]:
            event = seen(str(identity), at=NOW - minutes_ago * MINUTE_US, trace=str(identity))
            if is_guards:
                found.add_guarded(event)
            else:
                found.add(event)
        waiting = waiting[size:]
        for *_, amount, calls in found.entries:
            sums["amount"] += amount
            sums["calls"] += calls
        known |= {key: (counted, entries) for key, _, counted, entries in found.watched}
    unguarded = {identity for identity, _, _ in events} - {
        identity for identity, is_guards, _ in events if is_guards
    }
    assert (sums["amount"], sums["calls"]) == (NANO_OF_1000 * len(unguarded), len(unguarded))
