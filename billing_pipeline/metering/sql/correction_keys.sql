-- Of each valid correction its own key and the key of what it corrects.
SELECT receipt_day, queue_offset, key_hash, payload_digest, corrects_key_hash
FROM valid_written
WHERE kind = 'correction'
