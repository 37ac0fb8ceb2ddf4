"""Invoices: their lines, the outbox, the push to Stripe, reconciliation."""
