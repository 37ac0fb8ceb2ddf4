-- Of the identities that never expire the ones received on these days.
SELECT DISTINCT l.key_hash
FROM lasting_keys AS l
WHERE l.key_hash IN (SELECT key_hash FROM day_keys)
