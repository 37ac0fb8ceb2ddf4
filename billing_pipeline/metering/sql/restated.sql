-- Metered quantity by usage day as known now: whatever has been posted for it.
SELECT
    r.usage_day,
    r.rule_version,
    r.customer_id,
    r.project_id,
    r.meter,
    r.unit,
    r.dimensions,
    CAST(sum(r.quantity) AS DECIMAL(38, 9)) AS quantity,
    CAST(sum(r.event_count) AS BIGINT) AS event_count
FROM posted_rollups AS r
INNER JOIN usage_days AS d ON r.usage_day = d.usage_day
GROUP BY r.usage_day, r.rule_version, r.customer_id, r.project_id, r.meter, r.unit, r.dimensions
HAVING sum(r.quantity) <> 0 OR sum(r.event_count) <> 0
