-- Conflicts that nobody has settled, with every customer they concern: who pays for the record that counted, and who is
-- named by the other one. A correction of the event, received after the conflict, settles it.
-- conflicts: of days whose policy blocks; counted_events, day_corrections: since the records that counted were received.
WITH concerned AS (
    SELECT c.receipt_day, c.queue_offset, c.source, c.id, e.queue_offset AS event_offset, e.usage_day, e.customer_id
    FROM conflicts AS c
    INNER JOIN counted_events AS e ON c.counted_queue_offset = e.queue_offset
    UNION
    SELECT c.receipt_day, c.queue_offset, c.source, c.id, e.queue_offset AS event_offset, e.usage_day, c.customer_id
    FROM conflicts AS c
    INNER JOIN counted_events AS e ON c.counted_queue_offset = e.queue_offset
    WHERE c.customer_id IS NOT NULL
    UNION
    SELECT
        c.receipt_day, c.queue_offset, c.source, c.id, k.corrected_queue_offset AS event_offset, k.usage_day,
        k.customer_id
    FROM conflicts AS c
    INNER JOIN day_corrections AS k ON c.counted_queue_offset = k.queue_offset
    WHERE k.outcome = 'applied'
),

settled AS (
    SELECT corrected_queue_offset, max(queue_offset) AS last_offset
    FROM day_corrections
    WHERE outcome = 'applied'
    GROUP BY corrected_queue_offset
)

SELECT x.customer_id, x.receipt_day, x.usage_day, x.source, x.id, x.queue_offset
FROM concerned AS x
LEFT JOIN settled AS s ON x.event_offset = s.corrected_queue_offset
WHERE s.last_offset IS NULL OR s.last_offset < x.queue_offset
