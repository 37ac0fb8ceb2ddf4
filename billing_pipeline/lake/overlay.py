"""A lake over a lake: what is replaced is kept in a folder of its own, everything else is read from below.

Whatever is computed on it leaves the lake below as it is.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from billing_pipeline.errors import LakeError
from billing_pipeline.lake.iceberg import Commit, DataFile, Lake
from billing_pipeline.schemas.table import PartitionKey, Table


class OverlaidLake(Lake):
    """Partitions that are replaced here hide those of the lake below.

    Args:
        below: the lake that is read where nothing was replaced; it is never written.
        folder: where the files of replaced partitions lie, a folder per table.
    """

    def __init__(self, below: Lake, folder: Path) -> None:
        super().__init__(folder)
        self.below = below
        self.replaced: dict[str, dict[PartitionKey, list[DataFile]]] = {}

    def has(self, table: Table) -> bool:
        """See `Lake.has`."""
        return table.name in self.replaced or self.below.has(table)

    def files(self, table: Table, days: Iterable[date] | None = None) -> list[DataFile]:
        """See `Lake.files`."""
        wanted = None if days is None else set(days)
        replaced = self.replaced.get(table.name, {})
        # To ask a lake for the files of a table that it lacks would make the table.
        below = self.below.files(table, wanted) if self.below.has(table) else []
        kept = [file for file in below if file.key not in replaced]
        own = [
            file for key, files in replaced.items() for file in files if wanted is None or key.day in wanted
        ]
        return sorted([*kept, *own], key=lambda file: (str(file.key), file.path))

    def snapshot(self, table: Table) -> int | None:
        """See `Lake.snapshot`; that of the lake below."""
        return self.below.snapshot(table) if self.below.has(table) else None

    def data_folder(self, table: Table) -> Path:
        """See `Lake.data_folder`."""
        return self.root / table.name

    def new_file(self, table: Table) -> Path:
        """See `Lake.new_file`."""
        folder = self.data_folder(table)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{uuid.uuid4().hex}.parquet"

    def replace(self, table: Table, keys: Sequence[PartitionKey], files: Sequence[Path]) -> Commit:
        """See `Lake.replace`; it makes no snapshot."""
        if table.append_only:
            raise LakeError(f"{table.name} is append-only; its partitions are never replaced")
        replaced = self.replaced.setdefault(table.name, {})
        replaced.update({key: [] for key in keys})
        for path in files:
            file = _data_file(table, path)
            replaced[file.key].append(file)
        snapshot = self.snapshot(table)
        return Commit(snapshot, snapshot)

    def append(self, table: Table, files: Sequence[Path], properties: Mapping[str, str]) -> Commit:
        """Refused: what is appended to is never computed anew."""
        del files, properties
        raise LakeError(f"{table.name} of the lake below is not appended to from above it")


def _data_file(table: Table, path: Path) -> DataFile:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=1, columns=list(table.partition_by)))
        (values,) = batch.to_pylist()
        rows = file.metadata.num_rows
    return DataFile(str(path), PartitionKey(*(values[name] for name in table.partition_by)), rows)
