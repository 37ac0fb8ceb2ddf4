"""A file system of SQLite's (VFS) that records what is done to the queue's files, and fails when told to."""

import errno
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import apsw
import pytest

from billing_pipeline.ingest import queue_file
from billing_pipeline_tests.ingest.power_loss.recorded_disk import RecordedDisk

_NUMBERS = itertools.count()


@dataclass
class Fault:
    """From the `first` call of a kind on (counted from 0), `times` calls fail with SQLite's (extended) code."""

    kind: str = ""
    first: int = 0
    code: int = 0
    times: int = 1
    calls: int = 0

    def strikes(self, kind: str) -> bool:
        if kind != self.kind:
            return False
        self.calls += 1
        return self.first < self.calls <= self.first + self.times

    def error(self) -> Exception:
        error: Any = apsw.exception_for(self.code)
        error.extendedresult = self.code
        return cast("Exception", error)


class RecordingFile(apsw.VFSFile):
    """A file of the real file system, whose writes, truncations and syncs are recorded."""

    def __init__(self, vfs: "RecordingVfs", filename: Any, flags: list[int]) -> None:
        path = Path(filename.filename() if isinstance(filename, apsw.URIFilename) else filename)
        exists = path.exists()
        super().__init__(vfs.base, filename, flags)
        self._disk, self._fault = vfs.disk, vfs.fault
        journals = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
        self._inode = vfs.disk.open(path.name, exists=exists, syncs_folder=bool(flags[0] & journals))

    def excepthook(self, etype: Any, evalue: Any, etraceback: Any) -> bool:  # noqa: ARG002
        return True

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        data = bytes(data)
        strikes = self._fault.strikes("write")
        if strikes:
            data = data[: len(data) // 2]
        if data:
            super().xWrite(data, offset)
            self._disk.record("write", inode=self._inode, offset=offset, data=data)
        if strikes:
            raise self._fault.error()

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        super().xTruncate(newsize)
        self._disk.record("truncate", inode=self._inode, offset=newsize)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802 - SQLite's name
        # The real sync is spared: what it would keep is what this disk is about.
        if self._fault.strikes("sync"):
            self._disk.record("failed sync", inode=self._inode)
            raise self._fault.error()
        self._disk.sync(self._inode)


class RecordingVfs(apsw.VFS):
    """The real file system of SQLite, with `RecordingFile`s."""

    def __init__(self, disk: RecordedDisk, fault: Fault) -> None:
        self.disk, self.fault = disk, fault
        self.base = ""
        self.vfs_name = f"recording {next(_NUMBERS)}"
        super().__init__(self.vfs_name, self.base)

    def excepthook(self, etype: Any, evalue: Any, etraceback: Any) -> bool:  # noqa: ARG002
        return True

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's name
        return RecordingFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        super().xDelete(filename, syncdir)
        self.disk.record("delete", Path(filename).name)
        if syncdir:
            self.disk.record("sync folder")


@contextmanager
def recording(disk: RecordedDisk, fault: Fault, *, writes_again: bool = True) -> Iterator[RecordingVfs]:
    """The file system while it is registered; it also sees, or leaves out, the one write that is not SQLite's."""
    vfs = RecordingVfs(disk, fault)

    def write_again(path: Path) -> None:
        if not writes_again or not path.exists():
            return
        inode = disk.names[path.name]
        disk.record("write", inode=inode, data=path.read_bytes())
        if fault.strikes("sync"):
            disk.record("failed sync", inode=inode)
            raise OSError(errno.EIO, "the disk failed")
        disk.record("sync", inode=inode)
        disk.record("sync folder")

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(queue_file, "write_again", write_again)
            yield vfs
    finally:
        vfs.unregister()
