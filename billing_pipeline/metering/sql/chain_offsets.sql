-- Where the records of those keys lie.
SELECT receipt_day, queue_offset
FROM event_keys
WHERE key_hash IN (SELECT key_hash FROM chain_keys)
