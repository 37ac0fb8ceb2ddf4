-- Of the identities that corrections are about, those that were sent again, each since when.
SELECT source, id, min(receipt_day) AS since
FROM raw
WHERE requeued_offset IS NOT NULL AND key_hash IN (SELECT key_hash FROM chain_keys)
GROUP BY source, id
