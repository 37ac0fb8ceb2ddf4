-- An invoice line bills the rounded whole of its line key less what earlier invoices have booked of it.
SELECT
    c.* REPLACE (c.amount_minor - c.booked_before_minor AS amount_minor),
    CASE WHEN c.usage_period >= c.billing_period THEN 'usage' ELSE 'adjustment' END AS kind
FROM charges AS c
