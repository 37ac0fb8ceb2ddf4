"""Notices: what the guard tells a webhook, signed, at least once."""
