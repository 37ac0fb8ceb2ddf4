-- Rejected records with field, value and what to do.
SELECT
    r.receipt_day,
    r.queue_offset,
    r.received_at,
    x.rejected_as AS reason_code,
    coalesce(x.payer_field, CASE x.rejected_as
        WHEN 'future_time' THEN 'occurred_at'
        WHEN 'no_rules_in_force' THEN 'occurred_at'
        WHEN 'too_late' THEN 'occurred_at'
        WHEN 'unknown_customer' THEN 'customer_id'
        WHEN 'customer_closed' THEN 'customer_id'
        WHEN 'unknown_project' THEN 'project_id'
        WHEN 'project_closed' THEN 'project_id'
        WHEN 'unknown_unit' THEN 'unit'
        ELSE r.fault_field
    END) AS field,
    coalesce(x.payer_value, CASE x.rejected_as
        WHEN 'future_time' THEN CAST(r.occurred_at AS VARCHAR)
        WHEN 'no_rules_in_force' THEN CAST(r.occurred_at AS VARCHAR)
        WHEN 'too_late' THEN CAST(r.occurred_at AS VARCHAR)
        WHEN 'unknown_customer' THEN r.customer_id
        WHEN 'customer_closed' THEN r.customer_id
        WHEN 'unknown_project' THEN r.project_id
        WHEN 'project_closed' THEN r.project_id
        WHEN 'unknown_unit' THEN r.unit
        ELSE r.fault_value
    END) AS value,
    CASE x.rejected_as
        WHEN 'future_time' THEN 'occurred_at is more than 5 minutes after it was received; mend the producer''s clock and send it again'
        WHEN 'no_rules_in_force' THEN 'no rule book was in force when it occurred; bill it by an earlier rule book or leave it'
        WHEN 'too_late' THEN 'it came after the late window of its usage day; bill it by hand or leave it'
        WHEN 'unknown_customer' THEN 'the customer was not registered when this was received; register it and send it again'
        WHEN 'customer_closed' THEN 'the customer was closed when this occurred; send it for the customer who used it'
        WHEN 'unknown_project' THEN 'the customer had no such project when this was received; register it and send it again'
        WHEN 'project_closed' THEN 'the project was closed when this occurred; send it for the project that used it'
        WHEN 'unknown_unit' THEN 'the rule book in force knows no such unit; mend the unit or add it to the next rule book'
        ELSE coalesce(r.fault_message, 'the record does not keep the contract')
    END AS message,
    r.payload
FROM raw AS r
INNER JOIN rejections AS x ON r.queue_offset = x.queue_offset
