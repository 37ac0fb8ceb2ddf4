-- Usage that is booked on some posting days, summed before meters are looked at: by customer, project, unit and all
-- dimensions. A correction takes away what an event was (sign -1) and adds what it is now (sign +1).
WITH booked AS (
    SELECT
        posting_day,
        rule_version,
        usage_day,
        CASE WHEN posting_day = usage_day THEN 'on_time' ELSE 'late' END AS kind,
        customer_id,
        project_id,
        unit,
        dimensions,
        sum(quantity) AS quantity,
        sum(event_share) AS event_share,
        sum(CASE WHEN event_share > 0 THEN 1 ELSE 0 END) AS event_count
    FROM unique_events
    WHERE billable AND posting_day IN (SELECT posting_day FROM posting_days)
    GROUP BY posting_day, rule_version, usage_day, customer_id, project_id, unit, dimensions
    UNION ALL
    SELECT
        posting_day,
        rule_version,
        usage_day,
        'correction' AS kind,
        customer_id,
        project_id,
        unit,
        dimensions,
        sum(CASE WHEN sign < 0 THEN -quantity ELSE quantity END) AS quantity,
        sum(CASE WHEN sign < 0 THEN -event_share ELSE event_share END) AS event_share,
        sum(CASE WHEN event_share > 0 THEN sign ELSE 0 END) AS event_count
    FROM corrections
    WHERE sign <> 0 AND billable AND posting_day IN (SELECT posting_day FROM posting_days)
    GROUP BY posting_day, rule_version, usage_day, customer_id, project_id, unit, dimensions
)

SELECT
    posting_day,
    rule_version,
    usage_day,
    kind,
    customer_id,
    project_id,
    unit,
    dimensions,
    CAST(quantity AS DECIMAL(38, 9)) AS quantity,
    CAST(event_share AS DECIMAL(38, 9)) AS event_share,
    CAST(event_count AS BIGINT) AS event_count
FROM booked
