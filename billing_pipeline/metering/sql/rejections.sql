-- The offsets that are rejected, narrow, so that payloads are read for these alone.
-- customers: the registry by offset. A project is unknown also where its customer is; that is the reason then.
SELECT
    c.queue_offset,
    CASE
        WHEN c.rejected_as = 'unknown_project' AND k.customer_id IS NULL THEN 'unknown_customer'
        ELSE c.rejected_as
    END AS rejected_as
FROM classified AS c
LEFT JOIN customers AS k
    ON c.customer_id = k.customer_id
    AND c.queue_offset > k.from_offset
    AND c.queue_offset <= k.until_offset
WHERE c.rejected_as IS NOT NULL
