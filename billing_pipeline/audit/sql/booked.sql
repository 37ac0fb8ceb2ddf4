-- What may be charged and is booked: events as they came, and what corrections took away (sign -1) and put in place.
SELECT
    posting_day, usage_day, rule_version, 'event' AS origin, CAST(1 AS BIGINT) AS sign, queue_offset AS event_offset,
    allocation_index, customer_id, project_id, unit, dimensions, quantity, event_share
FROM unique_events
WHERE billable
UNION ALL
SELECT
    posting_day, usage_day, rule_version, 'correction' AS origin, sign, corrected_queue_offset AS event_offset,
    allocation_index, customer_id, project_id, unit, dimensions, quantity, event_share
FROM corrections
WHERE billable AND sign <> 0
