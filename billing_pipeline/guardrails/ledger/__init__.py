"""The ledger as pure decisions: rows in memory, what a request does to them, and what it answers."""
