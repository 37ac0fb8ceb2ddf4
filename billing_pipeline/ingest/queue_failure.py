"""Which errors leave it unknown what the queue's disk holds."""

import errno
import sqlite3

_PRIMARY_CODE = 0xFF
_SYNC_CODES = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})


def leaves_disk_unknown(error: BaseException, *, committing: bool) -> bool:
    """Whether after this error nobody knows what is on disk, so that nothing may be built on it.

    A failed fsync always does: the operating system takes the pages that it could not write for written, and the next
    fsync succeeds without them. It must never be tried again. While committing or checkpointing so does any other I/O
    error. A full disk does not: the write failed as a whole and is taken back.
    """
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return True
    if code is None:
        # Not SQLite's: a fault of ours in the middle of a commit is no better than the disk's.
        return committing and not isinstance(error, sqlite3.Error)
    return code in _SYNC_CODES or (committing and code & _PRIMARY_CODE == sqlite3.SQLITE_IOERR)
