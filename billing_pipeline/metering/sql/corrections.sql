-- Corrections, each once.
SELECT v.*, 'stored' AS outcome
FROM valid AS v
WHERE v.kind = 'correction'
    AND v.queue_offset NOT IN (SELECT queue_offset FROM redelivered)
