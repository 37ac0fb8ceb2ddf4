"""Invoices and charges as files for others: FOCUS cost and usage data, and invoices line by line."""
