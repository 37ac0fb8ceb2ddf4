-- Of the groups whose quantities differ: what was used when, and when it was posted.
SELECT
    g.customer_id, g.usage_period, g.project_id, g.meter, g.unit, g.dimensions, g.rule_version, r.usage_day,
    r.posting_day, CAST(sum(r.quantity) AS DECIMAL(38, 9)) AS quantity
FROM rollups AS r
INNER JOIN differing AS g
    ON r.customer_id = g.customer_id AND r.project_id = g.project_id AND r.meter = g.meter AND r.unit = g.unit
    AND r.dimensions = g.dimensions AND r.rule_version = g.rule_version
    AND r.usage_day >= g.usage_period AND r.usage_day <= g.last_day
GROUP BY
    g.customer_id, g.usage_period, g.project_id, g.meter, g.unit, g.dimensions, g.rule_version, r.usage_day,
    r.posting_day
