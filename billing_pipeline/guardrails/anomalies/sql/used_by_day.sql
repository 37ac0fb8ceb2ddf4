-- What each customer and project used of each meter on each day, as it was booked on that day.
SELECT customer_id, project_id, meter, unit, posting_day, CAST(sum(quantity) AS DECIMAL(38,9)) AS quantity
FROM rollups
WHERE kind = 'on_time'
GROUP BY customer_id, project_id, meter, unit, posting_day
ORDER BY customer_id, project_id, meter, unit, posting_day
