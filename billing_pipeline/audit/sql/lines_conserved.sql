-- Per customer and currency the invoice lines of a day bill exactly what its charges book.
WITH charged AS (
    SELECT period_end_day, customer_id, currency, count(*) AS rows_, sum(amount_minor - booked_before_minor) AS minor
    FROM charges
    GROUP BY period_end_day, customer_id, currency
),

billed AS (
    SELECT period_end_day, customer_id, currency, count(*) AS rows_, sum(amount_minor) AS minor
    FROM lines
    GROUP BY period_end_day, customer_id, currency
)

SELECT
    coalesce(c.period_end_day, b.period_end_day) AS period_end_day,
    coalesce(c.customer_id, b.customer_id) AS customer_id,
    coalesce(c.currency, b.currency) AS currency,
    coalesce(c.minor, 0) AS charged_minor,
    coalesce(b.minor, 0) AS billed_minor
FROM charged AS c
FULL OUTER JOIN billed AS b
    ON c.period_end_day = b.period_end_day AND c.customer_id = b.customer_id AND c.currency = b.currency
WHERE c.minor IS DISTINCT FROM b.minor OR c.rows_ IS DISTINCT FROM b.rows_
ORDER BY period_end_day, customer_id, currency
