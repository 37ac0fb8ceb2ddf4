"""The port to a compute engine: relations over the lake's files, SQL statements, Parquet files out.

A statement is a named `.sql` file that selects from relations by their names. DuckDB is the embedded default
(`duckdb_engine.py`), Spark is for who has outgrown one machine (`spark_engine.py`); both give the same rows of the
same statements. Those are DuckDB's SQL, and may call two functions of ours, which each engine defines:

* `payer_parts(allocations)`: the payers' parts of an event, a list of structs (`PAYER_PART`), to be unnested.
* `json_member(object, name)`: the text of one member of a JSON object of texts; null where it has none.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from billing_pipeline.schemas.table import Column, ColumnType, Table

if TYPE_CHECKING:
    import pyarrow as pa

PAYER_PART = {
    "allocation_index": ColumnType.WHOLE,
    "customer_id": ColumnType.TEXT,
    "project_id": ColumnType.TEXT,
    "quantity": ColumnType.QUANTITY,
    "event_share": ColumnType.QUANTITY,
}
"""The fields of one payer's part, in their order, out of the JSON text of an event's allocations."""


@dataclass(frozen=True)
class WrittenFile:
    """A Parquet file that was written and waits for its commit."""

    path: Path
    rows: int


class Session(Protocol):
    """One connection's worth of work: relations live until it ends. Time zone UTC, memory bounded.

    Whatever computes raises `EngineOverflowError` where a value has more digits than its type; nothing wraps around.
    """

    def scan(self, name: str, table: Table, paths: Sequence[str]) -> None:
        """Name a relation over data files of a table; no files give an empty relation of the same types."""

    def load(self, name: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
        """Name a relation of a few rows from Python, in the given types."""

    def load_arrow(self, name: str, table: "pa.Table") -> None:
        """Name a relation of many rows that are in memory already, without copying them where the engine can."""

    def define(self, name: str, statement: Path) -> None:
        """Name what a statement selects; it is computed whenever it is read."""

    def keep(self, name: str, statement: Path) -> None:
        """Compute what a statement selects now, once, and name it."""

    def write(self, table: Table, relation: str, path: Path, where: str = "true") -> WrittenFile | None:
        """Write the table's columns of a relation in the table's order; None, and no file, where no row is left."""

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """The result of a query, for few rows."""

    def chunks(self, query: str) -> Iterable[list[tuple[object, ...]]]:
        """The result of a query in bounded chunks, for many rows; take them all before the next call."""


class Engine(Protocol):
    """Opens sessions."""

    @property
    def version(self) -> str:
        """The engine by name and version, as it is told to people."""

    @property
    def scratch(self) -> Path:
        """A folder for what is needed only while a session lasts."""

    def with_scratch(self, folder: Path) -> "Engine":
        """The same engine with another folder for what is needed only while a session lasts."""

    def session(self) -> AbstractContextManager[Session]:
        """A session; closing it gives back its memory and removes what it spilled."""
