-- Split events of a receipt day with a payer who may not be charged: the first such payer, in listed order.
-- raw: the day's log; customers, projects: the registry by offset.
WITH payers AS (
    SELECT r.queue_offset, r.occurred_at, unnest(payer_parts(r.allocations)) AS part
    FROM raw AS r
    WHERE r.kind = 'usage' AND r.allocations IS NOT NULL
),

judged AS (
    SELECT
        a.queue_offset,
        a.part.allocation_index AS allocation_index,
        a.part.customer_id AS customer_id,
        a.part.project_id AS project_id,
        CASE
            WHEN k.customer_id IS NULL THEN 'unknown_customer'
            WHEN p.project_id IS NULL THEN 'unknown_project'
            WHEN a.occurred_at >= p.customer_closed_at THEN 'customer_closed'
            WHEN a.occurred_at >= p.project_closed_at THEN 'project_closed'
        END AS rejected_as
    FROM payers AS a
    LEFT JOIN customers AS k
        ON a.part.customer_id = k.customer_id
        AND a.queue_offset > k.from_offset
        AND a.queue_offset <= k.until_offset
    LEFT JOIN projects AS p
        ON a.part.customer_id = p.customer_id
        AND a.part.project_id = p.project_id
        AND a.queue_offset > p.from_offset
        AND a.queue_offset <= p.until_offset
),

ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY queue_offset ORDER BY allocation_index ASC NULLS FIRST) AS place
    FROM judged
    WHERE rejected_as IS NOT NULL
)

SELECT
    queue_offset,
    rejected_as,
    CASE
        WHEN rejected_as IN ('unknown_customer', 'customer_closed')
            THEN 'allocations[' || CAST(allocation_index AS VARCHAR) || '].customer_id'
        ELSE 'allocations[' || CAST(allocation_index AS VARCHAR) || '].project_id'
    END AS field,
    CASE WHEN rejected_as IN ('unknown_customer', 'customer_closed') THEN customer_id ELSE project_id END AS value
FROM ranked
WHERE place = 1
