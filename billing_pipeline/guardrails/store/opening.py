"""The store that a control database's URL asks for."""

from pathlib import Path

from sqlalchemy import make_url

from billing_pipeline.errors import SettingsError
from billing_pipeline.guardrails.store.port import Store
from billing_pipeline.guardrails.store.sqlite_store import SqliteStore


def open_store(control_url: str) -> Store:
    """The guard's ledger in a control database that has been migrated to head; it connects with the first request.

    Args:
        control_url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql+psycopg://…`.

    Raises:
        SettingsError: it is PostgreSQL, and the driver is not installed.
    """
    url = make_url(control_url)
    if url.get_backend_name() == "sqlite":
        return SqliteStore(Path(url.database or ""))
    try:
        from billing_pipeline.guardrails.store.postgres_store import PostgresStore
    except ImportError as error:
        raise SettingsError(
            f"the control database is PostgreSQL, but its driver cannot be loaded ({error}): "
            "pip install 'billing-pipeline[postgres]'"
        ) from error
    return PostgresStore(control_url)
