-- All rollups of some posting days; a row that neither counts an event nor changes a quantity says nothing.
SELECT * FROM additive_rollups WHERE quantity <> 0 OR event_count <> 0
UNION ALL
SELECT * FROM marginal_rollups WHERE quantity <> 0 OR event_count <> 0
