"""Hands bytes to a reader of files through a named pipe: nothing is written to disk only to be read once."""

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

PIPE_BYTES = 1 << 20
"""What an unprivileged process may ask for on Linux; a larger pipe means fewer changes of thread."""


@contextlib.contextmanager
def body_pipe(path: Path, bodies: Iterable[bytes]) -> Iterator[Path]:
    """A named pipe at `path` out of which the bodies come, one after the other; it can be read once.

    A thread fills it. However the reader ends, also without ever opening it, the thread ends with the block.
    Where the system has no named pipes, a plain file does.
    """
    if not hasattr(os, "mkfifo"):
        with path.open("wb") as file:
            file.writelines(bodies)
        yield path
        return
    os.mkfifo(path)
    feeder = _Feeder(path, bodies)
    feeder.start()
    try:
        yield path
    finally:
        # A feeder that still waits for its first reader gets one; if it is in the middle, it finds that nobody reads.
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        feeder.opened.wait()
        os.close(reader)
        feeder.join()
        path.unlink()
    if feeder.failure is not None:
        raise feeder.failure


class _Feeder(threading.Thread):
    def __init__(self, path: Path, bodies: Iterable[bytes]) -> None:
        super().__init__(name=f"feeder of {path.name}", daemon=True)
        self.opened = threading.Event()
        self.failure: Exception | None = None
        self._path = path
        self._bodies = bodies

    def run(self) -> None:
        try:
            pipe = os.open(self._path, os.O_WRONLY)
            try:
                self.opened.set()
                self._fill(pipe)
            finally:
                os.close(pipe)
        except BrokenPipeError:
            pass  # the reader has stopped, and says why
        except Exception as error:  # noqa: BLE001 - whatever it was, the thread that waits must learn of it
            self.failure = error
        finally:
            self.opened.set()

    def _fill(self, pipe: int) -> None:
        # Linux alone has the call, and refuses it where the user has many pipes: then the pipe stays small.
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl

            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        for body in self._bodies:
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(pipe, rest) :]
