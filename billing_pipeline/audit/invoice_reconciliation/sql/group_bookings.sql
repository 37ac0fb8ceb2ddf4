-- Of the groups whose quantities differ: each line key's last row.
SELECT
    g.customer_id, g.usage_period, g.project_id, g.meter, g.unit, g.dimensions, g.rule_version, c.plan, c.charge,
    c.term, max(c.period_end_day) AS as_of
FROM charged AS c
INNER JOIN differing AS g
    ON c.customer_id = g.customer_id AND c.usage_period = g.usage_period AND c.project_id = g.project_id
    AND c.meter = g.meter AND c.unit = g.unit AND c.dimensions = g.dimensions AND c.rule_version = g.rule_version
WHERE c.component = 'usage'
GROUP BY
    g.customer_id, g.usage_period, g.project_id, g.meter, g.unit, g.dimensions, g.rule_version, c.plan, c.charge,
    c.term
