-- What one meter that looks at usage days as a whole changes on some posting days, per customer: the quantity over all
-- effective events posted so far, less that over those posted before. Unlike the rollups it knows no order of events,
-- no versions and no marginal changes.
-- meter_rows: everything posted for the usage days that the meter takes; chosen_days: the posting days.
WITH touched AS (
    SELECT DISTINCT posting_day, usage_day, customer_id, project_id, unit, group_text
    FROM meter_rows
    WHERE posting_day IN (SELECT posting_day FROM chosen_days)
),

states AS (
    SELECT 'before' AS state UNION ALL SELECT 'now' AS state
),

effective AS (
    SELECT
        t.posting_day, s.state, r.usage_day, r.customer_id, r.project_id, r.unit, r.group_text, r.occurred_at, r.source,
        r.id, r.allocation_index, r.quantity, r.value, r.is_weighted
    FROM touched AS t
    INNER JOIN meter_rows AS r
        ON t.usage_day = r.usage_day
        AND t.customer_id = r.customer_id
        AND t.project_id = r.project_id
        AND t.unit = r.unit
        AND t.group_text = r.group_text
    CROSS JOIN states AS s
    WHERE r.posting_day < t.posting_day OR (s.state = 'now' AND r.posting_day = t.posting_day)
    GROUP BY
        t.posting_day, s.state, r.usage_day, r.customer_id, r.project_id, r.unit, r.group_text, r.occurred_at, r.source,
        r.id, r.allocation_index, r.quantity, r.value, r.is_weighted
    HAVING sum(r.sign) > 0
),

followed AS (
    SELECT
        e.*,
        lead(epoch_us(e.occurred_at)) OVER (
            PARTITION BY
                e.posting_day, e.state, e.usage_day, e.customer_id, e.project_id, e.unit, e.group_text
            ORDER BY
                e.occurred_at ASC NULLS FIRST, e.source ASC NULLS FIRST, e.id ASC NULLS FIRST,
                e.allocation_index ASC NULLS FIRST
        ) AS until_us
    FROM effective AS e
),

whole AS (
    SELECT
        f.posting_day,
        f.state,
        f.customer_id,
        f.usage_day,
        count(*) AS events,
        max(f.quantity) AS max_quantity,
        max(CASE WHEN f.until_us IS NULL THEN f.quantity END) AS latest_quantity,
        count(DISTINCT f.value) AS values_found,
        sum(
            CASE
                WHEN f.is_weighted
                    THEN CAST(f.quantity AS DECIMAL(26, 9)) * CAST(
                        coalesce(f.until_us, d.ends_at_us) - epoch_us(f.occurred_at) AS DECIMAL(11, 0)
                    )
            END
        ) AS quantity_microseconds
    FROM followed AS f
    INNER JOIN usage_days AS d ON f.usage_day = d.usage_day
    GROUP BY f.posting_day, f.state, f.usage_day, f.customer_id, f.project_id, f.unit, f.group_text
)

SELECT posting_day, customer_id, usage_day, state, events, max_quantity, latest_quantity, values_found, quantity_microseconds FROM whole
