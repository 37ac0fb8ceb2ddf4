"""Stripe: what is needed of it, and the adapter over its own SDK."""
