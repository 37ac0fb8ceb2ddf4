"""What must hold of the guard's credit and holds: each law is one statement that finds where it is broken.

Plain SQL that SQLite and PostgreSQL both take. Facts are the journal, late settlements and true-ups; the rest is state
that they add up to. Amounts are nano-units.
"""

from typing import NamedTuple

ROW_IS_WRONG = (
    "the facts are right: set the row to what they say (docs/operations.md, Mending the guard's books)"
)
FACT_IS_WRONG = "a fact was changed, lost or doubled: restore the control database from a backup"


class Law(NamedTuple):
    """A law that one statement proves.

    Attributes:
        statement: gives a row for each break; none where the law holds.
        told: a break in words, with the row's columns as fields.
    """

    statement: str
    told: str


_SIX = ("issued", "available", "held", "spent", "overdraft", "expired")
_FOLD = f"""
WITH books AS (
    SELECT customer_id, currency, {", ".join(f"{name} AS stored_{name}, 0 AS {name}" for name in _SIX)}
    FROM guard_accounts
    UNION ALL
    SELECT customer_id, currency, {", ".join(f"0, {name}" for name in _SIX)}
    FROM guard_journal
), folded AS (
    SELECT customer_id, currency, {", ".join(f"sum(stored_{n}) AS stored_{n}, sum({n}) AS {n}" for n in _SIX)}
    FROM books GROUP BY customer_id, currency
)
"""
BALANCES = Law(
    _FOLD
    + " UNION ALL ".join(
        f"SELECT customer_id, currency, '{name}' AS account, stored_{name} AS stored, {name} AS folded "
        f"FROM folded WHERE stored_{name} <> {name}"
        for name in _SIX
    )
    + " ORDER BY customer_id, currency, account",
    "account of {customer_id} in {currency}: {account} is {stored}, but its journal adds up to {folded}; "
    + ROW_IS_WRONG,
)
MOVEMENTS = Law(
    f"SELECT id, kind, reference, {' + '.join(_SIX)} AS rest FROM guard_journal "
    f"WHERE {' + '.join(_SIX)} <> 0 ORDER BY id",
    "journal row {id} ({kind} {reference}) does not balance: its columns add up to {rest}, not 0; "
    + FACT_IS_WRONG,
)
SIGNS = Law(
    "SELECT customer_id, currency, issued, held, overdraft, expired FROM guard_accounts "
    "WHERE issued > 0 OR held < 0 OR overdraft > 0 OR expired < 0 ORDER BY customer_id, currency",
    "account of {customer_id} in {currency} is on the wrong side of 0: issued {issued} and overdraft {overdraft} are "
    "at most 0, held {held} and expired {expired} at least; " + ROW_IS_WRONG,
)
HELD = Law(
    """
WITH sides AS (
    SELECT customer_id, currency, held AS stored, 0 AS folded FROM guard_accounts
    UNION ALL
    SELECT customer_id, currency, 0, amount FROM guard_holds WHERE state = 'pending'
)
SELECT customer_id, currency, sum(stored) AS stored, sum(folded) AS folded
FROM sides GROUP BY customer_id, currency HAVING sum(stored) <> sum(folded) ORDER BY customer_id, currency
""",
    "account of {customer_id} in {currency}: held is {stored}, but its open holds add up to {folded}; "
    + ROW_IS_WRONG,
)

GRANTS = Law(
    """
WITH moved AS (
    SELECT
        customer_id, currency, reference,
        sum(CASE WHEN kind = 'grant' THEN 1 ELSE 0 END) AS added,
        sum(CASE WHEN kind = 'grant' THEN -issued ELSE 0 END) AS granted,
        sum(CASE WHEN kind = 'grant' THEN 0 ELSE -available END) AS lost
    FROM guard_journal
    WHERE kind IN ('grant', 'grant_expiry', 'void')
    GROUP BY customer_id, currency, reference
)
SELECT
    g.customer_id, g.currency, g.grant_id, g.amount, g.remaining,
    coalesce(m.added, 0) AS added, coalesce(m.granted, 0) AS granted, coalesce(m.lost, 0) AS lost
FROM guard_grants AS g
LEFT JOIN moved AS m
    ON m.customer_id = g.customer_id AND m.currency = g.currency AND m.reference = g.grant_id
WHERE g.remaining < 0 OR m.added IS NULL OR m.added <> 1 OR m.granted <> g.amount OR g.remaining + m.lost > g.amount
UNION ALL
SELECT m.customer_id, m.currency, m.reference, 0, 0, m.added, m.granted, m.lost
FROM moved AS m
LEFT JOIN guard_grants AS g
    ON m.customer_id = g.customer_id AND m.currency = g.currency AND m.reference = g.grant_id
WHERE g.grant_id IS NULL
ORDER BY 1, 2, 3
""",
    "grant {grant_id} of {customer_id} in {currency}: its amount is {amount} and {remaining} of it is left, but the "
    "journal has granted it {added} times, {granted} in all, and time or a void has taken {lost}; "
    + ROW_IS_WRONG,
)
FUNDED = Law(
    """
WITH sides AS (
    SELECT
        customer_id, currency, 0 AS remaining, available + held + overdraft AS behind
    FROM guard_accounts
    UNION ALL
    SELECT customer_id, currency, remaining, 0 FROM guard_grants
)
SELECT customer_id, currency, sum(remaining) AS remaining, sum(behind) AS behind
FROM sides GROUP BY customer_id, currency
HAVING sum(remaining) < sum(behind) OR (sum(remaining) > sum(behind) AND sum(remaining) > 0)
ORDER BY customer_id, currency
""",
    "account of {customer_id} in {currency}: what is available and held, less the overdraft, is {behind}, but "
    "{remaining} is left of its grants, which must be the same as long as any is left; " + ROW_IS_WRONG,
)

HOLDS = Law(
    """
WITH ended AS (
    SELECT
        reference,
        sum(CASE WHEN kind = 'reserve' THEN 1 ELSE 0 END) AS reserves,
        sum(CASE WHEN kind = 'reserve' THEN held ELSE 0 END) AS held,
        sum(CASE WHEN kind = 'settle' THEN 1 ELSE 0 END) AS settles,
        sum(CASE WHEN kind = 'release' THEN 1 ELSE 0 END) AS releases,
        sum(CASE WHEN kind = 'expire' THEN 1 ELSE 0 END) AS expiries,
        sum(CASE WHEN kind IN ('settle', 'release', 'expire') THEN -held ELSE 0 END) AS freed,
        sum(CASE WHEN kind = 'settle' THEN spent ELSE 0 END) AS booked,
        sum(CASE WHEN kind = 'settle' THEN -overdraft ELSE 0 END) AS overdraft,
        sum(CASE WHEN kind = 'late_settle' THEN 1 ELSE 0 END) AS late_settles,
        sum(CASE WHEN kind = 'late_settle' THEN spent ELSE 0 END) AS late_booked
    FROM guard_journal
    WHERE kind IN ('reserve', 'settle', 'release', 'expire', 'late_settle')
    GROUP BY reference
), sides AS (
    SELECT
        h.hold_id, h.customer_id, h.currency, h.state, h.amount, coalesce(h.booked, 0) AS booked,
        coalesce(h.overdraft, 0) AS overdraft, CASE WHEN l.hold_id IS NULL THEN 0 ELSE 1 END AS late_settles,
        coalesce(l.booked, 0) AS late_booked
    FROM guard_holds AS h LEFT JOIN guard_late_settlements AS l ON l.hold_id = h.hold_id
)
SELECT
    s.hold_id, s.customer_id, s.currency, s.state, s.amount, s.booked + s.late_booked AS booked,
    coalesce(e.reserves, 0) AS reserves, coalesce(e.settles, 0) AS settles, coalesce(e.releases, 0) AS releases,
    coalesce(e.expiries, 0) AS expiries, coalesce(e.late_settles, 0) AS late_settles,
    coalesce(e.booked + e.late_booked, 0) AS journal_booked
FROM sides AS s LEFT JOIN ended AS e ON e.reference = s.hold_id
WHERE e.reference IS NULL
    OR s.state NOT IN ('pending', 'settled', 'released', 'expired')
    OR e.reserves <> 1 OR e.held <> s.amount
    OR e.settles <> CASE WHEN s.state = 'settled' THEN 1 ELSE 0 END
    OR e.releases <> CASE WHEN s.state = 'released' THEN 1 ELSE 0 END
    OR e.expiries <> CASE WHEN s.state = 'expired' THEN 1 ELSE 0 END
    OR e.freed <> CASE WHEN s.state = 'pending' THEN 0 ELSE s.amount END
    OR e.booked <> s.booked OR e.overdraft <> s.overdraft
    OR e.late_settles <> s.late_settles OR e.late_booked <> s.late_booked
    OR (s.late_settles = 1 AND s.state <> 'expired')
ORDER BY s.hold_id
""",
    "hold {hold_id} of {customer_id} in {currency} over {amount} is {state}, settled at {booked}, but the journal "
    "has of it: reserve {reserves}, settle {settles}, release {releases}, expire {expiries}, late_settle "
    "{late_settles}, spent {journal_booked}; a hold is reserved once and ends once; " + ROW_IS_WRONG,
)
MOVEMENTS_OF_HOLDS = Law(
    """
SELECT j.id, j.kind, j.reference, j.customer_id, j.currency
FROM guard_journal AS j LEFT JOIN guard_holds AS h ON h.hold_id = j.reference
WHERE j.kind IN ('reserve', 'settle', 'release', 'expire', 'late_settle')
    AND (h.hold_id IS NULL OR h.customer_id <> j.customer_id OR h.currency <> j.currency)
UNION ALL
SELECT 0, 'late settlement', l.hold_id, '', ''
FROM guard_late_settlements AS l LEFT JOIN guard_holds AS h ON h.hold_id = l.hold_id
WHERE h.hold_id IS NULL
ORDER BY 1, 3
""",
    "journal row {id} ({kind} {reference}, {customer_id} {currency}) belongs to no hold of that account; "
    + FACT_IS_WRONG,
)
TRUE_UPS = Law(
    """
WITH sides AS (
    SELECT customer_id, currency, reference, amount AS stored, 1 AS rows_stored, 0 AS booked, 0 AS rows_booked
    FROM guard_true_ups
    UNION ALL
    SELECT customer_id, currency, reference, 0, 0, spent, 1 FROM guard_journal WHERE kind = 'true_up'
)
SELECT
    customer_id, currency, reference, sum(stored) AS stored, sum(booked) AS booked,
    sum(rows_stored) AS rows_stored, sum(rows_booked) AS rows_booked
FROM sides GROUP BY customer_id, currency, reference
HAVING sum(stored) <> sum(booked) OR sum(rows_stored) <> 1 OR sum(rows_booked) <> 1
ORDER BY customer_id, currency, reference
""",
    "true-up {reference} of {customer_id} in {currency}: {rows_stored} rows say {stored}, {rows_booked} journal rows "
    "book {booked}; each is booked once; " + FACT_IS_WRONG,
)
