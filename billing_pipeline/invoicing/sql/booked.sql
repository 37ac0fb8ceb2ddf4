-- What earlier invoices of some customers have booked, by line key.
SELECT
    c.customer_id,
    c.project_id,
    c.usage_period,
    c.plan,
    c.charge,
    c.meter,
    c.dimensions,
    c.rule_version,
    c.currency,
    CAST(sum(c.amount_minor - c.booked_before_minor) AS BIGINT) AS booked_minor
FROM charged AS c
INNER JOIN invoiced AS i ON c.customer_id = i.customer_id
GROUP BY
    c.customer_id, c.project_id, c.usage_period, c.plan, c.charge, c.meter, c.dimensions, c.rule_version, c.currency
