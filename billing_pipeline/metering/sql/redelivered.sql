-- Of every (source, id) the first offset counts; every later one is a duplicate (same digest) or a conflict.
-- windows: how far back each of these days looks; lasting_keys: the identities that never expire.
WITH known AS (
    SELECT
        v.receipt_day, v.queue_offset, v.kind, v.source, v.id, v.customer_id, v.project_id, k.payload_digest
    FROM repeated_keys AS k
    INNER JOIN repeated_records AS v ON k.queue_offset = v.queue_offset
),

days AS (
    SELECT source, id, receipt_day, min(queue_offset) AS first_offset
    FROM known
    GROUP BY source, id, receipt_day
),

counted AS (
    SELECT d.source, d.id, d.receipt_day, min(e.first_offset) AS counted_queue_offset
    FROM days AS d
    INNER JOIN windows AS w ON d.receipt_day = w.receipt_day
    LEFT JOIN lasting_keys AS l ON d.source = l.source AND d.id = l.id AND d.receipt_day >= l.since
    INNER JOIN days AS e
        ON d.source = e.source
        AND d.id = e.id
        AND e.receipt_day <= d.receipt_day
        AND (e.receipt_day >= w.oldest_day OR l.since IS NOT NULL)
    GROUP BY d.source, d.id, d.receipt_day
)

SELECT
    k.receipt_day,
    k.queue_offset,
    CASE WHEN k.payload_digest = f.payload_digest THEN 'duplicate' ELSE 'conflict' END AS outcome,
    c.counted_queue_offset,
    f.receipt_day AS counted_receipt_day,
    k.source,
    k.id,
    k.kind,
    k.customer_id,
    k.project_id
FROM known AS k
INNER JOIN counted AS c ON k.source = c.source AND k.id = c.id AND k.receipt_day = c.receipt_day
INNER JOIN known AS f ON c.counted_queue_offset = f.queue_offset
WHERE k.queue_offset > c.counted_queue_offset
