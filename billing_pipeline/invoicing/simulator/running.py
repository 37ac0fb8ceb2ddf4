"""What runs at this moment: of two requests that may not run together, the second one is told so."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Running:
    """The names of what runs in this process; safe to be shared by threads."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._lock = Lock()

    @contextmanager
    def claim(self, name: str | None) -> Iterator[bool]:
        """Whether the block is the only one of its name; None is always alone."""
        if name is None:
            yield True
            return
        with self._lock:
            is_alone = name not in self._names
            self._names.add(name)
        try:
            yield is_alone
        finally:
            if is_alone:
                with self._lock:
                    self._names.remove(name)
