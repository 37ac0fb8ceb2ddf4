"""The queue's SQLite file: its table, a row per batch with a checksum, and how it may be opened.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections write or checkpoint at once. So one
connection writes and checkpoints, guarded by a lock file that writers take in turns, and every other one is
opened so that it can do neither.
"""

import errno
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from billing_pipeline.errors import QueueCorruptError, QueueError
from billing_pipeline.ingest.queue import Batch
from billing_pipeline.ingest.stored_batch import BatchRow, LogEnd

FILE_VERSION = 2
BUSY_SECONDS = 30.0
WRITE_AGAIN_BYTES = 1024 * 1024

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE batches (
    first_offset INTEGER PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count > 0),
    producer TEXT NOT NULL,
    received_at INTEGER,
    first_received_at INTEGER NOT NULL,
    last_received_at INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    receipt_times_us BLOB,
    body BLOB NOT NULL
);
CREATE TABLE advances (advanced_to INTEGER PRIMARY KEY, crc32 INTEGER NOT NULL);
PRAGMA user_version = {FILE_VERSION};
COMMIT;
"""

_COLUMNS = (
    "first_offset, count, producer, received_at, first_received_at, last_received_at, crc32, "
    "receipt_times_us, body"
)


Connect = Callable[..., sqlite3.Connection]
"""Opens a database as `sqlite3.connect` does; a test of power loss puts a file system of its own beneath."""


def connect_writer(path: Path, connect: Connect = sqlite3.connect) -> sqlite3.Connection:
    """The one writing connection. The caller holds the lock file. Makes the file where there is none.

    What an earlier writer left in the WAL is written once more before anything builds on it. After a failed fsync the
    operating system takes what it could not write for written: a batch appended behind such a gap would be lost with
    it though its own fsync succeeded, and a loss of power while the WAL is moved would leave half of it in the file.

    Raises:
        QueueError: the file is of another version, or its disk cannot share memory.
        sqlite3.Error: it cannot be opened or written.
        OSError: the WAL cannot be written.
    """
    write_again(path.with_name(f"{path.name}-wal"))
    connection = connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # macOS acknowledges a plain fsync before the disk has the bytes; elsewhere these change nothing.
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        connection.execute("PRAGMA synchronous = FULL")
        _set_wal(connection, path)
        # The writer checkpoints by itself: SQLite would do it within the commit and hide its I/O errors.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        if not _is_made(connection, path):
            _sync_folders(path)
            connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def write_again(path: Path) -> None:
    """Write every byte of a file over itself and sync it and its name, so that the disk has what is read of it.

    SQLite's locks are not on the WAL, so opening it beside SQLite does no harm, and who reads it sees no change.

    Raises:
        OSError: it cannot be read, written or synced.
    """
    if not path.exists():
        return
    with path.open("r+b", buffering=0) as file:
        place = 0
        while part := file.read(WRITE_AGAIN_BYTES):
            file.seek(place)
            place += file.write(part)
            file.seek(place)
        os.fsync(file.fileno())
    _sync_folder(path.parent)


@contextmanager
def reader(path: Path, connect: Connect = sqlite3.connect) -> Iterator[sqlite3.Connection | None]:
    """One consistent view of the file for reading; None while there is no queue yet.

    `mode=ro` besides `query_only`: the last connection to close a WAL database would else checkpoint it.

    Raises:
        QueueError: the file cannot be read, or is of another version.
    """
    if not path.exists():
        yield None
        return
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("BEGIN")
        yield connection if _is_made(connection, path) else None
    except sqlite3.DatabaseError as error:
        raise QueueError(
            f"{path} cannot be read: {error}; if that lasts, restore it from its backup"
        ) from error
    finally:
        connection.close()


def insert_batch(connection: sqlite3.Connection, row: BatchRow) -> None:
    """Insert one batch; the caller commits."""
    batch = row.batch
    connection.execute(
        f"INSERT INTO batches ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            batch.first_offset,
            batch.count,
            batch.producer,
            batch.received_at,
            row.first_received_at,
            row.last_received_at,
            row.crc32,
            batch.receipt_times_us or None,
            batch.body,
        ),
    )


def insert_advance(connection: sqlite3.Connection, advanced_to: int) -> None:
    """Record that the clock was moved on; the caller commits. Only the latest is kept."""
    connection.execute("DELETE FROM advances")
    connection.execute("INSERT INTO advances VALUES (?, ?)", (advanced_to, _advance_crc32(advanced_to)))


def batches_from(connection: sqlite3.Connection, path: Path, offset: int) -> Iterator[BatchRow]:
    """Every batch from the one that holds `offset` on, each checked.

    Raises:
        QueueCorruptError: a batch does not match its checksum, or is missing.
    """
    expected: int | None = None
    for values in connection.execute(
        f"SELECT {_COLUMNS} FROM batches WHERE first_offset >= "
        "(SELECT coalesce(max(first_offset), 0) FROM batches WHERE first_offset <= ?) ORDER BY first_offset",
        (offset,),
    ):
        row = _checked(path, values)
        first_offset = row.batch.first_offset
        if first_offset > offset if expected is None else first_offset != expected:
            raise QueueCorruptError(str(path), offset if expected is None else expected)
        expected = row.batch.next_offset
        if expected > offset:
            yield row


def log_end(connection: sqlite3.Connection, path: Path) -> LogEnd:
    """Offsets and clock at the end of the log; the last batch is checked, as both stand on it.

    Raises:
        QueueCorruptError: the last batch or the record of the clock does not match its checksum.
    """
    advance = connection.execute("SELECT advanced_to, crc32 FROM advances").fetchone()
    values = connection.execute(
        f"SELECT {_COLUMNS} FROM batches ORDER BY first_offset DESC LIMIT 1"
    ).fetchone()
    last = None if values is None else _checked(path, values)
    next_offset = 0 if last is None else last.batch.next_offset
    if advance is not None and advance[1] != _advance_crc32(advance[0]):
        raise QueueCorruptError(str(path), next_offset)
    return LogEnd(
        next_offset=next_offset,
        last_received_at=None if last is None else last.last_received_at,
        advanced_to=None if advance is None else advance[0],
    )


def _checked(
    path: Path, values: tuple[int, int, str, int | None, int, int, int, bytes | None, bytes]
) -> BatchRow:
    first_offset, count, producer, received_at, first_received_at, last_received_at, crc32, times, body = (
        values
    )
    row = BatchRow(
        Batch(first_offset, count, producer, received_at, body, times or b""),
        first_received_at,
        last_received_at,
    )
    if type(body) is not bytes or row.crc32 != crc32:
        raise QueueCorruptError(str(path), first_offset)
    return row


def _sync_folders(path: Path) -> None:
    """Make the names of a new file's folders durable: a file that is synced is lost with a folder that is not."""
    for folder in path.absolute().parents:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Anything else says that this folder is not ours to sync, or that its file system needs no sync.
        if error.errno == errno.EIO:
            raise


def _set_wal(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise QueueError(f"{path} cannot be kept in WAL mode ({mode}); put it on a local disk")


def _advance_crc32(advanced_to: int) -> int:
    return zlib.crc32(str(advanced_to).encode())


def _is_made(connection: sqlite3.Connection, path: Path) -> bool:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, FILE_VERSION):
        raise QueueError(
            f"{path} is a queue file of version {version}, this program knows {FILE_VERSION}; "
            "use the program that wrote it"
        )
    return version == FILE_VERSION
