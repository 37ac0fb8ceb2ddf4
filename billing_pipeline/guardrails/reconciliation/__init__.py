"""Ledger against meter: what the guard settled beside what was metered and rated, and why they differ. Pure."""
