-- Every usage event, correction and invalid record of a receipt day, with the reason it is rejected for, if any.
-- The first reason that holds is the one that counts; a registry entry is visible to higher offsets only.
-- raw: the day's log; calendar: usage days with the rule version in force; projects: the registry by offset;
-- units: what each rule version knows; payer_faults: split events with a payer who may not be charged.
-- (rejections.sql tells an unknown customer from an unknown project, and which payer is meant.)
SELECT
    r.*,
    c.rule_version,
    CAST(r.occurred_at AS DATE) AS usage_day,
    CASE
        WHEN r.kind = 'invalid' THEN r.fault_code
        WHEN r.occurred_at > r.received_at + INTERVAL 5 MINUTE THEN 'future_time'
        WHEN r.kind = 'correction' THEN NULL
        WHEN c.rule_version IS NULL THEN 'no_rules_in_force'
        WHEN coalesce(r.first_received_at, r.received_at) >= c.too_late_at THEN 'too_late'
        WHEN p.project_id IS NULL THEN 'unknown_project'
        WHEN r.occurred_at >= p.customer_closed_at THEN 'customer_closed'
        WHEN r.occurred_at >= p.project_closed_at THEN 'project_closed'
        WHEN f.rejected_as IS NOT NULL THEN 'payer'
        WHEN u.unit IS NULL THEN 'unknown_unit'
    END AS rejected_as
FROM raw AS r
LEFT JOIN calendar AS c
    ON CAST(r.occurred_at AS DATE) = c.usage_day
    AND r.occurred_at >= c.starts_at
    AND r.occurred_at < c.ends_at
LEFT JOIN projects AS p
    ON r.customer_id = p.customer_id
    AND r.project_id = p.project_id
    AND r.queue_offset > p.from_offset
    AND r.queue_offset <= p.until_offset
LEFT JOIN units AS u
    ON c.rule_version = u.rule_version
    AND r.unit = u.unit
LEFT JOIN payer_faults AS f ON r.queue_offset = f.queue_offset
WHERE r.kind <> 'control'
