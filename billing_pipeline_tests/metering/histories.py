"""Whole histories for hypothesis, built of small integers so that they shrink: rule books that change in mid-day, and a
log of some days with everything on or beside midnights, closes and version starts, to the microsecond.
"""  # noqa: D205 - no summary line of its own

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from hypothesis import assume
from hypothesis import strategies as st

from billing_pipeline_tests.metering.reference.log import (
    DAY_US,
    MINUTE_US,
    Book,
    Control,
    Correction,
    Dimensions,
    Entry,
    Invalid,
    Meter,
    Record,
    Replacement,
    Share,
    Usage,
)
from billing_pipeline_tests.metering.reference.metering import Metering
from billing_pipeline_tests.metering.reference.state import TOO_LARGE

BASE = 20_736
"""10 October 2026, the first day of every history."""
MINUTES = (0, 60, 90, 720, 1435)
"""Of a day: midnight, the closes of the day before, the start of a version, and five minutes before midnight."""
NON_ADDITIVE = ("max", "latest", "unique_count", "time_weighted_sum")
AHEAD_US = 5 * MINUTE_US


@dataclass(frozen=True)
class Again:
    """An earlier record sent once more: as it was, emitted anew, with a fresh time, with other content, or requeued."""

    which: int
    how: str


@dataclass(frozen=True)
class Step:
    """What is sent at some moment; `lead` is how far its producer's clock may be ahead."""

    received_at: int
    lag: int | None
    lead: int
    what: Record | Again


@dataclass(frozen=True)
class History:
    """Rule books and a log."""

    books: tuple[Book, ...]
    log: tuple[Entry, ...]

    def until(self, instant: int) -> "History":
        """What had been received before an instant."""
        return History(self.books, tuple(entry for entry in self.log if entry.received_at < instant))


def numbered(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Entries in the order of the log, with the offsets that they have there."""
    return tuple(replace(entry, offset=offset) for offset, entry in enumerate(entries))


# Times and amounts.

moments = st.builds(
    lambda day, minutes, shift: (BASE + day) * DAY_US + minutes * MINUTE_US + shift,
    st.sampled_from((*range(6), 15)),
    st.sampled_from(MINUTES),
    st.sampled_from((0, -1, 1)),
)
lags = st.sampled_from((0, 0, 1, 30 * MINUTE_US, DAY_US // 2, DAY_US, None, None, None))
"""How long before its receipt an event occurred; None where it claims some moment instead."""
leads = st.sampled_from((0, 0, 0, 0, 0, 0, 0, 0, AHEAD_US, AHEAD_US, AHEAD_US + 1))
amounts = st.one_of(
    st.builds(lambda units, digits: Fraction(units, 10**digits), st.integers(0, 30), st.integers(0, 9)),
    st.sampled_from((Fraction(10**16 + 1), Fraction(10**25 + 1, 10**9))),
)
"""The large ones are as large as a time-weighted sum of them can be worked out."""
identities = st.tuples(st.sampled_from(("app", "app", "app", "ap")), st.sampled_from((*[""] * 8, "e1", "e2")))
"""Mostly an id of its own, given when the log is made; a few are shared, also between usage and corrections."""
payers = st.sampled_from(
    (
        *[("acme", "p")] * 14,
        *[("acme", "q")] * 4,
        *[("beta", "p")] * 6,
        *[("soon", "p")] * 2,
        ("beta", "q"),
        ("nobody", "p"),
    )
)
"""Mostly known ones."""
dimensions: st.SearchStrategy[Dimensions] = st.builds(
    lambda model, region: (
        *((("model", model),) if model else ()),
        *((("region", region),) if region else ()),
    ),
    st.sampled_from(("a", "b", "", 'ä|\\"')),
    st.sampled_from(("", "eu")),
)
portions = st.sampled_from(
    (
        *[()] * 6,
        (Fraction(1, 2), Fraction(1, 2)),
        (Fraction(3, 10), Fraction(3, 10), Fraction(4, 10)),
        (Fraction(333, 1000), Fraction(667, 1000)),
        (Fraction(1),),
        (Fraction(1, 10**10), 1 - Fraction(1, 10**10)),
    )
)


@st.composite
def shares(draw: st.DrawFn) -> tuple[Share, ...]:
    """Payers of an event, mostly none; one may be named twice."""
    return tuple(Share(*draw(payers), portion) for portion in draw(portions))


# Records.


@st.composite
def usages(draw: st.DrawFn, *, plain: bool) -> Usage:
    """Usage events; `plain` ones have a single payer."""
    source, event_id = draw(identities)
    customer, project = draw(payers)
    user = draw(st.sampled_from((None, "u", "v")))
    return Usage(
        source,
        event_id,
        customer,
        project,
        draw(moments),
        draw(st.sampled_from((*["token"] * 14, "call", "call", "call", "page"))),
        draw(amounts),
        draw(dimensions),
        draw(st.sampled_from((True, True, True, False))),
        user,
        user and f"session of {user}",
        shares=() if plain else draw(shares()),
        zeros=draw(st.integers(0, 2)),
    )


replacements = st.builds(
    Replacement,
    customer=st.sampled_from((None, None, None, "acme", "beta", "beta", "soon", "nobody")),
    project=st.sampled_from((None, None, None, "p", "p", "q")),
    unit=st.sampled_from((None, None, None, "token", "call", "page")),
    dimensions=st.none() | dimensions,
    billable=st.sampled_from((None, None, True, False)),
    quantity=st.none() | amounts,
).filter(lambda named: named != Replacement())


@st.composite
def corrections(draw: st.DrawFn) -> Correction:
    """Corrections; what they correct stands as a number, for it is chosen among all identities of the log."""
    source, correction_id = draw(st.one_of(st.just(("support", "")), identities))
    action = draw(st.sampled_from(("void", "adjust", "adjust", "replace", "replace", "replace")))
    delta = draw(amounts | amounts.map(lambda amount: -amount)) if action == "adjust" else None
    if delta == Fraction(10**16 + 1):
        delta = TOO_LARGE - Fraction(1, 10**9)
    return Correction(
        source,
        correction_id,
        0,
        ("", str(draw(st.integers(0, 60)))),
        action,
        delta,
        draw(replacements) if action == "replace" else None,
    )


SOON = (Control("customer", "soon", "register"), Control("project", "soon/p", "register"))
controls = st.one_of(
    st.sampled_from((*SOON, Control("project", "beta/q", "register"))),
    st.builds(
        lambda entity, moment: Control(entity[0], entity[1], "close", moment),
        st.sampled_from((("project", "acme/q"), ("customer", "beta"), ("project", "beta/p"))),
        moments,
    ),
)
invalids = st.sampled_from(
    (Invalid(b"{", "invalid_json"), Invalid(b"\xff", "invalid_utf8"), Invalid(b"a\0", "nul_character"))
)
agains = st.builds(
    Again,
    st.integers(0, 20),
    st.sampled_from(("same", "emitted", "requeued", "requeued", "same", "time", "time", "content")),
)


def steps(*, plain: bool, forgetful: bool) -> st.SearchStrategy[Step]:
    """One thing that is sent; where identities expire, more often something that came before, with a fresh time."""
    usage = usages(plain=plain)
    several = [*[usage] * 14, *[agains] * 4, controls, invalids]
    if not plain:
        several += [corrections()] * 8
    if forgetful:
        several += [st.builds(Again, st.integers(0, 20), st.just("time"))] * 10
    return st.builds(Step, moments, lags, leads, st.sampled_from(several).flatmap(lambda strategy: strategy))


# The log.

REGISTERED = (
    Control("customer", "acme", "register"),
    Control("project", "acme/p", "register"),
    Control("project", "acme/q", "register"),
    Control("customer", "beta", "register"),
    Control("project", "beta/p", "register"),
)


def log_of(sent: Sequence[Step], registered: Sequence[Record] = REGISTERED) -> tuple[Entry, ...]:
    """The log that some steps make: in order of receipt, what they only refer to filled in."""
    in_order = _with_ids(sorted(sent, key=lambda step: step.received_at))
    named = [
        (step.what.source, step.what.id) for step in in_order if isinstance(step.what, Usage | Correction)
    ]
    targets = [*named, ("app", "missing")]
    entries = [Entry(0, BASE * DAY_US - 1, record) for record in registered]
    records: list[Usage | Correction] = []
    came_first: list[int] = []
    for step in in_order:
        what = step.what
        record: Record
        first_received_at = None
        latest = step.received_at + step.lead
        if isinstance(what, Again):
            if not records:
                continue
            which = what.which % len(records)
            record = _again(records[which], what.how, latest)
            first_received_at = came_first[which] if what.how == "requeued" else None
        elif isinstance(what, Usage):
            claimed = what.occurred_at if step.lag is None else latest - step.lag
            record = replace(what, occurred_at=min(claimed, latest))
        elif isinstance(what, Correction):
            record = replace(
                what, occurred_at=latest, corrects=_target(int(what.corrects[1]), records, targets)
            )
        else:
            record = what
        if isinstance(record, Usage | Correction):
            records.append(record)
            came_first.append(step.received_at if first_received_at is None else first_received_at)
        entries.append(Entry(0, step.received_at, record, first_received_at))
    return numbered(entries)


def _with_ids(sent: Sequence[Step]) -> list[Step]:
    return [
        replace(step, what=replace(step.what, id=f"n{number}"))
        if isinstance(step.what, Usage | Correction) and not step.what.id
        else step
        for number, step in enumerate(sent)
    ]


def _target(
    number: int, records: Sequence[Usage | Correction], named: Sequence[tuple[str, str]]
) -> tuple[str, str]:
    """The identity of an earlier usage event, and now and then of anything that comes at some time, or of nothing."""
    earlier = [(each.source, each.id) for each in records if isinstance(each, Usage)]
    if number % 4 and earlier:
        return earlier[-1 - number // 4 % len(earlier)]
    return named[number // 4 % len(named)]


def _again(record: Usage | Correction, how: str, latest: int) -> Usage | Correction:
    if how == "emitted":
        return replace(record, emitted_at=latest)
    if how == "time":
        return replace(record, occurred_at=latest)
    if how == "content":
        if isinstance(record, Usage):
            return replace(record, quantity=record.quantity + 1)
        return replace(record, note="another")
    return record


# Rule books.


def meters(distinct: str, group_by: tuple[str, ...], *, plain: bool) -> tuple[Meter, ...]:
    """A meter of every aggregation, filters and groups; calls are taken of model a alone."""
    found = (
        Meter("tokens", "token", "sum", ("model", "region")),
        Meter("requests", "token", "count", group_by, (("model", ("a", "b")),)),
        Meter("calls", "call", "sum", (), (("model", ("a",)),)),
        Meter("peak", "token", "max", group_by),
        Meter("level", "token", "latest", ()),
        Meter("distinct", "token", "unique_count", (), (), distinct),
        Meter("held", "token", "time_weighted_sum", group_by),
    )
    return tuple(meter for meter in found if not (plain and meter.aggregation in NON_ADDITIVE))


@st.composite
def rule_books(draw: st.DrawFn, *, plain: bool, forgetful: bool) -> tuple[Book, ...]:
    """One to three versions; the first may start within the history, the others start in mid-day."""
    starts = [BASE - draw(st.sampled_from((*[4] * 8, 0, -1))), BASE + 2, BASE + 4]
    found: list[Book] = []
    for number in range(draw(st.sampled_from((2, 2, 1, 3)))):
        group_by = draw(st.sampled_from(((), ("model",))))
        distinct = draw(st.sampled_from(("user_id", "session_id", "dimensions.model", "correlation_id")))
        book = Book(
            version=f"v{number}",
            effective_from=starts[number] * DAY_US + draw(st.sampled_from((720, 0, 60))) * MINUTE_US,
            units=draw(st.sampled_from((*[("token", "call")] * 3, ("token",)))),
            meters=meters(distinct, group_by, plain=plain),
            grace_minutes=draw(st.sampled_from((60, 0, 90) if forgetful else (60, 0, 90, 1440, 4320))),
            late_window_days=draw(st.sampled_from((1, 0, 2) if forgetful else (35, 35, 1, 2))),
            rejects_late=draw(st.sampled_from((*[False] * 6, True))),
        )
        if forgetful and draw(st.sampled_from((True, True, True, False))):
            book = replace(book, dedup_window_days=shortest_memory((*found, book)))
        found.append(book)
    return tuple(found)


def shortest_memory(books: Sequence[Book]) -> int:
    """The smallest deduplication window that the last of some rule books may have."""
    longest_grace = max(book.grace_minutes for book in books)
    return max(book.late_window_days for book in books) + -(-longest_grace // 1440) + 1


def stays_small(metering: Metering) -> bool:
    """Whether no event was corrected to a quantity of which no time-weighted sum can be worked out."""
    return all(change.new is None or change.new.quantity < 10**17 for change in metering.changes)


@st.composite
def histories(draw: st.DrawFn, *, plain: bool = False) -> History:
    """Rule books and a log; `plain` ones are without corrections and allocations.

    The steps come in several lists because a single one is mostly short; all may shrink to nothing.
    """
    forgetful = not plain and draw(st.sampled_from((False, False, True)))
    books = draw(rule_books(plain=plain, forgetful=forgetful))
    sent = [
        step
        for _ in range(5)
        for step in draw(st.lists(steps(plain=plain, forgetful=forgetful), max_size=12))
    ]
    registered = draw(st.sampled_from((REGISTERED, (*REGISTERED, *SOON), (*REGISTERED, *SOON))))
    history = History(books, log_of(sent, registered))
    assume(stays_small(Metering(history.books, history.log)))
    return history
