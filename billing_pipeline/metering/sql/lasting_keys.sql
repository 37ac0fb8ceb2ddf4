-- Identities that never expire: corrections and what they correct, from the day on which a correction first named it;
-- records that were sent again, from that day on, as they come when the late window of their usage is long over.
SELECT key_hash, min(receipt_day) AS since
FROM (
    SELECT key_hash, receipt_day FROM correction_keys
    UNION ALL
    SELECT corrects_key_hash AS key_hash, receipt_day FROM correction_keys
    UNION ALL
    SELECT key_hash, receipt_day FROM raw WHERE requeued_offset IS NOT NULL AND key_hash IS NOT NULL
) AS named
GROUP BY key_hash
