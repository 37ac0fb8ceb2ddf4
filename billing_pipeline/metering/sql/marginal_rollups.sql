-- What a posting day changes for meters that look at a usage day as a whole: the difference that its events make, and
-- then the difference that its corrections make.
WITH slots AS (
    SELECT 'before' AS state, 'event' AS origin, -1 AS sign
    UNION ALL
    SELECT 'events' AS state, 'event' AS origin, 1 AS sign
    UNION ALL
    SELECT 'events' AS state, 'correction' AS origin, -1 AS sign
    UNION ALL
    SELECT 'all' AS state, 'correction' AS origin, 1 AS sign
)

SELECT
    m.posting_day,
    m.rule_version,
    m.usage_day,
    CASE WHEN s.origin = 'correction' THEN 'correction' WHEN m.posting_day = m.usage_day THEN 'on_time' ELSE 'late' END
        AS kind,
    m.customer_id,
    m.project_id,
    m.meter,
    m.unit,
    m.dimensions,
    CAST(sum(CASE WHEN s.sign < 0 THEN -m.quantity ELSE m.quantity END) AS DECIMAL(38, 9)) AS quantity,
    CAST(sum(s.sign) AS BIGINT) AS event_count
FROM marginals AS m
INNER JOIN slots AS s ON m.state = s.state
GROUP BY
    m.posting_day, m.rule_version, m.usage_day, s.origin, m.customer_id, m.project_id, m.meter, m.unit, m.dimensions
