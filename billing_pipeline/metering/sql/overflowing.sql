-- Where quantities have grown too large to be added up: sums of whole parts alone, largest first, with the largest event.
WITH sums AS (
    SELECT
        posting_day,
        rule_version,
        customer_id,
        project_id,
        unit,
        sum(floor(quantity)) AS whole_sum,
        max(quantity) AS largest
    FROM unique_events
    WHERE billable AND posting_day IN (SELECT posting_day FROM posting_days)
    GROUP BY posting_day, rule_version, customer_id, project_id, unit
)

SELECT s.posting_day, s.rule_version, s.customer_id, s.project_id, s.unit, e.source, e.id
FROM sums AS s
INNER JOIN unique_events AS e
    ON s.posting_day = e.posting_day
    AND s.rule_version = e.rule_version
    AND s.customer_id = e.customer_id
    AND s.project_id = e.project_id
    AND s.unit = e.unit
    AND s.largest = e.quantity
ORDER BY s.whole_sum DESC NULLS LAST, e.queue_offset ASC NULLS FIRST
LIMIT 1
