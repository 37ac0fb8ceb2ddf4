-- The usage events that count. (One payer each: allocation_index 0.)
SELECT v.*, CAST(0 AS BIGINT) AS allocation_index
FROM valid AS v
WHERE v.kind = 'usage'
    AND v.queue_offset NOT IN (SELECT queue_offset FROM redelivered)
