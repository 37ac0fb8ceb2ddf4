-- Billable usage that no meter of its rule version takes.
SELECT u.*
FROM billable_usage AS u
LEFT JOIN meters AS m
    ON u.rule_version = m.rule_version
    AND u.unit = m.unit
    AND u.dimensions = m.dimensions
WHERE m.meter IS NULL
