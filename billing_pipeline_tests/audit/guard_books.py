"""The guard's books after a bit of everything, as rows that a test can write into any database and then damage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, select, text

from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_ACCOUNTS
from billing_pipeline.guardrails.commands import (
    AddGrant,
    CountUnguarded,
    DecideReview,
    ExpireDue,
    Lift,
    SetLimit,
    Stop,
    TrueUp,
    VoidGrant,
)
from billing_pipeline.guardrails.requests import Release, Settle
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.guardrails.made_ledger import (
    START_US,
    MadeLedger,
    TermsByCustomer,
    made_reserve,
    made_terms,
)

METADATA = GUARD_ACCOUNTS.metadata
Books = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by table."""
NAMES = tuple(table.name for table in METADATA.sorted_tables if table.name.startswith("guard_"))


def books_of(engine: Engine) -> Books:
    """All rows of the guard."""
    with engine.connect() as connection:
        return {
            name: [dict(row) for row in connection.execute(select(METADATA.tables[name])).mappings()]
            for name in NAMES
        }


def write_books(engine: Engine, books: Books) -> None:
    """Replace all rows of the guard; its tables must have lost their triggers."""
    with writing(engine) as connection:
        for name in reversed(NAMES):
            connection.execute(text(f"DELETE FROM {name}"))
    add_books(engine, books)


def add_books(engine: Engine, books: Books) -> None:
    """Write all rows of the guard into a database without any."""
    with writing(engine) as connection:
        for name in NAMES:
            if books[name]:
                connection.execute(insert(METADATA.tables[name]), list(books[name]))


def drop_protection(engine: Engine) -> None:
    """Take the triggers that keep facts as they are, and the check that movements balance."""
    with writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            for (name,) in connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all():
                connection.execute(text(f"DROP TRIGGER {name}"))
            return
        for name, table in connection.execute(
            text(
                "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal "
                "AND tgrelid::regclass::text LIKE 'guard_%'"
            )
        ).all():
            connection.execute(text(f"DROP TRIGGER {name} ON {table}"))
        connection.execute(text("ALTER TABLE guard_journal DROP CONSTRAINT guard_journal_balances"))


def lived_through(folder: Path) -> Books:
    """What a ledger has written after each kind of request and command, over an hour."""
    terms = TermsByCustomer(
        made_terms(
            needs_credit=True,
            limits=(LimitTerm("customer", "day", "soft", 800),),
            breaker=BreakerTerms(steps=20),
            overdraft_trips=True,
        )
    )
    terms.own["postpaid"] = made_terms(needs_credit=False)
    made = MadeLedger(f"sqlite:///{folder / 'control.sqlite'}", terms)
    try:
        _live(made)
        return books_of(made.engine)
    finally:
        made.close()


def _live(made: MadeLedger) -> None:
    def ask(request: Any) -> Any:
        return made.writer.submit(request).result(30)

    for number, amount in enumerate((1_000, 500)):
        ask(AddGrant(customer_id="acme", currency="usd", grant_id=f"g{number}", amount=amount))
    ask(
        AddGrant(
            customer_id="acme",
            currency="usd",
            grant_id="short",
            amount=40,
            expires_at=START_US + 7_200_000_000,
        )
    )
    holds = [ask(made_reserve(f"k{n}", 100, session_id="run-1")).hold_id for n in range(8)]
    other = ask(made_reserve("other", 50, project_id="q", ttl_seconds=60)).hold_id
    ask(Settle(hold_id=holds[0], amount=60))
    ask(Settle(hold_id=holds[1], usage=(Usage(unit="token", quantity="0.1"),)))
    ask(Settle(hold_id=holds[2], amount=170))
    ask(Release(hold_id=holds[3]))
    made.clock.pass_seconds(700)
    ask(ExpireDue())
    ask(Settle(hold_id=holds[4], amount=30))
    ask(Settle(hold_id=other, usage=(Usage(unit="token", quantity="0.02"),)))
    made.clock.pass_seconds(3000)
    ask(made_reserve("open", 120, session_id="run-1", ttl_seconds=3600))
    ask(made_reserve("post", 70, customer_id="postpaid"))
    ask(TrueUp(customer_id="acme", currency="usd", reference="2026-12-01", amount=-35))
    ask(TrueUp(customer_id="postpaid", currency="usd", reference="2026-12-01", amount=35))
    ask(VoidGrant(customer_id="acme", currency="usd", grant_id="g1"))
    ask(
        CountUnguarded(
            entries=(("acme", "p", "run-1", "usd", made.clock.at_us, START_US, 11, 1),),
            first_offset=0,
            cursor=1,
        )
    )
    limit = SetLimit(
        scope="customer:acme",
        currency="usd",
        window="day",
        severity="hard",
        amount=10**6,
        who="ops@example.com",
        why="as agreed",
    )
    ask(limit)
    for scope in ("project:acme/q", "session:acme/run-9"):
        ask(Stop(scope=scope, kind="kill", who="ops@example.com", why="a test"))
    ask(Lift(scope="session:acme/run-9", kind="kill", who="ops@example.com", why="over"))
    review = books_of(made.engine)["guard_reviews"][0]["review_id"]
    ask(DecideReview(review_id=review, decision="resume", who="ops@example.com", why="as expected"))
    ask(AddGrant(customer_id="thin", currency="usd", grant_id="small", amount=50))
    overrun = [
        ask(made_reserve(f"thin {session_id}", 25, customer_id="thin", session_id=session_id)).hold_id
        for session_id in ("run-2", None)
    ]
    for hold_id in overrun:
        ask(Settle(hold_id=hold_id, amount=45))
