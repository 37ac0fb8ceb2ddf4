"""The sync client's thread: gathers a batch, sends it, pauses after a failure."""

import threading
import time

from billing_pipeline.emit.core import Core
from billing_pipeline.emit.transport import Transport


class Sender:
    """Sends what the spool holds, from `start` to `stop`."""

    def __init__(self, core: Core, transport: Transport) -> None:
        self._core = core
        self._transport = transport
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._hurry = 0
        self._is_idle = False
        self._thread = threading.Thread(target=self._run, name="billing sender", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def emitted(self) -> None:
        """Look again if need be: something was emitted. Waking the thread for each event would slow both down."""
        if self._is_idle or self._core.is_full():
            self._notify()

    def flush(self, timeout_seconds: float) -> bool:
        """Send at once what waits now; whether the gateway settled all of it in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            wanted = self._core.settled + self._core.spool.waiting
            self._hurry = max(self._hurry, wanted)
            self._changed.notify_all()
            while self._core.settled < wanted and not self._stopping.is_set():
                rest = deadline - time.monotonic()
                if rest <= 0:
                    break
                self._changed.wait(rest)
            return self._core.settled >= wanted

    def stop(self, timeout_seconds: float) -> None:
        """Begin no further attempt, and wait for a running one."""
        self._stopping.set()
        self._notify()
        self._thread.join(max(0.0, timeout_seconds))

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._wait_until_due()
            if self._stopping.is_set():
                break
            pause_seconds = self._attempt()
            self._notify()
            if pause_seconds > 0:
                self._core.options.chance.pause(self._stopping, pause_seconds)
        self._transport.close()

    def _wait_until_due(self) -> None:
        while not self._stopping.is_set():
            self._is_idle = True  # before looking, so that what is emitted after the look wakes the thread
            if self._core.is_due(self._hurry):
                break
            seconds = self._core.due_in_seconds()
            self._is_idle = seconds is None
            self._changed.wait(seconds)
        self._is_idle = False

    def _attempt(self) -> float:
        delivery = self._core.delivery
        try:
            request = delivery.request()
            return delivery.conclude(request, self._transport.post(request.body, request.headers))
        except Exception as error:  # noqa: BLE001 - whatever broke, events wait, and the thread must live to try again
            return delivery.stopped(error)
