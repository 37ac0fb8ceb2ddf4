-- Every record of a receipt day is a control record, valid or rejected; every valid one counted, repeated or a
-- correction. Counts and sums of offsets must agree: no record is lost, none stands twice.
WITH raw_total AS (
    SELECT receipt_day, count(*) AS records, sum(queue_offset) AS offsets FROM raw GROUP BY receipt_day
),

sorted AS (
    SELECT receipt_day, queue_offset FROM registry_changes
    UNION ALL
    SELECT receipt_day, queue_offset FROM valid
    UNION ALL
    SELECT receipt_day, queue_offset FROM rejected
),

sorted_total AS (
    SELECT receipt_day, count(*) AS records, sum(queue_offset) AS offsets FROM sorted GROUP BY receipt_day
),

valid_total AS (
    SELECT receipt_day, count(*) AS records, sum(queue_offset) AS offsets FROM valid GROUP BY receipt_day
),

settled AS (
    SELECT receipt_day, queue_offset FROM unique_events WHERE allocation_index = 0
    UNION ALL
    SELECT receipt_day, queue_offset FROM duplicate_events
    UNION ALL
    SELECT DISTINCT receipt_day, queue_offset FROM corrections
),

settled_total AS (
    SELECT receipt_day, count(*) AS records, sum(queue_offset) AS offsets FROM settled GROUP BY receipt_day
)

SELECT
    coalesce(r.receipt_day, s.receipt_day) AS receipt_day,
    'raw = control + valid + rejected' AS law,
    coalesce(r.records, 0) AS expected,
    coalesce(s.records, 0) AS found
FROM raw_total AS r
FULL OUTER JOIN sorted_total AS s ON r.receipt_day = s.receipt_day
WHERE r.records IS DISTINCT FROM s.records OR r.offsets IS DISTINCT FROM s.offsets
UNION ALL
SELECT
    coalesce(v.receipt_day, t.receipt_day) AS receipt_day,
    'valid = counted + duplicate + conflict + corrections' AS law,
    coalesce(v.records, 0) AS expected,
    coalesce(t.records, 0) AS found
FROM valid_total AS v
FULL OUTER JOIN settled_total AS t ON v.receipt_day = t.receipt_day
WHERE v.records IS DISTINCT FROM t.records OR v.offsets IS DISTINCT FROM t.offsets
ORDER BY receipt_day, law
