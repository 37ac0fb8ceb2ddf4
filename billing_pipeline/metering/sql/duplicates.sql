-- Repeated records, but for a correction that was refused before and is looked at anew.
-- correction_verdicts: of repeated corrections the applied one that they repeat and its receipt day, or none.
SELECT
    r.receipt_day,
    r.queue_offset,
    r.outcome,
    coalesce(v.counted_queue_offset, r.counted_queue_offset) AS counted_queue_offset,
    coalesce(v.counted_receipt_day, r.counted_receipt_day) AS counted_receipt_day,
    r.source,
    r.id,
    r.kind,
    r.customer_id,
    r.project_id
FROM redelivered AS r
LEFT JOIN correction_verdicts AS v ON r.queue_offset = v.queue_offset
WHERE v.queue_offset IS NULL OR v.counted_queue_offset IS NOT NULL
