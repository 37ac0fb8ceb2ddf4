"""Alembic's entry: runs the migrations on the connection that `open_control` hands over."""

from alembic import context

import billing_pipeline.control.guard_tables  # noqa: F401 - it adds its tables to all
from billing_pipeline.control.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
