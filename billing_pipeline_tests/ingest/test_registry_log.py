"""The registry read again and again: from then on just what the log has got since."""

from collections.abc import Callable

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.ingest.registry_log import RegistryReader
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.pipeline import Pipeline

NOW = instant_us("2040-02-10T12:00:00Z") or 0


def open_queue(pipeline: Pipeline) -> SqliteQueue:
    path = pipeline.settings.queue_path
    path.parent.mkdir(parents=True, exist_ok=True)
    return SqliteQueue(path, wall_clock=lambda: NOW, steady_clock=lambda: NOW)


def test_the_same_registry_is_answered_until_the_log_has_a_change(
    pipeline: Pipeline, registered: Callable[..., list[LogRecord]], usage: Callable[..., LogRecord]
) -> None:
    """Usage is none; a change is found wherever it stands, also beside usage in one batch."""
    with open_queue(pipeline) as queue:
        queue.append("test", registered("acme"))
        pipeline.lander(queue).land()
        queue.append("test", registered("bolt"))
        reader = RegistryReader(pipeline.workshop, pipeline.lander(queue))
        known = reader.read()
        assert known.known_customers() == ("acme", "bolt")
        queue.append("test", [usage("e1", "2040-02-10T00:00:00Z")])
        assert reader.read() is known
        queue.append("test", [usage("e2", "2040-02-10T00:00:00Z"), *registered("crisp")])
        grown = reader.read()
        assert grown.known_customers() == ("acme", "bolt", "crisp")
        assert reader.read() is grown
        assert [each.queue_offset for each in grown.changes] == [0, 1, 2, 3, 4, 5, 8, 9, 10]


def test_what_was_pruned_before_it_was_read_comes_from_the_lake(
    pipeline: Pipeline, registered: Callable[..., list[LogRecord]]
) -> None:
    """It has been landed."""
    with open_queue(pipeline) as queue:
        reader = RegistryReader(pipeline.workshop, pipeline.lander(queue))
        assert reader.read().known_customers() == ()
        for customer_id in ("acme", "bolt"):
            queue.append("test", registered(customer_id))
        pipeline.lander(queue).land()
        queue.prune(queue.committed("landing"), NOW + 1)
        assert queue.status().first_kept_offset > 0
        assert reader.read().known_customers() == ("acme", "bolt")
