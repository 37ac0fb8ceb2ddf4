"""Metering: which day a record belongs to, which record counts, and how much was used."""
