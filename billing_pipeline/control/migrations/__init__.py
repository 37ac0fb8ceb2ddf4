"""Alembic's script directory; run by `control.database.open_control`."""
