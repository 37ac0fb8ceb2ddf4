-- The parts of the split events of a receipt day, as they were made when the events were received.
SELECT
    s.queue_offset,
    s.part.allocation_index AS allocation_index,
    s.part.customer_id AS customer_id,
    s.part.project_id AS project_id,
    s.part.quantity AS quantity,
    s.part.event_share AS event_share
FROM (
    SELECT v.queue_offset, unnest(payer_parts(v.allocations)) AS part
    FROM valid AS v
    WHERE v.kind = 'usage' AND v.allocations IS NOT NULL
) AS s
