-- The offsets that are rejected, narrow, so that payloads are read for these alone.
-- customers: the registry by offset. A project is unknown also where its customer is; that is the reason then.
-- payer_faults: of a split event that is rejected for a payer, which one, and why.
SELECT
    c.queue_offset,
    CASE
        WHEN c.rejected_as = 'payer' THEN f.rejected_as
        WHEN c.rejected_as = 'unknown_project' AND k.customer_id IS NULL THEN 'unknown_customer'
        ELSE c.rejected_as
    END AS rejected_as,
    CASE WHEN c.rejected_as = 'payer' THEN f.field END AS payer_field,
    CASE WHEN c.rejected_as = 'payer' THEN f.value END AS payer_value
FROM classified AS c
LEFT JOIN customers AS k
    ON c.customer_id = k.customer_id
    AND c.queue_offset > k.from_offset
    AND c.queue_offset <= k.until_offset
LEFT JOIN payer_faults AS f ON c.queue_offset = f.queue_offset
WHERE c.rejected_as IS NOT NULL
