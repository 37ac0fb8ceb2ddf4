"""The rollback journal that an earlier transaction has left, made void on the disk before another one builds on it."""

import os
from contextlib import suppress
from pathlib import Path

HEADER_BYTES = 512


def void_journal(database: Path) -> None:
    """Write over what ended the last transaction, and sync it. The caller has the write lock.

    An fsync that fails may leave the journal on the disk though it was truncated; the next transaction would write its
    own into the middle of it, and a loss of power then would play back both. Nothing is done where there is no journal.

    Raises:
        OSError: the disk does not take it.
    """
    with suppress(FileNotFoundError):
        file = os.open(database.with_name(f"{database.name}-journal"), os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            os.write(file, bytes(HEADER_BYTES))
            os.fsync(file)
            os.ftruncate(file, 0)
            os.fsync(file)
        finally:
            os.close(file)
