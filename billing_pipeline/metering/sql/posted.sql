-- Everything posted so far for some usage days that may be charged: events as they came, and what each correction took
-- away (sign -1) and put in their place (sign +1). What is void counts for nothing.
-- day_events, day_corrections: all receipt days that can hold usage of these days; usage_days: the days.
WITH booked AS (
    SELECT
        posting_day, usage_day, rule_version, 'event' AS origin, 1 AS sign, source, id, allocation_index, occurred_at,
        customer_id, project_id, unit, dimensions, quantity, user_id, session_id, correlation_id
    FROM day_events
    WHERE billable AND event_share > 0
    UNION ALL
    SELECT
        c.posting_day, c.usage_day, c.rule_version, 'correction' AS origin, c.sign, e.source, e.id, c.allocation_index,
        e.occurred_at, c.customer_id, c.project_id, c.unit, c.dimensions, c.quantity, e.user_id, e.session_id,
        e.correlation_id
    FROM day_corrections AS c
    INNER JOIN day_events AS e ON c.corrected_queue_offset = e.queue_offset AND e.allocation_index = 0
    WHERE c.sign <> 0 AND c.billable AND c.event_share > 0
)

SELECT * FROM booked WHERE usage_day IN (SELECT usage_day FROM usage_days)
