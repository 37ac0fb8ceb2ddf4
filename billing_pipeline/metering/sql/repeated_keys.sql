-- Every record, of these days and of all history, whose key hash was received more than once.
-- Identity is decided on exact keys afterwards; a hash only says where to look.
WITH hashes AS (
    SELECT key_hash FROM day_keys GROUP BY key_hash HAVING count(*) > 1
    UNION
    SELECT h.key_hash FROM history_keys AS h WHERE h.key_hash IN (SELECT key_hash FROM day_keys)
)

SELECT receipt_day, queue_offset, payload_digest FROM day_keys WHERE key_hash IN (SELECT key_hash FROM hashes)
UNION ALL
SELECT receipt_day, queue_offset, payload_digest FROM history_keys WHERE key_hash IN (SELECT key_hash FROM hashes)
