-- Of each valid correction its own key and the key of what it corrects.
SELECT receipt_day, queue_offset, key_hash, source, id, corrects_key_hash, corrects_source, corrects_id
FROM valid_written
WHERE kind = 'correction'
