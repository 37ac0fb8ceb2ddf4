-- Everything that counts: the parts of events (sign 1), and what each applied correction takes away (-1) and puts in
-- their place (1). event_offset is that of the event, queue_offset that of the record which books.
SELECT
    'event' AS origin,
    queue_offset,
    receipt_day,
    queue_offset AS event_offset,
    CAST(1 AS BIGINT) AS sign,
    posting_day,
    usage_day,
    rule_version,
    allocation_index,
    customer_id,
    project_id,
    unit,
    quantity,
    event_share,
    dimensions,
    billable,
    received_at,
    source,
    id,
    correlation_id
FROM unique_events
UNION ALL
SELECT
    'correction' AS origin,
    queue_offset,
    receipt_day,
    corrected_queue_offset AS event_offset,
    sign,
    posting_day,
    usage_day,
    rule_version,
    allocation_index,
    customer_id,
    project_id,
    unit,
    quantity,
    event_share,
    dimensions,
    billable,
    received_at,
    source,
    id,
    correlation_id
FROM corrections
WHERE sign <> 0
