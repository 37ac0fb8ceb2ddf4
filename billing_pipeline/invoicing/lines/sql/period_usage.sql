-- Usage of some customers by usage day, over all postings up to the end of the invoice period.
SELECT
    r.customer_id,
    r.project_id,
    r.meter,
    r.unit,
    r.dimensions,
    r.usage_day,
    r.rule_version,
    CAST(sum(r.quantity) AS DECIMAL(38, 9)) AS quantity,
    CAST(sum(r.event_count) AS BIGINT) AS event_count,
    min(r.posting_day) AS first_posting_day
FROM rollups AS r
INNER JOIN invoiced AS i ON r.customer_id = i.customer_id
GROUP BY r.customer_id, r.project_id, r.meter, r.unit, r.dimensions, r.usage_day, r.rule_version
