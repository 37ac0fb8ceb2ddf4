-- When usage of each day of some customers was posted first.
SELECT p.customer_id, p.usage_day, min(p.posting_day) AS first_posting_day
FROM (
    SELECT customer_id, usage_day, posting_day FROM rollups
    UNION ALL
    SELECT customer_id, usage_day, posting_day FROM unmetered
) AS p
INNER JOIN invoiced AS i ON p.customer_id = i.customer_id
GROUP BY p.customer_id, p.usage_day
