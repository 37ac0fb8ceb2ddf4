-- The lines that do not bill what the charge of the same id books.
SELECT
    coalesce(c.customer_id, b.customer_id) AS customer_id,
    coalesce(c.currency, b.currency) AS currency,
    coalesce(c.line_id, b.line_id) AS line_id,
    c.amount_minor - c.booked_before_minor AS charged_minor,
    b.amount_minor AS billed_minor
FROM charges AS c
FULL OUTER JOIN lines AS b
    ON c.customer_id = b.customer_id AND c.currency = b.currency AND c.line_id = b.line_id
WHERE (c.amount_minor - c.booked_before_minor) IS DISTINCT FROM b.amount_minor
