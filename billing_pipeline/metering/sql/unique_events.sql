-- The usage events that count, a row for each payer.
-- split_parts: of split events each payer's part.
WITH counted AS (
    SELECT v.*
    FROM valid AS v
    LEFT JOIN redelivered AS r ON v.queue_offset = r.queue_offset
    WHERE v.kind = 'usage' AND r.queue_offset IS NULL
)

SELECT
    c.*,
    CAST(0 AS BIGINT) AS allocation_index,
    CAST(1 AS DECIMAL(38, 9)) AS event_share
FROM counted AS c
WHERE c.allocations IS NULL
UNION ALL
SELECT
    c.* REPLACE (p.customer_id AS customer_id, p.project_id AS project_id, p.quantity AS quantity),
    p.allocation_index AS allocation_index,
    p.event_share AS event_share
FROM counted AS c
INNER JOIN split_parts AS p ON c.queue_offset = p.queue_offset
