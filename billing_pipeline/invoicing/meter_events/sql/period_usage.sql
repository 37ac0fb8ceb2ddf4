-- Usage of the running invoice periods of some customers by usage day: all that is posted, and that before a day.
-- due: the customers, where their period starts, and whether all of their usage days are wanted. today: the posting day.
-- Of the others just the usage days that something is posted on today are wanted, unless a quantity has a fraction:
-- what is left of it goes on to the next usage day.
WITH in_period AS (
    SELECT
        r.customer_id, r.meter, r.dimensions, r.usage_day, r.rule_version, r.posting_day, r.quantity,
        d.is_whole OR r.quantity <> floor(r.quantity) AS is_whole
    FROM rollups AS r
    INNER JOIN due AS d ON r.customer_id = d.customer_id
    WHERE r.usage_day >= d.period_start
),

whole AS (
    SELECT DISTINCT customer_id FROM in_period WHERE is_whole
),

posted_today AS (
    SELECT DISTINCT p.customer_id, p.usage_day
    FROM in_period AS p
    INNER JOIN today AS t ON p.posting_day = t.posting_day
),

wanted AS (
    SELECT customer_id, usage_day FROM posted_today
    UNION
    SELECT DISTINCT p.customer_id, p.usage_day
    FROM in_period AS p
    INNER JOIN whole AS w ON p.customer_id = w.customer_id
)

SELECT
    p.customer_id,
    p.meter,
    p.dimensions,
    p.usage_day,
    p.rule_version,
    CAST(sum(CASE WHEN p.posting_day < t.posting_day THEN p.quantity ELSE 0 END) AS DECIMAL(38, 9)) AS before,
    CAST(sum(p.quantity) AS DECIMAL(38, 9)) AS after
FROM in_period AS p
INNER JOIN wanted AS w ON p.customer_id = w.customer_id AND p.usage_day = w.usage_day
CROSS JOIN today AS t
GROUP BY p.customer_id, p.meter, p.dimensions, p.usage_day, p.rule_version
