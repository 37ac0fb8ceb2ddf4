-- The effective events of every group that a posting day touches, three times: before the day, with the events booked on
-- it, and with its corrections too. What was taken away again cancels out.
WITH touched AS (
    SELECT DISTINCT
        posting_day, usage_day, customer_id, project_id, meter, aggregation, distinct_field, unit, dimensions
    FROM group_rows
    WHERE posting_day IN (SELECT posting_day FROM posting_days)
),

states AS (
    SELECT 'before' AS state UNION ALL SELECT 'events' AS state UNION ALL SELECT 'all' AS state
)

SELECT
    t.posting_day,
    s.state,
    r.usage_day,
    r.customer_id,
    r.project_id,
    r.meter,
    r.aggregation,
    coalesce(r.distinct_field, '') AS distinct_field,
    r.unit,
    r.dimensions,
    r.rule_version,
    r.occurred_at,
    r.source,
    r.id,
    r.allocation_index,
    r.quantity,
    r.distinct_value
FROM touched AS t
INNER JOIN group_rows AS r
    ON t.usage_day = r.usage_day
    AND t.customer_id = r.customer_id
    AND t.project_id = r.project_id
    AND t.meter = r.meter
    AND t.aggregation = r.aggregation
    AND coalesce(t.distinct_field, '') = coalesce(r.distinct_field, '')
    AND t.unit = r.unit
    AND t.dimensions = r.dimensions
    AND r.posting_day <= t.posting_day
CROSS JOIN states AS s
WHERE
    r.posting_day < t.posting_day
    OR s.state = 'all'
    OR (s.state = 'events' AND r.origin = 'event')
GROUP BY
    t.posting_day,
    s.state,
    r.usage_day,
    r.customer_id,
    r.project_id,
    r.meter,
    r.aggregation,
    coalesce(r.distinct_field, ''),
    r.unit,
    r.dimensions,
    r.rule_version,
    r.occurred_at,
    r.source,
    r.id,
    r.allocation_index,
    r.quantity,
    r.distinct_value
HAVING sum(r.sign) > 0
