"""Questions to the queue's PostgreSQL over one kept connection, asked once more where the server was restarted."""

import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import Connection
from psycopg.errors import UndefinedTable

from billing_pipeline.errors import QueueError
from billing_pipeline.ingest.postgres_server import PostgresServer, first_line
from billing_pipeline.ingest.postgres_tables import are_made

Found = TypeVar("Found")


class PostgresReader:
    """Asks one question at a time; many threads may. The connection is made by the first one, and kept."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._connection: Connection | None = None
        self._asking = threading.Lock()

    def ask(self, question: Callable[[Connection], Found], before: Found) -> Found:
        """The answer to a question that may be asked twice; `before` stands for it while there are no tables.

        Raises:
            QueueError: the server cannot be reached or does not answer, or its tables are of another version.
        """
        with self._asking:
            kept = self._connection
            try:
                try:
                    return self._asked(question, before)
                except psycopg.OperationalError:
                    if kept is None or not kept.broken:
                        raise
                    self._leave()
                    return self._asked(question, before)
            except psycopg.Error as error:
                self._leave()
                raise QueueError(
                    f"{self._server.location} does not answer: {first_line(error)}; see to it and try again"
                ) from error

    def close(self) -> None:
        """Leave the server; the next question connects anew."""
        with self._asking:
            self._leave()

    def _asked(self, question: Callable[[Connection], Found], before: Found) -> Found:
        if self._connection is None:
            self._connection = self._server.connect()
            are_made(self._connection, self._server.location)
        try:
            return question(self._connection)
        except UndefinedTable:
            # They may have been made since it was asked; then it can be answered now.
            made = are_made(self._connection, self._server.location)
            return question(self._connection) if made else before

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
