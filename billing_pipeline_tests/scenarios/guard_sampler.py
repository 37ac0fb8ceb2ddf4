"""Looks at the guard's tables all the time, each time at one moment: what is above a limit, what does not add up."""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy import Engine, func, select

from billing_pipeline.control.guard_tables import GUARD_ACCOUNTS, GUARD_HOLDS, GUARD_SESSIONS, GUARD_WINDOWS
from billing_pipeline.guardrails.scope import customer_of, customer_scope, project_scope
from billing_pipeline.guardrails.window import COUNTED, window_start
from billing_pipeline_tests.scenarios.guard_replay import LimitHistory, TermsOf, WindowKey, window_keys

MINUTE_US = 60_000_000
PAUSE_SECONDS = 0.05


@dataclass
class Seen:
    """What was found. Amounts are nano-units."""

    samples: int = 0
    windows: int = 0
    overshoot: int = 0
    """The most that any window stood above the limit that was in force when it last admitted something."""
    uncovered: int = 0
    """The most that an account that needs credit was below 0."""
    faults: list[str] = field(default_factory=list)


class Sampler:
    """A thread with a connection of its own, for as long as the block lasts, and once more when it ends.

    After its last admission a window only goes down, as no hold is settled at more than it held; so the limit of that
    moment bounds it until the next.
    """

    def __init__(self, engine: Engine, terms_of: TermsOf) -> None:
        self.seen = Seen()
        self._engine = engine
        self._terms_of = terms_of
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            took_seconds = 0.0
            # At most a third of the time, so that looking does not keep those from working who are looked at.
            while not self._enough.wait(max(PAUSE_SECONDS, 2 * took_seconds)):
                begun = time.monotonic()
                self._look()
                took_seconds = time.monotonic() - begun
            self._look()
        except BaseException as error:  # noqa: BLE001 - raised where the block ends
            self._failure = error

    def _look(self) -> None:
        engine = self._engine
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        holds = GUARD_HOLDS.c
        minute = holds.granted_at - holds.granted_at % MINUTE_US
        with engine.connect() as connection:
            accounts = connection.execute(select(GUARD_ACCOUNTS)).mappings().all()
            open_holds = (
                connection.execute(select(GUARD_HOLDS).where(holds.state == "pending")).mappings().all()
            )
            windows = connection.execute(select(GUARD_WINDOWS)).mappings().all()
            sessions = connection.execute(select(GUARD_SESSIONS)).mappings().all()
            admitted = connection.execute(
                select(
                    holds.customer_id, holds.project_id, holds.period_starts_at, func.max(holds.granted_at)
                ).group_by(holds.customer_id, holds.project_id, holds.period_starts_at, minute)
            ).all()
            limits = LimitHistory(connection, self._terms_of)
        self.seen.samples += 1
        self.seen.windows += len(windows)
        self._check_accounts(accounts, open_holds)
        self._check_pending(windows, sessions, open_holds)
        last = _last_admissions(admitted)
        for window in windows:
            key = (window["scope"], window["time_window"], window["starts_at"])
            used = window["pending"] + window["settled"] + window["unguarded"]
            most = limits.most(customer_of(key[0]), key[0], key[1], last[key])
            if most is not None:
                self.seen.overshoot = max(self.seen.overshoot, used - most)
        for session in sessions:
            used = session["pending"] + session["settled"] + session["unguarded"]
            most = limits.most(session["customer_id"], session["scope"], "session", session["last_at"])
            if most is not None:
                self.seen.overshoot = max(self.seen.overshoot, used - most)

    def _check_accounts(self, accounts: Any, open_holds: Any) -> None:
        held: dict[tuple[str, str], int] = defaultdict(int)
        for hold in open_holds:
            held[hold["customer_id"], hold["currency"]] += hold["amount"]
        for account in accounts:
            key = (account["customer_id"], account["currency"])
            names = ("issued", "available", "held", "spent", "overdraft", "expired")
            if account["held"] != held.pop(key, 0) or sum(account[name] for name in names):
                self.seen.faults.append(f"account {dict(account)}")
            if self._terms_of(account["customer_id"]).needs_credit:
                self.seen.uncovered = max(self.seen.uncovered, -account["available"])
        if held:
            self.seen.faults.append(f"holds without account {dict(held)}")

    def _check_pending(self, windows: Any, sessions: Any, open_holds: Any) -> None:
        pending: dict[WindowKey, int] = defaultdict(int)
        for hold in open_holds:
            for key in window_keys(hold):
                pending[key] += hold["amount"]
        stored = {
            (window["scope"], window["time_window"], window["starts_at"]): window["pending"]
            for window in windows
        }
        stored |= {(session["scope"], "session", 0): session["pending"] for session in sessions}
        for key in stored.keys() | pending.keys():
            if stored.get(key, 0) != pending.get(key, 0):
                self.seen.faults.append(f"window {key}: {stored.get(key)} pending, holds {pending.get(key)}")


def _last_admissions(admitted: Any) -> dict[WindowKey, int]:
    """When each window last admitted something."""
    last: dict[WindowKey, int] = defaultdict(int)
    for customer_id, project_id, period_starts_at, at_us in admitted:
        for scope in (customer_scope(customer_id), project_scope(customer_id, project_id)):
            for window in COUNTED:
                key = (scope, window, window_start(window, at_us, period_starts_at))
                last[key] = max(last[key], at_us)
    return last
