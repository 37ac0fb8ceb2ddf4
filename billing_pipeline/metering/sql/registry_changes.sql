-- The control records of the log.
SELECT receipt_day, queue_offset, received_at, entity, entity_id, change, effective_from, details
FROM raw
WHERE kind = 'control'
