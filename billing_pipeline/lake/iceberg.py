"""The lake: Iceberg tables on disk. Compute engines write Parquet files; the lake commits them, atomically.

Readers take the file list of the current snapshot; a partition is replaced by its key in one transaction, also by
nothing. Writers of one table take turns by a file lock, which is faster than optimistic retries and never loses.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.errors import LakeError
from billing_pipeline.schemas.table import ColumnType, PartitionKey, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table import Transaction as IcebergTransaction
    from pyiceberg.types import IcebergType

NAMESPACE = "billing"
LOCK_TIMEOUT_SECONDS = 120
LISTED_WHOLE_FILES = 2_000
"""A table of at most so many files is listed whole, once for each snapshot; of a larger one only the days asked for."""
SNAPSHOTS_KEPT = 100
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table's current snapshot."""

    path: str
    key: PartitionKey
    rows: int


@dataclass(frozen=True)
class Commit:
    """A finished commit: the snapshot it was made on and the one it made (None: an empty table)."""

    read_snapshot: int | None
    written_snapshot: int | None


@dataclass(frozen=True)
class Snapshot:
    """One retained snapshot: what it did (`append`, `delete`, `overwrite`), and what its commit recorded."""

    snapshot_id: int
    operation: str
    properties: Mapping[str, str]


class Lake:
    """All tables under one directory, with an SQL catalog beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._catalog: SqlCatalog | None = None
        self._loaded: dict[str, IcebergTable] = {}
        self._listed: dict[str, tuple[int, list[DataFile]]] = {}

    def has(self, table: Table) -> bool:
        """Whether the table is there; to ask does not make it."""
        return self._open().table_exists(f"{NAMESPACE}.{table.name}")

    def files(self, table: Table, days: Iterable[date] | None = None) -> list[DataFile]:
        """The files of the current snapshot, sorted by partition and path; of some days only where they are given.

        `days` are values of the first partition column; an empty collection gives no files.
        """
        iceberg = self._table(table)
        current = iceberg.current_snapshot()
        wanted = None if days is None else set(days)
        if current is None or wanted == set():
            return []
        known = self._listed.get(table.name)
        if known is None or known[0] != current.snapshot_id:
            total = current.summary.get("total-data-files") if current.summary else None
            if wanted and (total is None or int(total) > LISTED_WHOLE_FILES):
                return [file for file in _planned(iceberg, _between(table, wanted)) if file.key.day in wanted]
            known = self._listed[table.name] = (current.snapshot_id, _planned(iceberg))
        return [file for file in known[1] if wanted is None or file.key.day in wanted]

    def snapshot(self, table: Table) -> int | None:
        """Id of the current snapshot; None while the table is empty."""
        current = self._table(table).current_snapshot()
        return None if current is None else current.snapshot_id

    def summary(self, table: Table, name: str) -> str | None:
        """A property that the latest commit of the table recorded."""
        current = self._table(table).current_snapshot()
        if current is None or current.summary is None:
            return None
        return current.summary.additional_properties.get(name)

    def snapshots(self, table: Table) -> list[Snapshot]:
        """The retained snapshots, oldest first."""
        snapshots = sorted(self._table(table).snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
        return [
            Snapshot(
                each.snapshot_id,
                each.summary.operation.value if each.summary else "unknown",
                each.summary.additional_properties if each.summary else {},
            )
            for each in snapshots
        ]

    def data_folder(self, table: Table) -> Path:
        """Where the data files of a table lie."""
        return self.root / NAMESPACE / table.name / "data"

    def reached_files(self, table: Table) -> set[str]:
        """Paths of all data files that a retained snapshot reads."""
        iceberg = self._table(table)
        return {
            _local(entry.data_file.file_path)
            for snapshot in iceberg.snapshots()
            for manifest in snapshot.manifests(iceberg.io)
            for entry in manifest.fetch_manifest_entry(iceberg.io, discard_deleted=True)
        }

    def new_file(self, table: Table) -> Path:
        """A path for a new data file; it counts for nothing until it is committed."""
        folder = self.data_folder(table)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{uuid.uuid4().hex}.parquet"

    def replace(self, table: Table, keys: Sequence[PartitionKey], files: Sequence[Path]) -> Commit:
        """Replace exactly these partitions by exactly these files, in one transaction.

        Raises:
            LakeError: the table is append-only, or its lock was not to be had.
        """
        if table.append_only:
            raise LakeError(f"{table.name} is append-only; its partitions are never replaced")
        with self._locked(table) as iceberg:
            before = iceberg.current_snapshot()
            days = {key.day for key in keys}
            occupied = self.files(table, days) if before is not None else []
            stale = sorted({file.key for file in occupied} & set(keys), key=str)
            if not stale and not files:
                return Commit(_id(before), _id(before))
            with _transaction(iceberg) as transaction:
                if stale:
                    transaction.delete(_any_of(table, stale))
                if files:
                    transaction.add_files([str(path) for path in files], check_duplicate_files=False)
                _expire(transaction)
            return Commit(_id(before), _id(iceberg.current_snapshot()))

    def append(self, table: Table, files: Sequence[Path], properties: Mapping[str, str]) -> Commit:
        """Append files in one snapshot that carries these properties; nothing existing is touched."""
        with self._locked(table) as iceberg:
            before = iceberg.current_snapshot()
            with _transaction(iceberg) as transaction:
                transaction.add_files(
                    [str(path) for path in files],
                    snapshot_properties=dict(properties),
                    check_duplicate_files=False,
                )
                _expire(transaction)
            return Commit(_id(before), _id(iceberg.current_snapshot()))

    @contextmanager
    def lock(self, name: str) -> "Iterator[None]":
        """Let one process at a time into the block; given back when the process ends, however.

        Raises:
            LakeError: it was not to be had in time.
        """
        from filelock import FileLock, Timeout

        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path, timeout=LOCK_TIMEOUT_SECONDS):
                yield
        except Timeout as error:
            raise LakeError(
                f"another process has worked on {name} for {LOCK_TIMEOUT_SECONDS} s (lock file {path}); "
                "wait for it to end, or stop it, and run again"
            ) from error

    @contextmanager
    def _locked(self, table: Table) -> "Iterator[IcebergTable]":
        self._table(table)
        with self.lock(table.name):
            yield self._table(table)

    def _table(self, table: Table) -> "IcebergTable":
        """The table as the catalog has it now; its metadata is read again only where somebody committed since."""
        catalog = self._open()
        loaded = self._loaded.get(table.name)
        if loaded is None or loaded.metadata_location != _metadata_location(catalog, table):
            loaded = self._loaded[table.name] = _load(catalog, table)
        return loaded

    def _open(self) -> "SqlCatalog":
        if self._catalog is None:
            from pyiceberg.catalog.sql import SqlCatalog

            self.root.mkdir(parents=True, exist_ok=True)
            # Two processes that make the catalog at once would each find its tables missing.
            with self.lock("catalog"):
                self._catalog = SqlCatalog(
                    "lake",
                    uri=f"sqlite:///{self.root / 'catalog.sqlite'}?timeout=60",
                    warehouse=f"file://{self.root}",
                    init_catalog_tables="true",
                )
                self._catalog.create_namespace_if_not_exists(NAMESPACE)
        return self._catalog


def _metadata_location(catalog: "SqlCatalog", table: Table) -> str | None:
    from pyiceberg.catalog.sql import IcebergTables
    from sqlalchemy import select

    query = select(IcebergTables.metadata_location).where(
        IcebergTables.catalog_name == catalog.name,
        IcebergTables.table_namespace == NAMESPACE,
        IcebergTables.table_name == table.name,
    )
    with catalog.engine.connect() as connection:
        return connection.execute(query).scalar()


def _load(catalog: "SqlCatalog", table: Table) -> "IcebergTable":
    from pyiceberg.exceptions import NoSuchTableError

    try:
        loaded = catalog.load_table(f"{NAMESPACE}.{table.name}")
    except NoSuchTableError:
        return _create(catalog, table)
    known = {field.name for field in loaded.schema().fields}
    if missing := [name for name in table.column_names if name not in known]:
        raise LakeError(
            f"{table.name} was made by an earlier release, without the columns {', '.join(missing)}; start a fresh "
            "home (BILLING_HOME) and import its history there, or use the release that made it"
        )
    return loaded


def _create(catalog: "SqlCatalog", table: Table) -> "IcebergTable":
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.name_mapping import create_mapping_from_schema
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.types import NestedField

    # No column is `required`: files of a compute engine declare all columns nullable, and the pandera schema of
    # the table is where a missing value is found.
    schema = Schema(
        *(
            NestedField(
                number, column.name, _iceberg_type(column.type), required=False, doc=column.description
            )
            for number, column in enumerate(table.columns, 1)
        )
    )
    spec = PartitionSpec(
        *(
            PartitionField(schema.find_field(name).field_id, 1000 + number, IdentityTransform(), name)
            for number, name in enumerate(table.partition_by)
        )
    )
    properties = {
        "schema.name-mapping.default": create_mapping_from_schema(schema).model_dump_json(),
        "commit.manifest-merge.enabled": "true",
        "commit.manifest.min-count-to-merge": "10",
        "write.metadata.delete-after-commit.enabled": "true",
        "write.metadata.previous-versions-max": "20",
        "comment": table.description,
        # Statistics of partition values in full: cut ones would turn a metadata-only delete into a rewrite.
        **{f"write.metadata.metrics.column.{name}": "full" for name in table.partition_by},
    }
    return catalog.create_table_if_not_exists(
        f"{NAMESPACE}.{table.name}", schema, partition_spec=spec, properties=properties
    )


def _iceberg_type(kind: ColumnType) -> "IcebergType":
    from pyiceberg import types

    return {
        ColumnType.DAY: types.DateType(),
        ColumnType.INSTANT: types.TimestamptzType(),
        ColumnType.TEXT: types.StringType(),
        ColumnType.WHOLE: types.LongType(),
        ColumnType.QUANTITY: types.DecimalType(38, 9),
        ColumnType.AMOUNT: types.DecimalType(38, 24),
        ColumnType.FLAG: types.BooleanType(),
        ColumnType.BYTES: types.BinaryType(),
    }[kind]


def _transaction(iceberg: "IcebergTable") -> "IcebergTransaction":
    from billing_pipeline.lake.transaction import Transaction

    return Transaction(iceberg)


def _expire(transaction: "IcebergTransaction") -> None:
    """Forget the oldest snapshots that no tag keeps: a commit's cost grows with the snapshots kept."""
    from pyiceberg.table.update.snapshot import ExpireSnapshots

    metadata = transaction.table_metadata
    snapshots = sorted(metadata.snapshots, key=lambda snapshot: snapshot.timestamp_ms)
    kept = {reference.snapshot_id for reference in metadata.refs.values()}
    surplus = [s.snapshot_id for s in snapshots[:-SNAPSHOTS_KEPT] if s.snapshot_id not in kept]
    if surplus:
        ExpireSnapshots(transaction).by_ids(surplus).commit()


def _planned(iceberg: "IcebergTable", row_filter: str | None = None) -> list[DataFile]:
    scan = iceberg.scan() if row_filter is None else iceberg.scan(row_filter=row_filter)
    found = []
    for task in scan.plan_files():
        partition = task.file.partition
        key = _key(tuple(partition[place] for place in range(len(partition))))
        found.append(DataFile(_local(task.file.file_path), key, task.file.record_count))
    return sorted(found, key=lambda file: (str(file.key), file.path))


def _between(table: Table, days: set[date]) -> str:
    column = table.partition_by[0]
    return f"{column} >= '{min(days)}' AND {column} <= '{max(days)}'"


def _any_of(table: Table, keys: Sequence[PartitionKey]) -> str:
    by_version: dict[str | None, list[str]] = {}
    for key in keys:
        by_version.setdefault(key.rule_version, []).append(f"'{key.day}'")
    parts = []
    for version, days in by_version.items():
        of_version = "" if version is None else f" AND {table.partition_by[1]} = '{version}'"
        parts.append(f"({table.partition_by[0]} IN ({', '.join(days)}){of_version})")
    return " OR ".join(parts)


def _key(values: tuple[object, ...]) -> PartitionKey:
    day = values[0]
    if isinstance(day, int):
        day = date.fromordinal(_EPOCH.toordinal() + day)
    if not isinstance(day, date):
        raise LakeError(f"a data file has no partition day ({values!r}); it was not written by this pipeline")
    return PartitionKey(day, str(values[1]) if len(values) > 1 else None)


def _local(path: str) -> str:
    return path.removeprefix("file://")


def _id(snapshot: object | None) -> int | None:
    return None if snapshot is None else int(snapshot.snapshot_id)  # type: ignore[attr-defined]  # any snapshot
