-- What is posted, by the group of each meter that looks at the events of a usage day as a whole.
-- day_meters: for each rule version, unit and dimensions, the meters that take them (from the rule book).
SELECT
    p.posting_day,
    p.usage_day,
    p.rule_version,
    p.origin,
    p.sign,
    p.source,
    p.id,
    p.allocation_index,
    p.occurred_at,
    p.customer_id,
    p.project_id,
    m.meter,
    m.aggregation,
    p.unit,
    m.grouped_dimensions AS dimensions,
    p.quantity,
    m.distinct_field,
    CASE m.distinct_field
        WHEN 'user_id' THEN p.user_id
        WHEN 'session_id' THEN p.session_id
        WHEN 'correlation_id' THEN p.correlation_id
        ELSE m.distinct_value
    END AS distinct_value
FROM posted AS p
INNER JOIN day_meters AS m
    ON p.rule_version = m.rule_version
    AND p.unit = m.unit
    AND p.dimensions = m.dimensions
WHERE m.aggregation NOT IN ('sum', 'count')
