-- Billable events of a usage day, of the customers whom the guard knows: alike ones counted together, and whether the
-- guard sent them, or they came after the day had closed.
SELECT
    e.customer_id,
    e.project_id,
    e.unit,
    e.quantity,
    e.dimensions,
    e.rule_version,
    CASE
        WHEN g.id IS NOT NULL THEN 'guarded'
        WHEN e.posting_day > e.usage_day THEN 'late'
        ELSE 'unguarded'
    END AS kind,
    count(*) AS events
FROM unique_events AS e
INNER JOIN invoiced AS i ON e.customer_id = i.customer_id
INNER JOIN usage_days AS d ON e.usage_day = d.usage_day
LEFT JOIN guard_events AS g ON e.source = g.source AND e.id = g.id
WHERE e.billable
GROUP BY
    e.customer_id, e.project_id, e.unit, e.quantity, e.dimensions, e.rule_version,
    CASE
        WHEN g.id IS NOT NULL THEN 'guarded'
        WHEN e.posting_day > e.usage_day THEN 'late'
        ELSE 'unguarded'
    END
UNION ALL
SELECT
    c.customer_id,
    c.project_id,
    c.unit,
    c.quantity,
    c.dimensions,
    c.rule_version,
    CASE WHEN c.sign < 0 THEN 'taken_back' ELSE 'put_in_place' END AS kind,
    count(*) AS events
FROM corrections AS c
INNER JOIN invoiced AS i ON c.customer_id = i.customer_id
INNER JOIN usage_days AS d ON c.usage_day = d.usage_day
WHERE c.sign <> 0 AND c.billable
GROUP BY
    c.customer_id, c.project_id, c.unit, c.quantity, c.dimensions, c.rule_version,
    CASE WHEN c.sign < 0 THEN 'taken_back' ELSE 'put_in_place' END
