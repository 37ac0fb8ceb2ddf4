"""Dagster wiring, by stage: it names what the rest does."""
