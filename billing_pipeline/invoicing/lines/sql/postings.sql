-- Which usage days were posted when, by customer: what tells the usage periods an invoice has to rate.
SELECT DISTINCT customer_id, posting_day, usage_day FROM rollups
UNION
SELECT DISTINCT customer_id, posting_day, usage_day FROM unmetered
