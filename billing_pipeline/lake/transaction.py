"""A transaction of Iceberg that works out what the table comes to once for each change to it.

PyIceberg's does so, with a deep copy of all snapshots, each time it is asked: some twenty times for a commit.
"""

from typing import TYPE_CHECKING

from pyiceberg.table import Transaction as IcebergTransaction

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate


class Transaction(IcebergTransaction):
    """Use it as a context manager; it commits at the end of the block."""

    _known: "tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None" = None

    @property
    def table_metadata(self) -> "TableMetadata":
        """The table's metadata with what is changed so far; nobody changes the metadata itself."""
        # Both are replaced, never changed: also where a commit that met another one is built anew.
        before, updates = self._table.metadata, self._updates
        if self._known is None or self._known[0] is not before or self._known[1] is not updates:
            self._known = (before, updates, super().table_metadata)
        return self._known[2]
