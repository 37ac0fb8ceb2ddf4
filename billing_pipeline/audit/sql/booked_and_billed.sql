-- Per customer, invoice period and currency what the charges of a day book beside what its invoice lines bill.
WITH charged AS (
    SELECT
        period_end_day, customer_id, billing_period, currency, count(*) AS rows_,
        sum(amount_minor - booked_before_minor) AS minor
    FROM charges
    GROUP BY period_end_day, customer_id, billing_period, currency
),

billed AS (
    SELECT
        period_end_day, customer_id, billing_period, currency, count(*) AS rows_, sum(amount_minor) AS minor
    FROM lines
    GROUP BY period_end_day, customer_id, billing_period, currency
)

SELECT
    coalesce(c.period_end_day, b.period_end_day) AS period_end_day,
    coalesce(c.customer_id, b.customer_id) AS customer_id,
    coalesce(c.billing_period, b.billing_period) AS billing_period,
    coalesce(c.currency, b.currency) AS currency,
    CAST(coalesce(c.minor, 0) AS BIGINT) AS charged_minor,
    CAST(coalesce(b.minor, 0) AS BIGINT) AS billed_minor,
    coalesce(c.rows_, 0) AS charges_,
    coalesce(b.rows_, 0) AS lines_
FROM charged AS c
FULL OUTER JOIN billed AS b
    ON c.period_end_day = b.period_end_day AND c.customer_id = b.customer_id
    AND c.billing_period = b.billing_period AND c.currency = b.currency
