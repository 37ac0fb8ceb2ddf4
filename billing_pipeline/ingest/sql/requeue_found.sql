-- Every record refused by the code asked for: which one it is of those to be sent again, or why it is not sent.
-- asked: the code, and how many may be sent; rejected, corrections: what was refused; resent: what was sent again, by
-- which record; later_valid, later_rejected: what was decided on the days of those.
WITH refused AS (
    SELECT r.receipt_day, r.queue_offset, 'rejected_usage_events' AS found_in
    FROM rejected AS r
    INNER JOIN asked AS a ON r.reason_code = a.reason_code
    UNION ALL
    SELECT c.receipt_day, c.queue_offset, 'usage_corrections' AS found_in
    FROM corrections AS c
    INNER JOIN asked AS a ON c.outcome = a.reason_code
),

decided AS (
    SELECT queue_offset FROM later_valid
    UNION ALL
    SELECT queue_offset FROM later_rejected
),

judged AS (
    SELECT
        f.receipt_day,
        f.queue_offset,
        f.found_in,
        CASE
            WHEN a.reason_code = 'record_too_large' THEN 'cut_off'
            WHEN s.queue_offset IS NULL THEN NULL
            WHEN s.queue_offset IN (SELECT queue_offset FROM decided) THEN 'decided'
            ELSE 'undecided'
        END AS skipped_as
    FROM refused AS f
    CROSS JOIN asked AS a
    LEFT JOIN resent AS s ON f.queue_offset = s.requeued_offset
),

numbered AS (
    SELECT
        receipt_day,
        queue_offset,
        found_in,
        skipped_as,
        row_number() OVER (PARTITION BY skipped_as IS NULL ORDER BY queue_offset) AS place
    FROM judged
)

SELECT
    n.receipt_day,
    n.queue_offset,
    n.found_in,
    CASE WHEN n.skipped_as IS NULL AND n.place > a.records_most THEN 'beyond_limit' ELSE n.skipped_as END AS skipped_as,
    CASE WHEN n.skipped_as IS NULL AND n.place <= a.records_most THEN n.place END AS place
FROM numbered AS n
CROSS JOIN asked AS a
