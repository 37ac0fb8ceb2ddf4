"""The customers as the registry says now, for a process that runs long: read again beside the work, swapped at once."""

import threading
from collections.abc import Callable
from typing import Self

from billing_pipeline.contract.registry import Registry
from billing_pipeline.guardrails.customers.customer_days import CustomerDays
from billing_pipeline.rating.holdings import Rules

REFRESH_SECONDS = 10.0
"""How soon a change of the registry holds, at the latest."""

SOON_SECONDS = 1.0
"""How soon one holds that somebody asked for in vain: a customer registered just now."""


class CurrentCustomers:
    """`days` is always there and never waited for; `refresh` reads the registry and puts another one in its place."""

    def __init__(self, read: Callable[[], Registry], rules: Rules) -> None:
        """Read the registry for the first time.

        Args:
            read: the registry now; the same object as the last time where nothing has changed.
            rules: the rule books.
        """
        self._read = read
        self.rules = rules
        self._reading = threading.Lock()
        self._missed = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.days = CustomerDays(read(), rules)

    def refresh(self) -> bool:
        """Read the registry again; whether it has changed. Whatever keeps it from being read leaves what is known."""
        with self._reading:
            registry = self._read()
            if registry is self.days.registry:
                return False
            self.days = CustomerDays(registry, self.rules)
            return True

    def look_again(self) -> None:
        """Somebody was not found: read the registry again soon."""
        self._missed.set()

    def keep_current(
        self,
        on_problem: Callable[[Exception], None] | None = None,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
        soon_seconds: float = SOON_SECONDS,
    ) -> None:
        """Refresh from a thread of its own until `close`.

        Args:
            on_problem: is told why the registry could not be read; what is known stays, and it is read again.
            refresh_seconds: after so long.
            soon_seconds: after so long where somebody was not found.
        """

        def run() -> None:
            while not self._ended.wait(soon_seconds):
                self._missed.wait(max(refresh_seconds - soon_seconds, 0.0))
                self._missed.clear()
                if self._ended.is_set():
                    return
                try:
                    self.refresh()
                except Exception as error:  # noqa: BLE001 - whatever it is may pass, and the thread must go on
                    if on_problem is not None:
                        on_problem(error)

        self._thread = threading.Thread(target=run, name="registry of the guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no more. Twice changes nothing."""
        self._ended.set()
        self._missed.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
