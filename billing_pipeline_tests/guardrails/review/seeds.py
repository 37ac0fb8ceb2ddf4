"""Rows of the guard as the ledger leaves them: a project of acme that ran away, and quiet beta."""

import json

from sqlalchemy import Connection, Engine, insert

from billing_pipeline.control import guard_tables as tables
from billing_pipeline.control.database import writing
from billing_pipeline.guardrails.scope import customer_of

USD = 10**9
MINUTE = 60_000_000
NOON = 1_795_867_200_000_000  # 2026-11-28T12:00:00Z
PERIOD = 1_793_491_200_000_000  # 2026-11-01T00:00:00Z
OPENED = NOON + 30_500_000


def seed(control: Engine) -> None:
    """Write all rows."""
    with writing(control) as connection:
        for customer_id, available in (("acme", 40 * USD), ("acme2", 1), ("beta", 900 * USD)):
            connection.execute(insert(tables.GUARD_CUSTOMERS), {"customer_id": customer_id})
            connection.execute(insert(tables.GUARD_ACCOUNTS), account(customer_id, available))
        _windows(connection)
        _sessions(connection)
        _holds(connection)
        _reviews(connection)
        _limits_and_stops(connection)
        _told(connection)


def account(customer_id: str, available: int) -> dict[str, object]:
    """Balances that add up: 10 held, 50 spent."""
    held, spent = 10 * USD, 50 * USD
    return {
        "customer_id": customer_id,
        "currency": "usd",
        "issued": -(available + held + spent),
        "available": available,
        "held": held,
        "spent": spent,
        "overdraft": 0,
        "expired": 0,
    }


def review_row(review_id: str, **fields: object) -> dict[str, object]:
    """A review item that is open, unless told otherwise."""
    return {
        "review_id": review_id,
        "kind": "velocity",
        "scope": "project:acme/search",
        "customer_id": "acme",
        "currency": "usd",
        "evidence": json.dumps({"rule": "velocity", "used": str(9 * USD), "why": "fast"}),
        "opened_at": OPENED,
        "resumes_at": None,
        "decided_at": None,
    } | fields


def hold_row(number: int, **fields: object) -> dict[str, object]:
    """A settled hold of acme's, unless told otherwise."""
    return {
        "hold_id": f"{number:032x}",
        "customer_id": "acme",
        "currency": "usd",
        "project_id": "search",
        "session_id": "run-7",
        "idempotency_key": f"k-{number}",
        "request_hash": "0" * 32,
        "amount": 2 * USD,
        "steps": 1,
        "needs_credit": False,
        "usage": json.dumps([{"unit": "token", "quantity": "2000", "dimensions": {"model": "m-1"}}]),
        "details": json.dumps({"step": "completion", "call": f"call-{number}", "user_id": "u-1"}),
        "period_starts_at": PERIOD,
        "granted_at": NOON - 5 * MINUTE,
        "expires_at": NOON + 5 * MINUTE,
        "granted_until": NOON + 5 * MINUTE,
        "state": "settled",
        "booked": USD,
        "overdraft": 0,
        "ended_at": NOON,
    } | fields


def _windows(connection: Connection) -> None:
    rows = [
        ("project:acme/search", "minute", NOON - 61 * MINUTE, 1),
        ("project:acme/search", "minute", NOON - 2 * MINUTE, 3),
        ("project:acme/search", "minute", NOON, 9),
        ("project:acme/other", "minute", NOON, 5),
        ("project:acme/search", "period", PERIOD, 50),
        ("customer:acme", "period", PERIOD, 60),
        ("customer:acme", "day", NOON - 720 * MINUTE, 20),
    ]
    connection.execute(
        insert(tables.GUARD_WINDOWS),
        [
            {
                "scope": scope,
                "currency": "usd",
                "time_window": window,
                "starts_at": starts_at,
                "pending": USD,
                "settled": spent * USD,
                "unguarded": 2 * USD,
                "calls": spent,
            }
            for scope, window, starts_at, spent in rows
        ],
    )


def _sessions(connection: Connection) -> None:
    connection.execute(
        insert(tables.GUARD_SESSIONS),
        [
            {
                "scope": f"session:acme/{name}",
                "customer_id": "acme",
                "project_id": project,
                "currency": "usd",
                "started_at": NOON - 30 * MINUTE,
                "last_at": last_at,
                "steps": 12,
                "pending": USD,
                "settled": settled * USD,
                "unguarded": 0,
                "minute_starts_at": NOON,
                "minute_steps": 3,
                "repeats": 2,
                "breaker": breaker,
                "opened_by": opened_by,
                "opened_at": None,
                "steps_before": 0,
                "spend_before": 0,
            }
            for name, project, last_at, settled, breaker, opened_by in (
                ("run-7", "search", NOON, 8, "open", "session_spend"),
                ("run-6", "search", NOON - MINUTE, 3, "closed", None),
                ("old", "search", NOON - 600 * MINUTE, 99, "closed", None),
                ("elsewhere", "other", NOON, 50, "closed", None),
            )
        ],
    )


def _holds(connection: Connection) -> None:
    rows = [
        hold_row(1),
        hold_row(2, booked=7 * USD),
        hold_row(3, booked=None, state="pending", amount=5 * USD, ended_at=None, session_id="run-6"),
        hold_row(4, booked=90 * USD, granted_at=NOON - 300 * MINUTE),
        hold_row(5, booked=80 * USD, project_id="other", session_id="elsewhere"),
    ]
    connection.execute(insert(tables.GUARD_HOLDS), rows)


def _reviews(connection: Connection) -> None:
    rows = [
        review_row("a" * 32),
        review_row("b" * 32, kind="breaker", scope="session:acme/run-7", opened_at=OPENED - 1),
        review_row(
            "c" * 32, scope="customer:beta", customer_id="beta", kind="soft_limit", decided_at=OPENED + 9
        ),
    ]
    connection.execute(insert(tables.GUARD_REVIEWS), rows)
    connection.execute(
        insert(tables.GUARD_REVIEW_DECISIONS),
        {
            "review_id": "c" * 32,
            "decision": "raise_limit",
            "amount": 200 * USD,
            "who": "ops@example.com",
            "why": "a launch",
            "recorded_at": OPENED + 9,
        },
    )


def _limits_and_stops(connection: Connection) -> None:
    limits = [
        ("customer:acme", "day", "hard", 30 * USD, False),
        ("project:acme/search", "day", "hard", None, False),
        ("project:acme/search", "hour", "hard", None, True),
        ("customer:acme2", "day", "hard", 7, False),
    ]
    connection.execute(
        insert(tables.GUARD_LIMITS),
        [
            {
                "scope": scope,
                "customer_id": customer_of(scope),
                "currency": "usd",
                "time_window": window,
                "severity": severity,
                "amount": amount,
                "inherits": inherits,
            }
            for scope, window, severity, amount, inherits in limits
        ],
    )
    said = {"who": "ops@example.com", "why": "too fast", "resumes_at": None, "changed_at": OPENED}
    connection.execute(
        insert(tables.GUARD_STOPS),
        [
            {"scope": scope, "customer_id": customer_of(scope), "kind": kind, "active": active, **said}
            for scope, kind, active in (
                ("project:acme/search", "pause", True),
                ("customer:beta", "kill", False),
            )
        ],
    )
    connection.execute(
        insert(tables.GUARD_STOP_CHANGES),
        {
            "scope": "project:acme/search",
            "kind": "pause",
            "active": True,
            "who": "ops@example.com",
            "why": "too fast",
            "recorded_at": OPENED,
        },
    )


def _told(connection: Connection) -> None:
    connection.execute(
        insert(tables.GUARD_ALERTS),
        {
            "scope": "customer:acme",
            "currency": "usd",
            "time_window": "day",
            "starts_at": NOON - 720 * MINUTE,
            "amount": 20 * USD,
            "used": 21 * USD,
            "recorded_at": NOON,
        },
    )
    connection.execute(
        insert(tables.GUARD_DENIALS),
        [
            {
                "customer_id": customer_id,
                "project_id": "search",
                "session_id": None,
                "currency": "usd",
                "idempotency_key": f"d-{number}",
                "request_hash": "0" * 32,
                "rule": "hard_limit",
                "scope": f"customer:{customer_id}",
                "time_window": "day",
                "asked": 5 * USD,
                "allowed": 30 * USD,
                "remaining": 2 * USD,
                "resets_at": None,
                "reason": "more than is left",
                "recorded_at": NOON + number,
            }
            for number, customer_id in enumerate(("acme", "acme", "beta"))
        ],
    )
