"""What the sync and the async client have in common: the spool, the delivery, and what is counted."""

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from billing_pipeline.emit.building import Event, payload_of
from billing_pipeline.emit.delivery import Counts, Delivery, checked_key
from billing_pipeline.emit.disk_spool import DiskSpool
from billing_pipeline.emit.options import Options
from billing_pipeline.emit.refusal import RefusedFile
from billing_pipeline.emit.spool import MemorySpool, Spool
from billing_pipeline.errors import ClientClosedError, EmitError

Durability = Literal["disk", "memory"]
ApiKey = str | Callable[[], str]
"""A callable is asked before each request, so a key can be replaced while the client runs. It is never logged."""

PATH = "/v1/events"
CLOSE_TIMEOUT_SECONDS = 5.0
_LOG = logging.getLogger("billing_pipeline.emit")


class Core:
    """An open spool and the delivery from it. Blocking; the clients decide in which thread."""

    def __init__(
        self,
        api_key: ApiKey,
        source: str | None,
        spool_directory: Path | None,
        durability: Durability,
        options: Options,
    ) -> None:
        if isinstance(api_key, str):
            checked_key(api_key)
        self.options = options
        self.source = source
        self.durability = durability
        self._emitted = 0
        self._lock = threading.Lock()
        self._refusal: str | None = None
        found: list[str] = []
        self.spool: Spool
        refused_file = None
        if durability == "disk":
            if spool_directory is None:
                raise EmitError("name a spool_directory for the events, or choose durability='memory'")
            disk = DiskSpool(
                spool_directory,
                limit_bytes=options.spool_bytes,
                segment_bytes=options.segment_bytes,
                slots=options.spool_slots,
                steady_seconds=options.chance.steady_seconds,
                told=found.append,
            )
            refused_file = RefusedFile(disk.directory)
            self.spool = disk
        else:
            if spool_directory is not None:
                raise EmitError("durability='memory' has no use for a spool_directory; leave one of them out")
            self.spool = MemorySpool(options.spool_bytes, options.chance.steady_seconds)
        self.delivery = Delivery(self.spool, options, api_key, refused_file)
        for problem in found:
            self.delivery.tell(problem)

    def payloads(self, events: Iterable[Event]) -> list[bytes]:
        """The events as they are sent; errors as `building.payload_of`."""
        self.check_open()
        now_us, validate = self.options.chance.wall_us(), self.options.validate
        return [payload_of(event, source=self.source, now_us=now_us, validate=validate) for event in events]

    def append(self, payloads: list[bytes]) -> None:
        """Take events over; errors as `Spool.append`."""
        if payloads:
            self.spool.append(payloads)
            with self._lock:
                self._emitted += len(payloads)

    def check_open(self) -> None:
        """Raise ClientClosedError where the client takes nothing any more."""
        if self._refusal is not None:
            raise ClientClosedError(self._refusal)

    def refuse(self, why: str) -> bool:
        """Take nothing from now on; whether this changes anything."""
        if self._refusal is not None:
            return False
        self._refusal = why
        return True

    def forget(self) -> None:
        """As `process_life.Living`."""
        self.refuse(
            "this client belongs to the process that made it; after a fork, make one in the child, with a spool "
            "directory of its own or with `spool_slots`"
        )

    @property
    def settled(self) -> int:
        """Events that the gateway has settled."""
        return self.delivery.acknowledged + self.delivery.refused

    def is_due(self, hurry: int) -> bool:
        """Whether a batch should be sent now; `hurry` is the settled count that somebody waits for."""
        return self.spool.waiting > 0 and (
            self.settled < hurry or self.is_full() or self.due_in_seconds() == 0
        )

    def is_full(self) -> bool:
        """Whether a whole batch waits."""
        return (
            self.spool.waiting >= self.options.batch_events
            or self.spool.waiting_bytes >= self.options.batch_bytes
        )

    def due_in_seconds(self) -> float | None:
        """When the oldest event has waited long enough; None where nothing waits."""
        oldest = self.spool.oldest_seconds
        if oldest is None or self.spool.waiting <= 0:
            return None
        return max(0.0, oldest + self.options.batch_age_seconds - self.options.chance.steady_seconds())

    def counts(self) -> Counts:
        """What was done so far."""
        return Counts(
            emitted=self._emitted,
            acknowledged=self.delivery.acknowledged,
            refused=self.delivery.refused,
            retried=self.delivery.retried,
            waiting=max(0, self.spool.waiting),
        )

    def exit_timeout_seconds(self) -> float:
        """How long an end is worth waiting for: not at all where the events are safe and the gateway fails."""
        safe = self.durability == "disk" and self.delivery.last_problem is not None
        return 0.0 if safe else self.options.exit_timeout_seconds

    def close(self) -> bool:
        """Close the spool; whether nothing was left."""
        left = max(0, self.spool.waiting)
        self.spool.close()
        if left and self.durability == "disk":
            _LOG.warning("%d events wait in the spool; the next client on its directory sends them", left)
        elif left:
            _LOG.error(
                "%d events were not sent and are lost: the client was closed before the gateway had them",
                left,
            )
        return left == 0


def events_url(url: str) -> str:
    """Where events are posted to, of a gateway's address."""
    return url.rstrip("/") + PATH
