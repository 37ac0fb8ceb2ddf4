-- Every record, of these days and of the past, whose key hash was received more than once.
-- Identity is decided on exact keys afterwards; a hash only says where to look.
-- day_keys: these days; history_keys: the days before within the dedup window; older_keys: those before it, where only
-- identities that never expire (lasting_keys) are looked up.
WITH hashes AS (
    SELECT key_hash FROM day_keys GROUP BY key_hash HAVING count(*) > 1
    UNION
    SELECT h.key_hash FROM history_keys AS h WHERE h.key_hash IN (SELECT key_hash FROM day_keys)
    UNION
    SELECT o.key_hash FROM older_keys AS o WHERE o.key_hash IN (SELECT key_hash FROM lasting_repeats)
)

SELECT receipt_day, queue_offset, key_hash, payload_digest
FROM day_keys
WHERE key_hash IN (SELECT key_hash FROM hashes)
UNION ALL
SELECT receipt_day, queue_offset, key_hash, payload_digest
FROM history_keys
WHERE key_hash IN (SELECT key_hash FROM hashes)
UNION ALL
SELECT receipt_day, queue_offset, key_hash, payload_digest
FROM older_keys
WHERE key_hash IN (SELECT key_hash FROM lasting_repeats)
