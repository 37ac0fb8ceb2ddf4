"""The embedded compute engine: DuckDB in memory over the lake's files, bounded memory, spilling to disk."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.errors import EngineFileError, EngineOverflowError
from billing_pipeline.lake.duckdb_databases import Terms, lent
from billing_pipeline.lake.engine import PAYER_PART, WrittenFile
from billing_pipeline.schemas.table import Column, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

# Columns with more distinct values in a row group (ids, digests, payloads) gain nothing from a dictionary; the limit
# stops the writer early from building one.
PARQUET = (
    "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION v2, ROW_GROUP_SIZE 122880, "
    "DICTIONARY_SIZE_LIMIT 10000"
)
CHUNK_ROWS = 50_000
_PART = ", ".join(f'"{name}": "{kind}"' for name, kind in PAYER_PART.items())
# Functions of ours (see the port). The parts are strict: a text of another form is an error and not a null.
FUNCTIONS = f"""
CREATE OR REPLACE TEMP MACRO payer_parts(allocations) AS from_json_strict(allocations, '[{{{_PART}}}]');
CREATE OR REPLACE TEMP MACRO json_member(object, name) AS
    json_extract_string(object, '/' || replace(replace(name, '~', '~0'), '/', '~1'));
"""


class DuckDBSession:
    """Relations, statements and files on one DuckDB connection."""

    def __init__(self, connection: "DuckDBPyConnection") -> None:
        self._connection = connection
        self._kinds: dict[str, str] = {}

    def scan(self, name: str, table: Table, paths: Sequence[str]) -> None:
        """See `Session.scan`."""
        if paths:
            columns = ", ".join(f"{_quoted(column.name)}" for column in table.columns)
            source = f"SELECT {columns} FROM read_parquet({_text_list(paths)})"
        else:
            source = _empty(table.columns)
        self._create("VIEW", name, f"AS {source}")

    def load(self, name: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
        """See `Session.load`."""
        declared = ", ".join(f"{_quoted(column.name)} {column.type}" for column in columns)
        self._create("TABLE", name, f"({declared})")
        values = (
            [[row[position] for row in taken] for position in range(len(columns))]
            if (taken := list(rows))
            else []
        )
        if values:
            import pyarrow as pa

            arrow = pa.table(
                {column.name: pa.array(value) for column, value in zip(columns, values, strict=True)}
            )
            self._connection.register("_loaded", arrow)
            self._execute(f"INSERT INTO {_quoted(name)} SELECT * FROM _loaded")
            self._connection.unregister("_loaded")

    def load_arrow(self, name: str, table: "pa.Table") -> None:
        """See `Session.load_arrow`."""
        self._connection.register(f"_{name}", table)
        self._create("VIEW", name, f"AS SELECT * FROM {_quoted(f'_{name}')}")

    def define(self, name: str, statement: Path) -> None:
        """See `Session.define`."""
        self._create("VIEW", name, f"AS {_sql(statement)}")

    def keep(self, name: str, statement: Path) -> None:
        """See `Session.keep`."""
        self._create("TABLE", name, f"AS {_sql(statement)}")

    def _create(self, kind: str, name: str, content: str) -> None:
        """Name a view or a table; a name may be given again, also to the other kind, which `OR REPLACE` refuses."""
        known = self._kinds.get(name, kind)
        if known != kind:
            self._execute(f"DROP {known} {_quoted(name)}")
        self._execute(f"CREATE OR REPLACE TEMP {kind} {_quoted(name)} {content}")
        self._kinds[name] = kind

    def write(self, table: Table, relation: str, path: Path, where: str = "true") -> WrittenFile | None:
        """See `Session.write`."""
        columns = ", ".join(
            f"CAST({_quoted(c.name)} AS {c.type}) AS {_quoted(c.name)}" for c in table.columns
        )
        order = ", ".join(f"{_quoted(name)} ASC NULLS FIRST" for name in table.order_by)
        # What is appended is never compared by its bytes: it is written without a sort, as its rows come.
        ordered = "" if table.append_only else f" ORDER BY {order}"
        self._execute(f"SET preserve_insertion_order = {str(not table.append_only).lower()}")
        copied = self._execute(
            f"COPY (SELECT {columns} FROM {_quoted(relation)} WHERE {where}{ordered}) "
            f"TO {_text(str(path))} ({PARQUET})"
        ).fetchone()
        rows = 0 if copied is None else int(copied[0])
        if rows == 0:
            path.unlink(missing_ok=True)
            return None
        return WrittenFile(path, rows)

    def _execute(self, statement: str) -> "DuckDBPyConnection":
        import duckdb

        try:
            return self._connection.execute(statement)
        except (duckdb.OutOfRangeException, duckdb.ConversionException) as error:
            raise EngineOverflowError(str(error).partition("\n")[0]) from error
        except duckdb.Error as error:
            # What the Parquet reader stumbles over in a damaged file has no class of its own.
            is_of_file = isinstance(error, duckdb.IOException | duckdb.InvalidInputException)
            if type(error) is duckdb.Error or (is_of_file and "parquet" in str(error).lower()):
                raise EngineFileError(str(error).partition("\n")[0]) from error
            raise

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """See `Session.rows`."""
        return self._execute(query).fetchall()

    def chunks(self, query: str) -> Iterator[list[tuple[object, ...]]]:
        """See `Session.chunks`."""
        result = self._execute(query)
        while chunk := result.fetchmany(CHUNK_ROWS):
            yield chunk


@dataclass(frozen=True)
class DuckDBEngine:
    """Opens DuckDB sessions; `connect` starts a database where none is kept, by the first connection to it."""

    connect: Callable[[], AbstractContextManager["DuckDBPyConnection"]]
    memory_limit_mb: int
    threads: int
    scratch: Path

    @property
    def version(self) -> str:
        """See `Engine.version`."""
        from importlib.metadata import version

        return f"DuckDB {version('duckdb')}"

    def with_scratch(self, folder: Path) -> "DuckDBEngine":
        """See `Engine.with_scratch`."""
        return replace(self, scratch=folder)

    @contextmanager
    def session(self) -> Iterator[DuckDBSession]:
        """A session in UTC with bounded memory; extensions are never fetched at run time."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        with lent(Terms(self.memory_limit_mb, self.threads, self.scratch), self.connect) as connection:
            connection.execute(
                "SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET preserve_insertion_order = true"
            )
            connection.execute(FUNCTIONS)
            yield DuckDBSession(connection)


@contextmanager
def in_memory() -> "Iterator[DuckDBPyConnection]":
    """A fresh in-memory connection, closed at the end."""
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        yield connection
    finally:
        connection.close()


def _empty(columns: Sequence[Column]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {column.type}) AS {_quoted(column.name)}" for column in columns)
    return f"SELECT {nulls} WHERE false"


def _sql(statement: Path) -> str:
    return statement.read_text("utf-8").rstrip().rstrip(";")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _text_list(values: Sequence[str]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"
