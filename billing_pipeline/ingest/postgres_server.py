"""Connections to the queue's PostgreSQL: bounded in time, durable, and never telling the password."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from billing_pipeline.errors import QueueError, SettingsError
from billing_pipeline.settings import POSTGRES_SCHEMES

CONNECT_TIMEOUT_SECONDS = 10
STATEMENT_TIMEOUT_SECONDS = 60
LOCK_TIMEOUT_SECONDS = 20
"""How long an append waits for the appends of other processes; longer than one of them may idle in its transaction."""
IDLE_TIMEOUT_SECONDS = 10
"""After so long the server ends the transaction of a process that says nothing more, as it keeps all others out."""

_DEFAULTS = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "application_name": "billing-pipeline queue",
    # A connection whose other end is gone is found in this time, not in the quarter of an hour of TCP's own.
    "tcp_user_timeout": STATEMENT_TIMEOUT_SECONDS * 1000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


@dataclass(frozen=True)
class PostgresServer:
    """Where the queue's tables are, from a URL `postgresql://user@host:port/database`.

    Raises:
        SettingsError: the URL cannot be read; what is in it is not repeated, as it may hold a password.
    """

    parameters: dict[str, Any] = field(repr=False)

    @classmethod
    def of_url(cls, url: str) -> "PostgresServer":
        """The server that a URL names, with what the URL leaves open as this project wants it."""
        scheme, colon, rest = url.partition("://")
        try:
            given = conninfo_to_dict(f"postgresql{colon}{rest}")
        except psycopg.Error:
            given = {}
        if scheme not in POSTGRES_SCHEMES or not given:
            raise SettingsError(
                "BILLING_QUEUE_URL cannot be read; write postgresql://user@host:port/database, with special "
                "characters of a password as %XX, or leave the password to PGPASSFILE"
            )
        return cls({**_DEFAULTS, **given})

    @property
    def location(self) -> str:
        """The URL without password, for people; with the options, which say in which schema the tables are."""
        user, host = self.parameters.get("user"), self.parameters.get("host", "")
        port, database = self.parameters.get("port"), self.parameters.get("dbname", "")
        at = f"{user}@" if user else ""
        options = f"?options={quote(self.parameters['options'])}" if "options" in self.parameters else ""
        return f"postgresql://{at}{host}{f':{port}' if port else ''}/{database}{options}"

    def connect(self) -> Connection:
        """A connection in autocommit mode whose commits are on disk when they are confirmed.

        Raises:
            QueueError: the server cannot be reached, or does not let us in.
        """
        try:
            connection = psycopg.connect(**self.parameters, autocommit=True)
        except psycopg.Error as error:
            raise QueueError(
                f"{self.location} cannot be reached: {first_line(error)}; start it, or see to BILLING_QUEUE_URL"
            ) from error
        try:
            for name, value in (
                ("statement_timeout", f"{STATEMENT_TIMEOUT_SECONDS}s"),
                ("lock_timeout", f"{LOCK_TIMEOUT_SECONDS}s"),
                ("idle_in_transaction_session_timeout", f"{IDLE_TIMEOUT_SECONDS}s"),
                ("timezone", "UTC"),
                # Whoever has waited for a lock must see what was committed meanwhile.
                ("default_transaction_isolation", "read committed"),
            ):
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            # What a server asks for beyond `on` (remote_apply) stays.
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
            )
        except psycopg.Error as error:
            connection.close()
            raise QueueError(f"{self.location} cannot be used: {first_line(error)}") from error
        return connection


def durability_faults(connection: Connection) -> list[str]:
    """What in the server's settings would lose acknowledged records, each with what to do; empty where nothing does."""
    faults = []
    for name, loss in (
        ("fsync", "nothing is safe from a power failure"),
        ("full_page_writes", "a power failure can tear a page"),
    ):
        if connection.execute("SELECT current_setting(%s)", (name,)).fetchone() != ("on",):
            faults.append(f"the server says {name} = off, so {loss}: set it on in postgresql.conf and reload")
    return faults


def refuse_unsafe(connection: Connection, location: str) -> None:
    """Refuse to write to a server that acknowledges what is not on disk.

    Raises:
        QueueError: it does.
    """
    for fault in durability_faults(connection):
        if "fsync = off" in fault:
            raise QueueError(f"{location} is no place for the queue: {fault}")


def first_line(error: BaseException) -> str:
    """What an error of the driver says, without its hints on further lines."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
