-- Of the identities that never expire (those of corrections and of what they correct) the ones received on these days.
SELECT DISTINCT l.key_hash
FROM lasting_keys AS l
WHERE l.key_hash IN (SELECT key_hash FROM day_keys)
