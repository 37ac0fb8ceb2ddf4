-- Billable usage summed before meters are looked at: by customer, project, unit and all dimensions.
SELECT
    posting_day,
    rule_version,
    usage_day,
    customer_id,
    project_id,
    unit,
    dimensions,
    CAST(sum(quantity) AS DECIMAL(38, 9)) AS quantity,
    count(*) AS event_count
FROM unique_events
WHERE billable AND posting_day IN (SELECT posting_day FROM posting_days)
GROUP BY posting_day, rule_version, usage_day, customer_id, project_id, unit, dimensions
