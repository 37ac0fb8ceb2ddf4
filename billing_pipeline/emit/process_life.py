"""What happens to clients when their process ends or forks."""

import atexit
import os
import weakref
from typing import Protocol


class Living(Protocol):
    """A client, as its process sees it."""

    def at_exit(self) -> None:
        """The process ends: send what can be sent in a bounded time, and say what cannot."""

    def forget(self) -> None:
        """This is the child of a fork: the client belongs to the parent, with its threads, locks and files."""


_LIVING: weakref.WeakSet[Living] = weakref.WeakSet()
_REGISTERED: list[int] = []


def watch(client: Living) -> None:
    """Tell the client when its process ends or forks, until `unwatch`."""
    if not _REGISTERED:
        _REGISTERED.append(os.getpid())
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork_in_child)
    _LIVING.add(client)


def unwatch(client: Living) -> None:
    """Tell it nothing any more."""
    _LIVING.discard(client)


def _at_exit() -> None:
    for client in list(_LIVING):
        client.at_exit()


def _after_fork_in_child() -> None:
    for client in list(_LIVING):
        client.forget()
    _LIVING.clear()
