"""What the gateway counts, as Prometheus reads it; a registry of its own."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from billing_pipeline.ingest.queue import QueueStatus
from billing_pipeline.ingest.queue_clock import wall_clock_us

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_SECONDS_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The gateway's counters and histograms."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "billing_gateway_requests", "Requests to /v1/events by status.", ["status"], registry=registry
        )
        self._requests_by_status: dict[int, Counter] = {}
        self.accepted = Counter(
            "billing_gateway_events_accepted", "Events accepted, durably.", registry=registry
        )
        self.refused = Counter(
            "billing_gateway_events_refused", "Events refused, by code.", ["code"], registry=registry
        )
        self.rate_limited = Counter(
            "billing_gateway_rate_limited", "Requests beyond a key's rate.", ["key_id"], registry=registry
        )
        self.batch_events = Histogram(
            "billing_gateway_batch_events", "Events a request.", buckets=_BATCH_BUCKETS, registry=registry
        )
        self.durable_seconds = Histogram(
            "billing_gateway_durable_seconds",
            "From handing a request's events to the queue until they are durable.",
            buckets=_SECONDS_BUCKETS,
            registry=registry,
        )
        self.request_seconds = Histogram(
            "billing_gateway_request_seconds",
            "From a request's headers to its answer.",
            buckets=_SECONDS_BUCKETS,
            registry=registry,
        )
        self.clock_failures = Counter(
            "billing_gateway_clock_failures", "Times the queue's clock could not be moved.", registry=registry
        )
        self.key_failures = Counter(
            "billing_gateway_key_failures", "Times the API keys could not be read.", registry=registry
        )

        self.desk_requests = Counter(
            "billing_gateway_desk_requests",
            "Requests to the review routes and the console by status.",
            ["status"],
            registry=registry,
        )
        self.guard_requests = Counter(
            "billing_guard_requests",
            "Requests to the guard by path and status.",
            ["path", "status"],
            registry=registry,
        )
        self.guard_denials = Counter(
            "billing_guard_denials", "Reserves denied, by rule.", ["rule"], registry=registry
        )
        self.guard_seconds = Histogram(
            "billing_guard_durable_seconds",
            "From handing a request to the ledger until its answer is durable.",
            buckets=_SECONDS_BUCKETS,
            registry=registry,
        )
        self.guard_log_events = Counter(
            "billing_guard_log_events",
            "Usage events of the log that the guard has looked at, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.guard_velocity_pauses = Counter(
            "billing_guard_velocity_pauses", "Pauses set because spend ran away.", registry=registry
        )
        self.chore_failures = Counter(
            "billing_gateway_chore_failures", "Times a chore failed, by chore.", ["chore"], registry=registry
        )

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show what a function says whenever the metrics are read."""
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def request(self, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        counter = self._requests_by_status.get(status)
        if counter is None:
            counter = self._requests_by_status[status] = self._requests.labels(str(status))
        counter.inc()
        self.request_seconds.observe(seconds)

    def text(self) -> bytes:
        """All metrics as Prometheus reads them."""
        return generate_latest(self.registry)


class QueueCollector(Collector):
    """How long the log is, how far its readers are, and how old its clock; read from the queue when asked."""

    def __init__(self, status: Callable[[], QueueStatus]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """The queue's gauges."""
        status = self._status()
        yield _gauge("billing_queue_records", "Records in the log.", status.next_offset)
        yield _gauge("billing_queue_size_bytes", "Bytes of the queue's files.", status.size_bytes)
        age_seconds = max(0, wall_clock_us() - status.clock) / 1e6 if status.clock else 0.0
        yield _gauge(
            "billing_queue_clock_age_seconds", "How far the clock is behind the wall clock.", age_seconds
        )
        lag = GaugeMetricFamily(
            "billing_queue_lag_records", "Records a group has yet to read.", labels=["group"]
        )
        for group, offset in sorted(status.committed.items()):
            lag.add_metric([group], status.next_offset - offset)
        yield lag


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)
