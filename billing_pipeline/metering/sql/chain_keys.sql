-- Keys of all records it takes to judge the corrections of some days: every correction of the same events, whenever it
-- came, and what they correct. windows: the days; all_correction_keys: up to the last of them.
WITH chain AS (
    SELECT key_hash, corrects_key_hash
    FROM all_correction_keys
    WHERE corrects_key_hash IN (
        SELECT corrects_key_hash FROM all_correction_keys WHERE receipt_day IN (SELECT receipt_day FROM windows)
    )
)

SELECT key_hash FROM chain
UNION
SELECT corrects_key_hash AS key_hash FROM chain
