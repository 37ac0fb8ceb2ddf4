-- Identities that never expire, each from the day on which a correction first named it: corrections and what they
-- correct.
SELECT key_hash, min(receipt_day) AS since
FROM (
    SELECT key_hash, receipt_day FROM correction_keys
    UNION ALL
    SELECT corrects_key_hash AS key_hash, receipt_day FROM correction_keys
) AS named
GROUP BY key_hash
