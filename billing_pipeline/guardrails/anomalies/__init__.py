"""The anomaly report: each day's usage beside what was to be expected of it."""
