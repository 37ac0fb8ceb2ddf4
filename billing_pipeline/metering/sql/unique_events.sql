-- The usage events that count, a row for each payer: a split event's parts were made when it was received.
WITH counted AS (
    SELECT v.*
    FROM valid AS v
    LEFT JOIN redelivered AS r ON v.queue_offset = r.queue_offset
    WHERE v.kind = 'usage' AND r.queue_offset IS NULL
),

parts AS (
    SELECT c.queue_offset, unnest(payer_parts(c.allocations)) AS part
    FROM counted AS c
    WHERE c.allocations IS NOT NULL
)

SELECT
    c.*,
    CAST(0 AS BIGINT) AS allocation_index,
    CAST(1 AS DECIMAL(38, 9)) AS event_share
FROM counted AS c
WHERE c.allocations IS NULL
UNION ALL
SELECT
    c.* REPLACE (p.part.customer_id AS customer_id, p.part.project_id AS project_id, p.part.quantity AS quantity),
    p.part.allocation_index AS allocation_index,
    p.part.event_share AS event_share
FROM counted AS c
INNER JOIN parts AS p ON c.queue_offset = p.queue_offset
