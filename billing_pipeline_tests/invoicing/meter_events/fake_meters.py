"""Stripe's meters in memory: unique identifiers for 24 hours, 35 days back, counted by customer, meter and day."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Lock
from typing import Any

from billing_pipeline.errors import (
    MeterEventDuplicateError,
    MeterEventTooOldError,
    StripeRefusedError,
)
from billing_pipeline.invoicing.meter_events.port import MeterErrorReport, StripeMeter

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
ACCOUNT = "acct_fake/test"


class FakeMeters:
    """A `MeterPort`. `fault` is asked before and after each event is counted, and may raise."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.fault: Callable[[str, str], None] = lambda _identifier, _when: None
        self.known: dict[str, int] = {}
        self.counted: dict[tuple[str, str, date], int] = {}
        self.received: list[tuple[str, str]] = []
        self.keys: list[str] = []
        self.names: set[str] = set()
        self.reports: list[MeterErrorReport] = []
        self.at_once: dict[str, int] = {}
        self.most_at_once = 0
        self._lock = Lock()

    def account(self) -> str:
        return ACCOUNT

    def send_event(self, parameters: Mapping[str, Any], idempotency_key: str) -> None:
        identifier, name = parameters["identifier"], parameters["event_name"]
        customer, value = parameters["payload"]["stripe_customer_id"], int(parameters["payload"]["value"])
        day = datetime.fromtimestamp(parameters["timestamp"], UTC).date()
        self._enter(f"{customer}/{name}", 1)
        try:
            self.keys.append(idempotency_key)
            self.fault(identifier, "before")
            with self._lock:
                if name not in self.names:
                    raise StripeRefusedError("send meter event", f"no meter {name}", 400)
                if self.clock() - self.known.get(identifier, -(1 << 62)) < DAY_US:
                    raise MeterEventDuplicateError("send meter event", "already exists", 400)
                if self.clock() - parameters["timestamp"] * 1_000_000 > 35 * DAY_US:
                    raise MeterEventTooOldError("send meter event", "too old", 400)
                self.known[identifier] = self.clock()
                self.received.append((identifier, name))
                key = (customer, name, day)
                self.counted[key] = self.counted.get(key, 0) + value
            self.fault(identifier, "after")
        finally:
            self._enter(f"{customer}/{name}", -1)

    def cancel_event(self, parameters: Mapping[str, Any], idempotency_key: str) -> None:
        identifier = parameters["cancel"]["identifier"]
        if identifier not in self.known:
            raise StripeRefusedError("cancel meter event", f"no event {identifier}, {idempotency_key}", 400)

    def meters(self) -> list[StripeMeter]:
        return [
            StripeMeter(meter_id=f"mtr_{name}", event_name=name, display_name=name, is_active=True)
            for name in sorted(self.names)
        ]

    def summaries(
        self, meter_id: str, stripe_customer_id: str, first: date, until: date
    ) -> dict[date, Decimal]:
        return {
            day: Decimal(value)
            for (customer, name, day), value in self.counted.items()
            if f"mtr_{name}" == meter_id and customer == stripe_customer_id and first <= day < until
        }

    def error_reports(self, since_us: int) -> list[MeterErrorReport]:
        return [report for report in self.reports if report.reported_at >= since_us]

    def _enter(self, key: str, change: int) -> None:
        with self._lock:
            self.at_once[key] = self.at_once.get(key, 0) + change
            self.most_at_once = max(self.most_at_once, self.at_once[key])
