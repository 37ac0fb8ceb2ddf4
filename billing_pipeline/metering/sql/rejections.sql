-- The offsets that are rejected, narrow, so that payloads are read for these alone.
SELECT queue_offset, rejected_as
FROM classified
WHERE rejected_as IS NOT NULL
