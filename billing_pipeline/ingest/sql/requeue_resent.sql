-- The records that were sent again, each with the record that did it.
-- raw: the log from the first refused record on.
SELECT requeued_offset, max(queue_offset) AS queue_offset, max(receipt_day) AS receipt_day
FROM raw
WHERE requeued_offset IS NOT NULL
GROUP BY requeued_offset
