-- What meters add up: every meter that takes a unit and dimensions, grouped by the meter's own dimensions.
-- meters: for each rule version, unit and dimensions, the meters that take them (from the rule book).
SELECT
    u.posting_day,
    u.rule_version,
    u.usage_day,
    u.kind,
    u.customer_id,
    u.project_id,
    m.meter,
    u.unit,
    m.grouped_dimensions AS dimensions,
    CAST(sum(CASE WHEN m.aggregation = 'count' THEN u.event_share ELSE u.quantity END) AS DECIMAL(38, 9)) AS quantity,
    CAST(sum(u.event_count) AS BIGINT) AS event_count
FROM metered_usage AS u
INNER JOIN meters AS m
    ON u.rule_version = m.rule_version
    AND u.unit = m.unit
    AND u.dimensions = m.dimensions
WHERE m.aggregation IN ('sum', 'count')
GROUP BY
    u.posting_day,
    u.rule_version,
    u.usage_day,
    u.kind,
    u.customer_id,
    u.project_id,
    m.meter,
    m.aggregation,
    u.unit,
    m.grouped_dimensions
