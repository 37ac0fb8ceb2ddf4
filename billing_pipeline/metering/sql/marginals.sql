-- What each effective event changes, in the order (occurred_at, source, id): its part of the group's quantity, which
-- belongs to its own rule version. The parts add up to the quantity of the group.
-- usage_days: with the microsecond at which each ends. A level holds until the next event of its group, or the day's end.
WITH seconds AS (
    SELECT
        g.*,
        CAST(
            CAST(
                lead(epoch_us(g.occurred_at), 1, d.ends_at_us) OVER (
                    PARTITION BY
                        g.posting_day, g.state, g.usage_day, g.customer_id, g.project_id, g.meter, g.aggregation,
                        g.distinct_field, g.unit, g.dimensions
                    ORDER BY
                        g.occurred_at ASC NULLS FIRST, g.source ASC NULLS FIRST, g.id ASC NULLS FIRST,
                        g.allocation_index ASC NULLS FIRST
                ) - epoch_us(g.occurred_at)
                AS DECIMAL(11, 0)
            ) * CAST(0.000001 AS DECIMAL(6, 6))
            AS DECIMAL(11, 6)
        ) AS held_seconds,
        row_number() OVER (
            PARTITION BY
                g.posting_day, g.state, g.usage_day, g.customer_id, g.project_id, g.meter, g.aggregation,
                g.distinct_field, g.unit, g.dimensions, g.distinct_value
            ORDER BY
                g.occurred_at ASC NULLS FIRST, g.source ASC NULLS FIRST, g.id ASC NULLS FIRST,
                g.allocation_index ASC NULLS FIRST
        ) AS place_of_value
    FROM group_states AS g
    INNER JOIN usage_days AS d ON g.usage_day = d.usage_day
),

-- The quantity of the group up to and with each event. A time-weighted sum has 15 fractional digits; taking half of the
-- ninth away before rounding to it cuts the rest off.
running AS (
    SELECT
        s.*,
        CASE s.aggregation
            WHEN 'max' THEN max(s.quantity) OVER so_far
            WHEN 'latest' THEN s.quantity
            WHEN 'unique_count' THEN CAST(
                sum(CASE WHEN s.distinct_value IS NOT NULL AND s.place_of_value = 1 THEN 1 ELSE 0 END) OVER so_far
                AS DECIMAL(38, 9)
            )
            ELSE greatest(
                CAST(0 AS DECIMAL(38, 9)),
                CAST(
                    CAST(
                        sum(
                            CASE
                                WHEN s.aggregation = 'time_weighted_sum'
                                    THEN CAST(s.quantity AS DECIMAL(26, 9)) * s.held_seconds
                            END
                        ) OVER so_far
                        AS DECIMAL(38, 15)
                    ) - CAST(0.0000000005 AS DECIMAL(15, 15))
                    AS DECIMAL(38, 9)
                )
            )
        END AS quantity_so_far
    FROM seconds AS s
    WINDOW so_far AS (
        PARTITION BY
            s.posting_day, s.state, s.usage_day, s.customer_id, s.project_id, s.meter, s.aggregation,
            s.distinct_field, s.unit, s.dimensions
        ORDER BY
            s.occurred_at ASC NULLS FIRST, s.source ASC NULLS FIRST, s.id ASC NULLS FIRST,
            s.allocation_index ASC NULLS FIRST
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)

SELECT
    r.posting_day,
    r.state,
    r.usage_day,
    r.rule_version,
    r.customer_id,
    r.project_id,
    r.meter,
    r.unit,
    r.dimensions,
    r.quantity_so_far - lag(r.quantity_so_far, 1, CAST(0 AS DECIMAL(38, 9))) OVER (
        PARTITION BY
            r.posting_day, r.state, r.usage_day, r.customer_id, r.project_id, r.meter, r.aggregation,
            r.distinct_field, r.unit, r.dimensions
        ORDER BY
            r.occurred_at ASC NULLS FIRST, r.source ASC NULLS FIRST, r.id ASC NULLS FIRST,
            r.allocation_index ASC NULLS FIRST
    ) AS quantity
FROM running AS r
