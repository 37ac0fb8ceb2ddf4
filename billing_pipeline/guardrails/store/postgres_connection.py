"""Connections to the control database on PostgreSQL: bounded in time, durable, and never telling the password."""

from typing import Any

import psycopg
from psycopg import Connection
from sqlalchemy import make_url

from billing_pipeline.errors import GuardUnavailableError
from billing_pipeline.ingest.postgres_server import durability_faults, first_line

CONNECT_TIMEOUT_SECONDS = 10
STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 20
IDLE_TIMEOUT_SECONDS = 10
"""After so long the server ends the transaction of a process that says nothing more, as it keeps others out."""

_SETTINGS = (
    ("statement_timeout", f"{STATEMENT_TIMEOUT_SECONDS}s"),
    ("lock_timeout", f"{LOCK_TIMEOUT_SECONDS}s"),
    ("idle_in_transaction_session_timeout", f"{IDLE_TIMEOUT_SECONDS}s"),
    ("timezone", "UTC"),
    # Whoever has waited for a lock must see what was committed meanwhile.
    ("default_transaction_isolation", "read committed"),
)


def connect(control_url: str) -> Connection:
    """A connection in autocommit mode whose commits are on disk when they are confirmed.

    Raises:
        GuardUnavailableError: the server cannot be reached, or acknowledges what is not on disk.
    """
    url = make_url(control_url)
    parameters: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": "billing-pipeline guard",
        "tcp_user_timeout": STATEMENT_TIMEOUT_SECONDS * 1000,
        **url.translate_connect_args(username="user", database="dbname"),
        **url.query,
    }
    location = location_of(control_url)
    try:
        connection = psycopg.connect(**parameters, autocommit=True)
    except psycopg.Error as error:
        raise GuardUnavailableError(f"{location} cannot be reached: {first_line(error)}; start it") from error
    try:
        for name, value in _SETTINGS:
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
        )
        faults = [fault for fault in durability_faults(connection) if "fsync = off" in fault]
    except psycopg.Error as error:
        connection.close()
        raise GuardUnavailableError(f"{location} cannot be used: {first_line(error)}") from error
    if faults:
        connection.close()
        raise GuardUnavailableError(f"{location} is no place for the guard's ledger: {faults[0]}")
    return connection


def location_of(control_url: str) -> str:
    """The URL without password, for people."""
    return make_url(control_url).render_as_string()
