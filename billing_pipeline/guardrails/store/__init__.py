"""The ledger on disk: rows read and written in one transaction per group, on SQLite and on PostgreSQL."""
