"""`billing sql`: read-only SQL over the latest snapshot of all tables."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from billing_pipeline.errors import QueryError
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import TABLES

CHUNK_ROWS = 10_000
TABLE_ROWS_MOST = 1_000


def run_query(pipeline: Pipeline, query: str, output: str) -> None:
    """Print the result of a query as a table, CSV or JSON.

    Raises:
        QueryError: it is not one SELECT, or DuckDB refuses it.
    """
    import duckdb

    with pipeline.duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute(f"SET memory_limit = '{pipeline.settings.memory_limit_mb}MB'")
        for table in TABLES:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            files = [file.path for file in pipeline.lake.files(table)]
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
            nulls = ", ".join(f'CAST(NULL AS {column.type}) AS "{column.name}"' for column in table.columns)
            source = (
                f"SELECT {columns} FROM read_parquet([{listed}])" if files else f"SELECT {nulls} WHERE false"
            )
            connection.execute(f"CREATE TEMP VIEW {table.name} AS {source}")
        try:
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise QueryError("give one SELECT; the tables are read-only")
            # From here on nothing outside the lake can be read and nothing can be set or written.
            lake = str(pipeline.lake.root).replace("'", "''")
            connection.execute(f"SET allowed_directories = ['{lake}/']; SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            result = connection.execute(statements[0])
            names = [column[0] for column in result.description or ()]
            _print(output, names, _rows(result))
        except duckdb.Error as error:
            raise QueryError(str(error)) from error


def _rows(result: Any) -> Iterator[tuple[Any, ...]]:
    while chunk := result.fetchmany(CHUNK_ROWS):
        yield from chunk


def _print(output: str, names: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    if output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_plain(value) for value in row] for row in rows)
        return
    if output == "json":
        for row in rows:
            sys.stdout.write(
                json.dumps(dict(zip(names, map(_plain, row), strict=True)), ensure_ascii=False) + "\n"
            )
        return
    table = Table()
    for name in names:
        table.add_column(name, overflow="fold")
    unshown = 0
    for number, row in enumerate(rows):
        if number < TABLE_ROWS_MOST:
            table.add_row(*("" if value is None else str(_plain(value)) for value in row))
        else:
            unshown += 1
    console = Console()
    console.print(table)
    if unshown:
        console.print(f"and {unshown:,} more rows; use --format csv or json for all")


def _plain(value: Any) -> Any:
    """Exact text for decimals, ISO 8601 for times, text for bytes where they are text, hex where not."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.hex()
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)
