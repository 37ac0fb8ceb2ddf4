-- What an invoice line may rest on: billable bookings of its payer, unit, rule version and usage days, posted by the end
-- of its invoice period. Whether its meter takes them is asked of the rule book (line_dimensions).
SELECT b.*
FROM bookings AS b
INNER JOIN line_key AS k
    ON b.customer_id = k.customer_id
    AND b.project_id = k.project_id
    AND b.unit = k.unit
    AND b.rule_version = k.rule_version
    AND b.posting_day <= k.period_end_day
INNER JOIN line_days AS d ON b.usage_day = d.usage_day
WHERE b.billable AND b.event_share > 0
