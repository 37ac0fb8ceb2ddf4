-- Usage periods that an earlier invoice should have rated and could not, and that none has rated since.
SELECT DISTINCT b.customer_id, b.usage_period
FROM blocked AS b
LEFT JOIN charged AS c
    ON b.customer_id = c.customer_id
    AND b.usage_period = c.usage_period
    AND c.period_end_day > b.period_end_day
WHERE c.customer_id IS NULL
