-- What earlier invoices of some customers have booked, by line key, and the quantity that the last of them knew.
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
    c.component,
    c.term,
    CAST(sum(c.amount_minor - c.booked_before_minor) AS BIGINT) AS booked_minor,
    max_by(c.quantity, c.period_end_day) AS quantity
FROM charged AS c
INNER JOIN invoiced AS i ON c.customer_id = i.customer_id
GROUP BY
    c.customer_id, c.project_id, c.usage_period, c.plan, c.charge, c.meter, c.dimensions, c.rule_version, c.currency,
    c.component, c.term
