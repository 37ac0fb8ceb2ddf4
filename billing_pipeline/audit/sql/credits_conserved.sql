-- A credit grant never pays more than it is, over all invoices up to a day, and never gets more back than it has paid;
-- no credit or coupon on the invoice takes more than is due, and none gives back more than the invoice is below zero.
WITH booked AS (
    SELECT period_end_day, customer_id, billing_period, currency, component, term,
        amount_minor - booked_before_minor AS minor
    FROM charges
),

drawn AS (
    SELECT period_end_day, customer_id, currency, term, -sum(minor) AS minor
    FROM booked
    WHERE component = 'credit'
    GROUP BY period_end_day, customer_id, currency, term
),

running AS (
    SELECT
        period_end_day, customer_id, currency, term,
        sum(minor) OVER (PARTITION BY customer_id, currency, term ORDER BY period_end_day ASC NULLS FIRST) AS minor
    FROM drawn
),

overdrawn AS (
    SELECT
        r.period_end_day, r.customer_id, r.currency, 'grant ' || r.term || ' has paid' AS what,
        CAST(r.minor AS BIGINT) AS found_minor, coalesce(g.granted_minor, 0) AS most_minor
    FROM running AS r
    LEFT OUTER JOIN grants AS g
        ON r.customer_id = g.customer_id AND r.term = g.grant_id AND r.currency = g.currency
    WHERE r.minor > coalesce(g.granted_minor, 0)
),

given_back AS (
    SELECT
        period_end_day, customer_id, currency, 'grant ' || term || ' was given back more than it has paid' AS what,
        CAST(-minor AS BIGINT) AS found_minor, CAST(0 AS BIGINT) AS most_minor
    FROM running
    WHERE minor < 0
),

negative AS (
    SELECT
        period_end_day, customer_id, currency, 'an invoice with credits or once-only coupons comes to' AS what,
        CAST(sum(minor) AS BIGINT) AS found_minor, CAST(NULL AS BIGINT) AS most_minor
    FROM booked
    GROUP BY period_end_day, customer_id, billing_period, currency
    HAVING
        sum(minor) < 0
        AND sum(CASE WHEN component IN ('credit', 'invoice_coupon') AND minor < 0 THEN 1 ELSE 0 END) > 0
),

positive AS (
    SELECT
        period_end_day, customer_id, currency, 'an invoice that gives credit back comes to' AS what,
        CAST(sum(minor) AS BIGINT) AS found_minor, CAST(0 AS BIGINT) AS most_minor
    FROM booked
    GROUP BY period_end_day, customer_id, billing_period, currency
    HAVING sum(minor) > 0 AND sum(CASE WHEN component = 'credit' AND minor > 0 THEN 1 ELSE 0 END) > 0
),

found AS (
    SELECT period_end_day, customer_id, currency, what, found_minor, most_minor FROM overdrawn
    UNION ALL
    SELECT period_end_day, customer_id, currency, what, found_minor, most_minor FROM given_back
    UNION ALL
    SELECT period_end_day, customer_id, currency, what, found_minor, most_minor FROM negative
    UNION ALL
    SELECT period_end_day, customer_id, currency, what, found_minor, most_minor FROM positive
)

SELECT f.period_end_day, f.customer_id, f.currency, f.what, f.found_minor, f.most_minor
FROM found AS f
INNER JOIN days AS d ON f.period_end_day = d.period_end_day
ORDER BY f.period_end_day, f.customer_id, f.currency, f.what
