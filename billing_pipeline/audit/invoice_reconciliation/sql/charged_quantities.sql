-- Per usage period and group of usage: what is metered of it, and what its line keys are charged for, as their last row
-- says. usage_periods: which to compare; rollups: posted up to the invoice period's end; charged: invoices up to it.
WITH metered AS (
    SELECT
        p.customer_id, p.usage_period, r.project_id, r.meter, r.unit, r.dimensions, r.rule_version,
        CAST(sum(r.quantity) AS DECIMAL(38, 9)) AS quantity
    FROM rollups AS r
    INNER JOIN usage_periods AS p
        ON r.customer_id = p.customer_id AND r.usage_day >= p.usage_period AND r.usage_day <= p.last_day
    GROUP BY p.customer_id, p.usage_period, r.project_id, r.meter, r.unit, r.dimensions, r.rule_version
),

by_key AS (
    SELECT
        c.customer_id, c.usage_period, c.project_id, c.meter, c.unit, c.dimensions, c.rule_version, c.plan, c.charge,
        c.term, c.currency, max_by(c.quantity, c.period_end_day) AS quantity
    FROM charged AS c
    INNER JOIN usage_periods AS p ON c.customer_id = p.customer_id AND c.usage_period = p.usage_period
    WHERE c.component = 'usage'
    GROUP BY
        c.customer_id, c.usage_period, c.project_id, c.meter, c.unit, c.dimensions, c.rule_version, c.plan, c.charge,
        c.term, c.currency
),

by_group AS (
    SELECT
        customer_id, usage_period, project_id, meter, unit, dimensions, rule_version,
        CAST(sum(quantity) AS DECIMAL(38, 9)) AS quantity, max(term) AS last_term, min(term) AS first_term
    FROM by_key
    GROUP BY customer_id, usage_period, project_id, meter, unit, dimensions, rule_version
)

SELECT
    coalesce(m.customer_id, c.customer_id) AS customer_id,
    coalesce(m.usage_period, c.usage_period) AS usage_period,
    coalesce(m.project_id, c.project_id) AS project_id,
    coalesce(m.meter, c.meter) AS meter,
    coalesce(m.unit, c.unit) AS unit,
    coalesce(m.dimensions, c.dimensions) AS dimensions,
    coalesce(m.rule_version, c.rule_version) AS rule_version,
    CAST(coalesce(m.quantity, 0) AS DECIMAL(38, 9)) AS metered,
    CAST(coalesce(c.quantity, 0) AS DECIMAL(38, 9)) AS charged,
    coalesce(c.first_term = 'trial' AND c.last_term = 'trial', false) AS in_trial
FROM metered AS m
FULL OUTER JOIN by_group AS c
    ON m.customer_id = c.customer_id AND m.usage_period = c.usage_period AND m.project_id = c.project_id
    AND m.meter = c.meter AND m.unit = c.unit AND m.dimensions = c.dimensions AND m.rule_version = c.rule_version
