-- The records of a stretch of the log, as rows of raw_usage_events, each in its receipt day.
-- days: the receipt days they can fall into, with their bounds in microseconds.
SELECT
    d.day AS receipt_day,
    r.* REPLACE (
        make_timestamptz(r.received_at) AS received_at,
        make_timestamptz(r.first_received_at) AS first_received_at,
        make_timestamptz(r.occurred_at) AS occurred_at,
        make_timestamptz(r.emitted_at) AS emitted_at,
        make_timestamptz(r.effective_from) AS effective_from
    )
FROM (
    SELECT * FROM landed_records
    UNION ALL BY NAME
    SELECT * FROM landed_plain
) AS r
INNER JOIN days AS d ON r.received_at >= d.opens_at AND r.received_at < d.closes_at
