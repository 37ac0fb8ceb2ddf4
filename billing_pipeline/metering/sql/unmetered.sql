-- Billable usage that no meter of its rule version takes, and what corrections have taken away of it or added to it.
SELECT
    u.posting_day,
    u.rule_version,
    u.usage_day,
    u.customer_id,
    u.project_id,
    u.unit,
    u.dimensions,
    CAST(sum(u.quantity) AS DECIMAL(38, 9)) AS quantity,
    CAST(sum(u.event_count) AS BIGINT) AS event_count
FROM metered_usage AS u
LEFT JOIN meters AS m
    ON u.rule_version = m.rule_version
    AND u.unit = m.unit
    AND u.dimensions = m.dimensions
WHERE m.meter IS NULL
GROUP BY u.posting_day, u.rule_version, u.usage_day, u.customer_id, u.project_id, u.unit, u.dimensions
HAVING sum(u.quantity) <> 0 OR sum(u.event_count) <> 0
