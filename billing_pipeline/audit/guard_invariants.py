"""The guard's books proven: state is what the facts add up to, and every hold ends once.

Nothing is written, and the guard may work meanwhile: each law looks at one moment. On SQLite it lets no writer commit
while its statement runs.
"""

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, Engine, text

from billing_pipeline.audit import guard_counter_laws, guard_laws
from billing_pipeline.audit.guard_alert_laws import alert_faults
from billing_pipeline.audit.guard_laws import Law
from billing_pipeline.audit.report import Check, counted
from billing_pipeline.control.clock import now_us

LEAK_SECONDS = 60
"""How long after its expiry a hold may still be open: the sweep ends it within a second or two."""
FAULTS_MOST = 1000
"""Told of one law; a thousand more would say nothing else."""

LAWS: dict[str, tuple[tuple[Law, ...], tuple[str, ...]]] = {
    "balances": (
        (guard_laws.BALANCES, guard_laws.MOVEMENTS, guard_laws.SIGNS, guard_laws.HELD),
        ("guard_accounts", "guard_journal"),
    ),
    "grants": ((guard_laws.GRANTS, guard_laws.FUNDED), ("guard_grants",)),
    "holds": ((guard_laws.HOLDS, guard_laws.MOVEMENTS_OF_HOLDS), ("guard_holds",)),
    "true-ups": ((guard_laws.TRUE_UPS,), ("guard_true_ups",)),
    "windows": ((guard_counter_laws.WINDOWS,), ("guard_windows",)),
    "sessions": ((guard_counter_laws.SESSIONS, guard_counter_laws.PROBES), ("guard_sessions",)),
    "stops and limits": (
        (guard_counter_laws.STOPS, guard_counter_laws.LIMITS),
        ("guard_stops", "guard_limits"),
    ),
    "reviews": ((guard_counter_laws.DECISIONS,), ("guard_reviews", "guard_alerts")),
    "outbox": ((guard_counter_laws.OUTBOX,), ("guard_outbox",)),
}
"""The laws of each check, and the tables whose rows it counts."""

_NOUNS = {
    "guard_accounts": "account",
    "guard_journal": "movement",
    "guard_grants": "grant",
    "guard_holds": "hold",
    "guard_true_ups": "true-up",
    "guard_windows": "window",
    "guard_sessions": "session",
    "guard_stops": "stop",
    "guard_limits": "limit",
    "guard_reviews": "review",
    "guard_alerts": "alert",
    "guard_outbox": "usage event",
}
_LEAKED = """
SELECT hold_id, customer_id, currency, amount, expires_at FROM guard_holds
WHERE state = 'pending' AND expires_at <= :before ORDER BY expires_at, hold_id
"""


def guard_faults(control: Engine, only: Collection[str] = LAWS) -> list[str]:
    """All that does not hold; empty where the books are sound. A hold that outlives its time is `leaked_holds`.

    Args:
        control: the control database.
        only: the checks to make, by their names in `LAWS`. Balances, grants and holds read the whole journal; whoever
            samples a load may leave them for its end.
    """
    return [fault for name in LAWS if name in only for fault in _faults(control, name)]


def leaked_holds(
    control: Engine, *, tolerance_seconds: int = LEAK_SECONDS, at_us: int | None = None
) -> list[str]:
    """Holds that are open so long after their expiry: nobody sweeps, and what they hold cannot be spent.

    Args:
        control: the control database.
        tolerance_seconds: how long after its expiry a hold may be open.
        at_us: now, UTC µs; by the wall clock where it is not given.
    """
    now = now_us() if at_us is None else at_us
    before = now - tolerance_seconds * 1_000_000
    with _looking(control) as connection:
        rows = connection.execute(text(_LEAKED), {"before": before}).fetchmany(FAULTS_MOST)
    return [
        f"hold {hold_id} of {customer_id} in {currency} over {amount} expired {(now - expires_at) // 1_000_000:,} "
        "seconds ago and is still open; start `billing serve`, which ends it within a second"
        for hold_id, customer_id, currency, amount, expires_at in rows
    ]


def guard_checks(control: Engine) -> Iterator[Check]:
    """One check for each part of the books; the last warns of holds that outlive their time."""
    for name, (_, tables) in LAWS.items():
        check = Check(f"guard: {name}")
        with check.going_on():
            check.looked_at = ", ".join(counted(_rows(control, table), _NOUNS[table]) for table in tables)
            check.faults += _faults(control, name)
            if name == "holds":
                check.warnings += leaked_holds(control)
        yield check


def _faults(control: Engine, name: str) -> list[str]:
    found: list[str] = []
    for law in LAWS[name][0]:
        with _looking(control) as connection:
            rows = connection.execute(text(law.statement)).mappings().fetchmany(FAULTS_MOST)
        found += [law.told.format(**row) for row in rows]
    if name == "reviews":
        with _looking(control) as connection:
            found += alert_faults(connection)
    return found


def _rows(control: Engine, table: str) -> int:
    with _looking(control) as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def _looking(control: Engine) -> Connection:
    """A transaction that sees one moment."""
    if control.dialect.name == "postgresql":
        return control.connect().execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    return control.connect()
