"""The client for a product's threads: takes usage events over durably, and brings them to the gateway."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self, Unpack

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.emit.building import Event, UsageFields, build_usage
from billing_pipeline.emit.core import CLOSE_TIMEOUT_SECONDS, ApiKey, Core, Durability, events_url
from billing_pipeline.emit.delivery import Counts
from billing_pipeline.emit.options import Options
from billing_pipeline.emit.process_life import unwatch, watch
from billing_pipeline.emit.sender import Sender
from billing_pipeline.emit.transport import HttpTransport, Transport


class Client:
    """Usage events from any thread to the gateway, at least once, always under the same ids.

    Args:
        url: the gateway's address, like `https://billing.example`.
        api_key: its key, or what to ask for it.
        source: the producer's name, for events that do not say theirs.
        spool_directory: where events wait on disk. What an earlier process left there is sent first.
        durability: `disk`: an event is on the disk before `emit` returns; `memory`: it is lost with the process.
        options: limits, pauses, and who is told.
        transport: how requests are carried; over HTTP by default.

    Raises:
        SpoolLockedError: another live client has the directory.
        SpoolError: the directory cannot be used.
    """

    def __init__(
        self,
        url: str,
        api_key: ApiKey,
        *,
        source: str | None = None,
        spool_directory: Path | None = None,
        durability: Durability = "disk",
        options: Options | None = None,
        transport: Transport | None = None,
    ) -> None:
        options = options or Options()
        self._core = Core(api_key, source, spool_directory, durability, options)
        carrier = transport or HttpTransport(events_url(url), options.request_timeout_seconds)
        self._sender = Sender(self._core, carrier)
        self._sender.start()
        watch(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def usage(self, **fields: Unpack[UsageFields]) -> UsageEvent:
        """Build one usage event and emit it; errors as `emit`."""
        core = self._core
        event = build_usage(fields, source=core.source, now_us=core.options.chance.wall_us())
        self.emit(event)
        return event

    def emit(self, event: Event) -> None:
        """Take an event over: a usage event, a correction, or the fields of either or of a CloudEvent.

        Raises:
            EventFaultsError: it breaks the contract; every fault is listed.
            SpoolFullError: too much waits for the gateway.
            SpoolError: the disk failed.
            ClientClosedError: the client is closed, or its process was forked from the one that made it.
        """
        self.emit_all([event])

    def emit_all(self, events: Iterable[Event]) -> None:
        """Take events over with one sync of the disk, all or none; errors as `emit`."""
        self._core.append(self._core.payloads(events))
        self._sender.emitted()

    def flush(self, timeout_seconds: float) -> bool:
        """Send now what was emitted before; whether the gateway settled all of it in time."""
        self._core.check_open()
        return self._sender.flush(timeout_seconds)

    def close(self, timeout_seconds: float = CLOSE_TIMEOUT_SECONDS) -> bool:
        """Flush, then let go of the spool; whether everything was settled. What was not stays in the spool.

        Twice changes nothing; in a forked child it does nothing.
        """
        deadline = time.monotonic() + timeout_seconds
        if not self._core.refuse("this client is closed; make a new one"):
            return True
        unwatch(self)
        self._sender.flush(timeout_seconds)
        self._sender.stop(deadline - time.monotonic())
        return self._core.close()

    @property
    def counts(self) -> Counts:
        """What was done so far; `waiting` includes what an earlier process left."""
        return self._core.counts()

    @property
    def last_problem(self) -> str | None:
        """Why the last attempt to send failed; None where it did not."""
        return self._core.delivery.last_problem

    def at_exit(self) -> None:
        """As `process_life.Living`."""
        self.close(self._core.exit_timeout_seconds())

    def forget(self) -> None:
        """As `process_life.Living`."""
        self._core.forget()
