-- Of every (source, id) the first offset counts; every later one is a duplicate (same digest) or a conflict.
WITH known AS (
    SELECT v.receipt_day, v.queue_offset, v.kind, v.source, v.id, k.payload_digest
    FROM repeated_keys AS k
    INNER JOIN repeated_records AS v ON k.queue_offset = v.queue_offset
),

counted AS (
    SELECT source, id, min(queue_offset) AS counted_queue_offset
    FROM known
    GROUP BY source, id
)

SELECT
    k.receipt_day,
    k.queue_offset,
    CASE WHEN k.payload_digest = f.payload_digest THEN 'duplicate' ELSE 'conflict' END AS outcome,
    c.counted_queue_offset,
    k.source,
    k.id,
    k.kind
FROM known AS k
INNER JOIN counted AS c ON k.source = c.source AND k.id = c.id
INNER JOIN known AS f ON c.counted_queue_offset = f.queue_offset
WHERE k.queue_offset > c.counted_queue_offset
