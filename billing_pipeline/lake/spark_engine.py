"""The compute engine for who has outgrown one machine: Spark, by the same statements, over the same files.

Every worker must see the lake and the scratch under their own paths, as the driver does. What a session computes once,
and what it reads in chunks, goes through Parquet files in its folder of the scratch: memory is bounded, and the planner
knows how large it is.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.errors import EngineOverflowError, LakeError
from billing_pipeline.lake.engine import WrittenFile
from billing_pipeline.lake.spark_dialect import SPARK_TYPES, to_spark
from billing_pipeline.lake.spark_process import SparkProcess, check_installed, spark_of_this_process
from billing_pipeline.schemas.table import Column, ColumnType, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

CHUNK_ROWS = 50_000
# Paths are names of files, whatever characters they hold, and never patterns.
READ = {"__globPaths__": "false"}
_JSON_TYPES = {str(kind): name for kind, name in SPARK_TYPES.items()}


class SparkSQLSession:
    """Relations, statements and files in one of Spark's sessions: its views are known to no other."""

    def __init__(self, spark: "SparkSession", folder: Path) -> None:
        self._spark = spark
        self._folder = folder
        self._numbers = count()

    def scan(self, name: str, table: Table, paths: Sequence[str]) -> None:
        """See `Session.scan`."""
        self._read(name, _declared(table.columns), paths)

    def load(self, name: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
        """See `Session.load`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        taken = list(rows)
        if not taken:
            self._read(name, _declared(columns), [])
            return
        arrays = [
            pa.array([row[place] for row in taken], _arrow_type(column.type))
            for place, column in enumerate(columns)
        ]
        path = self._new()
        pq.write_table(pa.table(arrays, [column.name for column in columns]), path, compression="zstd")
        self._read(name, _declared(columns), [str(path)])

    def load_arrow(self, name: str, table: "pa.Table") -> None:
        """See `Session.load_arrow`."""
        import pyarrow.parquet as pq

        path = self._new()
        pq.write_table(table, path, compression="zstd")
        self._spark.read.parquet(str(path)).createOrReplaceTempView(name)

    def define(self, name: str, statement: Path) -> None:
        """See `Session.define`."""
        self._spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW {_quoted(name)} AS {self._sql(statement)}")

    def keep(self, name: str, statement: Path) -> None:
        """See `Session.keep`."""
        frame, path = self._spark.sql(self._sql(statement)), self._new()
        with _overflow_by_name():
            frame.write.parquet(str(path))
        self._read(name, dict(frame.dtypes), [str(path)])

    def write(self, table: Table, relation: str, path: Path, where: str = "true") -> WrittenFile | None:
        """See `Session.write`."""
        import pyarrow.parquet as pq

        columns = ", ".join(f'CAST("{c.name}" AS {c.type}) AS "{c.name}"' for c in table.columns)
        frame = self._query(f'SELECT {columns} FROM "{relation}" WHERE {where}')
        if table.append_only:
            frame = frame.coalesce(1)
        else:
            order = [frame[name].asc_nulls_first() for name in table.order_by]
            frame = frame.repartition(1).sortWithinPartitions(*order)
        folder = self._new()
        with _overflow_by_name():
            self._with_nulls_allowed(frame).write.parquet(str(folder))
        files = sorted(folder.glob("*.parquet"))
        rows = sum(pq.read_metadata(file).num_rows for file in files)
        if rows == 0:
            return None
        if len(files) != 1:
            raise LakeError(
                f"Spark wrote {len(files)} files of {table.name} where one was to be; nothing counts"
            )
        shutil.move(files[0], path)
        return WrittenFile(path, rows)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """See `Session.rows`."""
        with _overflow_by_name():
            return _python_rows(self._query(query).toArrow())

    def chunks(self, query: str) -> Iterator[list[tuple[object, ...]]]:
        """See `Session.chunks`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = self._new()
        with _overflow_by_name():
            self._query(query).write.parquet(str(folder))
        for path in sorted(folder.glob("*.parquet")):  # numbered in the order of the query
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(CHUNK_ROWS):
                    yield _python_rows(pa.Table.from_batches([batch]))

    def _with_nulls_allowed(self, frame: "DataFrame") -> "DataFrame":
        """The same rows, every column declared nullable.

        Spark declares what it can prove, by the condition of a query as by its constants; then the same rows would be
        written as other bytes. None of its public methods takes that back, and this one takes no row through Python.
        """
        from pyspark.sql import DataFrame

        session = self._spark._jsparkSession  # noqa: SLF001
        schema = session.parseDataType(_nullable(frame.schema).json())
        rows = frame._jdf.queryExecution().toRdd()  # noqa: SLF001
        return DataFrame(session.internalCreateDataFrame(rows, schema, False), self._spark)

    def _query(self, query: str) -> "DataFrame":
        return self._spark.sql(to_spark(query, self._columns_of))

    def _sql(self, statement: Path) -> str:
        return to_spark(statement.read_text("utf-8"), self._columns_of)

    def _columns_of(self, relation: str) -> list[str]:
        columns: list[str] = self._spark.table(_quoted(relation)).columns
        return columns

    def _read(self, name: str, schema: dict[str, str], paths: Sequence[str]) -> None:
        if paths:
            declared = ", ".join(f"{_quoted(column)} {kind}" for column, kind in schema.items())
            frame = self._spark.read.schema(declared).options(**READ).parquet(*paths)
        else:
            nulls = ", ".join(f"CAST(NULL AS {kind}) AS {_quoted(column)}" for column, kind in schema.items())
            frame = self._spark.sql(f"SELECT {nulls} WHERE false")
        frame.createOrReplaceTempView(_quoted(name))

    def _new(self) -> Path:
        return self._folder / f"{next(self._numbers)}"


@dataclass(frozen=True)
class SparkEngine:
    """Opens sessions of the one Spark of this process; `master` is local, or a cluster's."""

    master: str
    memory_limit_mb: int
    threads: int
    scratch: Path

    @property
    def version(self) -> str:
        """See `Engine.version`.

        Raises:
            SettingsError: Spark cannot be started; says what to install.
        """
        from importlib.metadata import version

        java = check_installed()
        return f"Spark {version('pyspark')} on Java {java}, master {self.master}"

    def with_scratch(self, folder: Path) -> "SparkEngine":
        """See `Engine.with_scratch`."""
        return replace(self, scratch=folder)

    @contextmanager
    def session(self) -> Iterator[SparkSQLSession]:
        """A session with views of its own, in UTC, with exact decimals and an error for every overflow.

        Raises:
            SettingsError: Spark cannot be started; says what to install.
        """
        process = SparkProcess(self.master, self.memory_limit_mb, self.threads, self.scratch)
        spark = spark_of_this_process(process).newSession()
        self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="spark-session-", dir=self.scratch) as folder:
            yield SparkSQLSession(spark, Path(folder))


@contextmanager
def _overflow_by_name() -> Iterator[None]:
    """Tell what the standard calls "numeric value out of range" (22003), however deep the reason lies, by our name."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        found = re.search(r"\[[A-Z_.]+\][^\n]*SQLSTATE: 22003", str(error))
        if found is None:
            raise
        raise EngineOverflowError(found[0]) from error


def _declared(columns: Sequence[Column]) -> dict[str, str]:
    return {column.name: SPARK_TYPES[column.type] for column in columns}


def _nullable(schema: "StructType") -> "StructType":
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(field.name, field.dataType) for field in schema.fields])


def _arrow_type(kind: ColumnType) -> "pa.DataType":
    import pyarrow as pa

    return {
        ColumnType.DAY: pa.date32(),
        ColumnType.INSTANT: pa.timestamp("us", "UTC"),
        ColumnType.TEXT: pa.string(),
        ColumnType.WHOLE: pa.int64(),
        ColumnType.QUANTITY: pa.decimal128(38, 9),
        ColumnType.AMOUNT: pa.decimal128(38, 24),
        ColumnType.FLAG: pa.bool_(),
        ColumnType.BYTES: pa.binary(),
    }[kind]


def _python_rows(table: "pa.Table") -> list[tuple[object, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
