-- Usage that no meter takes, over all postings: what a correction has taken back is gone.
SELECT
    customer_id,
    usage_day,
    project_id,
    unit,
    dimensions,
    rule_version,
    CAST(sum(quantity) AS DECIMAL(38, 9)) AS quantity
FROM unmetered
GROUP BY customer_id, usage_day, project_id, unit, dimensions, rule_version
HAVING sum(quantity) <> 0 OR sum(event_count) <> 0
