"""What must hold of the guard's counters, stops, limits, alerts, reviews and outbox; see `guard_laws`."""

from billing_pipeline.audit.guard_laws import FACT_IS_WRONG, ROW_IS_WRONG, Law

_SPENDING = """
    SELECT
        h.customer_id, h.project_id, h.session_id, h.currency, h.granted_at, h.period_starts_at, h.steps,
        CASE WHEN h.state = 'pending' THEN h.amount ELSE 0 END AS pending,
        CASE WHEN h.state = 'settled' THEN h.booked ELSE coalesce(l.booked, 0) END AS settled
    FROM guard_holds AS h LEFT JOIN guard_late_settlements AS l ON l.hold_id = h.hold_id
"""
_SCOPES = ("'customer:' || customer_id", "'project:' || customer_id || '/' || project_id")
_STARTS = {
    "minute": "minute",
    "hour": "minute - minute % 3600000000",
    "day": "minute - minute % 86400000000",
    "period": "period_starts_at",
}
_FOLDED = " UNION ALL ".join(
    f"SELECT {scope} AS scope, currency, '{window}' AS time_window, {start} AS starts_at, "
    "0 AS stored_pending, 0 AS stored_settled, 0 AS stored_calls, 0 AS unguarded, pending, settled, calls FROM minutes"
    for scope in _SCOPES
    for window, start in _STARTS.items()
)
WINDOWS = Law(
    f"""
WITH spending AS ({_SPENDING}), minutes AS MATERIALIZED (
    SELECT
        customer_id, project_id, currency, granted_at - granted_at % 60000000 AS minute, period_starts_at,
        sum(pending) AS pending, sum(settled) AS settled, count(*) AS calls
    FROM spending GROUP BY customer_id, project_id, currency, granted_at - granted_at % 60000000, period_starts_at
), sides AS (
    {_FOLDED}
    UNION ALL
    SELECT scope, currency, time_window, starts_at, pending, settled, calls, unguarded, 0, 0, 0 FROM guard_windows
)
SELECT
    scope, currency, time_window, starts_at, sum(stored_pending) AS stored_pending, sum(pending) AS pending,
    sum(stored_settled) AS stored_settled, sum(settled) AS settled, sum(stored_calls) AS stored_calls,
    sum(calls) AS calls, sum(unguarded) AS unguarded
FROM sides GROUP BY scope, currency, time_window, starts_at
HAVING sum(stored_pending) <> sum(pending) OR sum(stored_settled) <> sum(settled)
    OR sum(stored_calls) < sum(calls) OR sum(unguarded) < 0
ORDER BY scope, currency, time_window, starts_at
""",
    "window {time_window} from {starts_at} (UTC µs) of {scope} in {currency}: pending is {stored_pending}, settled "
    "{stored_settled}, calls {stored_calls}, unguarded {unguarded}, but its holds make pending {pending}, settled "
    "{settled}, and calls at least {calls}; " + ROW_IS_WRONG,
)
SESSIONS = Law(
    f"""
WITH spending AS ({_SPENDING}), sides AS (
    SELECT
        'session:' || customer_id || '/' || session_id AS scope, 0 AS stored_pending, 0 AS stored_settled,
        0 AS stored_steps, 0 AS unguarded, pending, settled, steps
    FROM spending WHERE session_id IS NOT NULL
    UNION ALL
    SELECT scope, pending, settled, steps, unguarded, 0, 0, 0 FROM guard_sessions
)
SELECT
    scope, sum(stored_pending) AS stored_pending, sum(pending) AS pending, sum(stored_settled) AS stored_settled,
    sum(settled) AS settled, sum(stored_steps) AS stored_steps, sum(steps) AS steps, sum(unguarded) AS unguarded
FROM sides GROUP BY scope
HAVING sum(stored_pending) <> sum(pending) OR sum(stored_settled) <> sum(settled)
    OR sum(stored_steps) < sum(steps) OR sum(unguarded) < 0
ORDER BY scope
""",
    "{scope}: pending is {stored_pending}, settled {stored_settled}, steps {stored_steps}, unguarded {unguarded}, "
    "but its holds make pending {pending}, settled {settled}, and steps at least {steps}; " + ROW_IS_WRONG,
)
PROBES = Law(
    """
SELECT s.scope, s.breaker, s.probe_hold_id, coalesce(h.state, 'unknown') AS state
FROM guard_sessions AS s LEFT JOIN guard_holds AS h ON h.hold_id = s.probe_hold_id
WHERE s.breaker NOT IN ('closed', 'open', 'half_open')
    OR (s.probe_hold_id IS NOT NULL AND (h.state IS NULL OR h.state <> 'pending'))
ORDER BY s.scope
""",
    "{scope}: its breaker is {breaker} and waits for hold {probe_hold_id}, which is {state}; no other hold will be let "
    "through; " + ROW_IS_WRONG,
)

STOPS = Law(
    """
WITH latest AS (SELECT scope, kind, max(id) AS id FROM guard_stop_changes GROUP BY scope, kind)
SELECT
    coalesce(s.scope, c.scope) AS scope, coalesce(s.kind, c.kind) AS kind,
    CASE WHEN s.scope IS NULL THEN 'missing' WHEN s.active THEN 'in force' ELSE 'lifted' END AS stored,
    CASE WHEN c.active THEN 'in force' ELSE 'lifted' END AS said
FROM latest AS l
INNER JOIN guard_stop_changes AS c ON c.id = l.id
LEFT JOIN guard_stops AS s ON s.scope = l.scope AND s.kind = l.kind
WHERE s.scope IS NULL OR s.active <> c.active OR coalesce(s.resumes_at, -1) <> coalesce(c.resumes_at, -1)
UNION ALL
SELECT s.scope, s.kind, CASE WHEN s.active THEN 'in force' ELSE 'lifted' END, 'nothing'
FROM guard_stops AS s LEFT JOIN latest AS l ON l.scope = s.scope AND l.kind = s.kind
WHERE l.id IS NULL
ORDER BY 1, 2
""",
    "{kind} of {scope} is {stored}, or ends at another instant than its last change says, which is: {said}; "
    + ROW_IS_WRONG,
)
LIMITS = Law(
    """
WITH latest AS (
    SELECT scope, currency, time_window, severity, max(id) AS id
    FROM guard_limit_changes GROUP BY scope, currency, time_window, severity
), sides AS (
    SELECT
        c.scope, c.currency, c.time_window, c.severity, c.amount AS said, c.inherits AS said_inherits,
        g.scope AS stored_scope, g.amount AS stored, g.inherits AS stored_inherits
    FROM latest AS l INNER JOIN guard_limit_changes AS c ON c.id = l.id
    LEFT JOIN guard_limits AS g ON g.scope = l.scope AND g.currency = l.currency
        AND g.time_window = l.time_window AND g.severity = l.severity
)
SELECT
    scope, currency, time_window, severity, coalesce(CAST(stored AS VARCHAR(20)), 'none') AS stored,
    coalesce(CAST(said AS VARCHAR(20)), 'none') AS said
FROM sides
WHERE (stored_scope IS NULL AND NOT said_inherits)
    OR (stored_scope IS NOT NULL
        AND (stored_inherits <> said_inherits OR coalesce(stored, -1) <> coalesce(said, -1)))
UNION ALL
SELECT g.scope, g.currency, g.time_window, g.severity, coalesce(CAST(g.amount AS VARCHAR(20)), 'none'), 'nothing'
FROM guard_limits AS g LEFT JOIN latest AS l ON g.scope = l.scope AND g.currency = l.currency
    AND g.time_window = l.time_window AND g.severity = l.severity
WHERE l.id IS NULL
ORDER BY 1, 2, 3, 4
""",
    "{severity} limit of {scope} for a {time_window} in {currency}: it is {stored}, but its last change says {said}; "
    + ROW_IS_WRONG,
)
DECISIONS = Law(
    """
SELECT r.review_id, r.kind, r.scope, CASE WHEN r.decided_at IS NULL THEN 'open' ELSE 'decided' END AS state,
    count(d.id) AS decisions
FROM guard_reviews AS r LEFT JOIN guard_review_decisions AS d ON d.review_id = r.review_id
GROUP BY r.review_id, r.kind, r.scope, r.decided_at
HAVING count(d.id) <> CASE WHEN r.decided_at IS NULL THEN 0 ELSE 1 END
ORDER BY r.review_id
""",
    "review {review_id} ({kind} of {scope}) is {state}, but has {decisions} decisions; one that is decided has one, an "
    "open one none; " + ROW_IS_WRONG,
)
OUTBOX = Law(
    """
SELECT o.id, o.hold_id, coalesce(h.state, 'unknown') AS state
FROM guard_outbox AS o
LEFT JOIN guard_holds AS h ON h.hold_id = o.hold_id
LEFT JOIN guard_late_settlements AS l ON l.hold_id = o.hold_id
WHERE h.hold_id IS NULL OR (h.state <> 'settled' AND l.hold_id IS NULL)
ORDER BY o.id
""",
    "outbox row {id} is the usage of hold {hold_id}, which is {state} and was not settled; if the event was sent "
    "(`sent_at`), void it by a correction, then " + FACT_IS_WRONG.partition(": ")[2],
)
