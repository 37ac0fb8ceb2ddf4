-- Where the invoice lines of a day do not bill exactly what its charges book.
SELECT period_end_day, customer_id, currency, charged_minor, billed_minor
FROM booked_and_billed
WHERE charged_minor <> billed_minor OR charges_ <> lines_
ORDER BY period_end_day, customer_id, currency
