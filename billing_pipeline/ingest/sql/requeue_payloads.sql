-- The bytes to be sent again of one receipt day, in the order of the log, with their first receipt time.
-- raw: the day's log; found: what is to be sent, by its place.
SELECT
    f.place,
    r.queue_offset,
    coalesce(r.first_received_at, r.received_at) AS first_received_at,
    r.payload
FROM raw AS r
INNER JOIN found AS f ON r.queue_offset = f.queue_offset
WHERE f.place IS NOT NULL
ORDER BY f.place
