"""What `/metrics` tells."""

from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Make = Callable[..., dict[str, Any]]


def samples(door: Any) -> dict[str, float]:
    """Every sample by its name and labels."""
    answer = door.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_and_events_are_counted(door: Any, event: Make) -> None:
    """By status, and by code."""
    limited = door.issue(events_per_second=1)
    door.send([event("a"), event("b"), event("c", unit="")])
    door.send("no JSON")
    door.send([event("d"), event("e")], key=limited)
    door.send(event("f"), key=limited)
    found = samples(door)
    assert found["billing_gateway_requests_total{status=207}"] == 1
    assert found["billing_gateway_requests_total{status=400}"] == 1
    assert found["billing_gateway_requests_total{status=429}"] == 1
    assert found["billing_gateway_events_accepted_total"] == 4
    assert found["billing_gateway_events_refused_total{code=empty}"] == 1
    assert found[f"billing_gateway_rate_limited_total{{key_id={door.keys[1].key_id}}}"] == 1
    assert found["billing_gateway_batch_events_sum"] == 6
    assert found["billing_gateway_durable_seconds_count"] == 2


def test_the_queues_depth_and_lag_are_told(door: Any, event: Make) -> None:
    """And what the gateway holds now."""
    door.send([event("a"), event("b")])
    door.queue.commit("landing", 1)
    found = samples(door)
    assert found["billing_queue_records"] == 2
    assert found["billing_queue_lag_records{group=landing}"] == 1
    assert found["billing_gateway_buffer_bytes"] == 0
    assert found["billing_gateway_requests_in_flight"] == 0
    assert found["billing_gateway_keys"] == 1
