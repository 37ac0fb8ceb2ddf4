"""What happens with time and with several requests at once."""

from pathlib import Path
from threading import Event, Thread

from billing_pipeline.invoicing.simulator.api import Simulator
from billing_pipeline.invoicing.simulator.http_messages import Request, Response
from billing_pipeline.invoicing.simulator.rate_limit import TokenBucket
from billing_pipeline.invoicing.simulator.store import Store
from billing_pipeline_tests.invoicing.simulator.asking import NOW, code, send, succeed


def test_keys_are_forgotten_after_a_day(store: Store) -> None:
    """Within 24 hours a key is replayed; after that it is as new, and the request is done again."""
    simulator = Simulator(store, lambda: NOW)
    first = send(simulator, "POST", "/v1/customers", {"name": "Ada"}, "k")
    succeed(simulator, "POST", "/simulator/clock", advance_seconds=86_400)
    assert send(simulator, "POST", "/v1/customers", {"name": "Ada"}, "k").body == first.body
    succeed(simulator, "POST", "/simulator/clock", advance_seconds=1)
    assert send(simulator, "POST", "/v1/customers", {"name": "Ada"}, "k").body != first.body


def test_the_clock_goes_on_for_all_who_share_the_store(store: Store, tmp_path: Path) -> None:
    """The offset is in the file; the clock goes to a time as well, and never back."""
    succeed(Simulator(store, lambda: NOW), "POST", "/simulator/clock", to=NOW + 500)
    other = Store(tmp_path / "simulator.sqlite")
    simulator = Simulator(other, lambda: NOW)
    assert succeed(simulator, "GET", "/simulator/clock")["now"] == NOW + 500
    assert succeed(simulator, "POST", "/v1/customers")["created"] == NOW + 500
    for form in ({"to": NOW}, {"advance_seconds": -1}, {}, {"advance_seconds": 1, "to": NOW + 900}):
        assert send(simulator, "POST", "/simulator/clock", form).status == 400
    other.close()


def test_a_key_in_use_is_a_conflict(store: Store) -> None:
    """While a request runs, another one with the same key is answered 409, and nothing is kept of that."""
    inside, go_on = Event(), Event()

    def clock() -> int:
        inside.set()
        assert go_on.wait(30)
        return NOW

    simulator = Simulator(store, clock)
    answers: list[Response] = []
    thread = Thread(target=lambda: answers.append(send(simulator, "POST", "/v1/customers", {}, "k")))
    thread.start()
    assert inside.wait(30)
    assert code(send(simulator, "POST", "/v1/customers", {}, "k")) == (409, "idempotency_key_in_use")
    go_on.set()
    thread.join()
    assert send(simulator, "POST", "/v1/customers", {}, "k").body == answers[0].body


def test_one_meter_event_at_a_time_per_customer_and_meter(store: Store) -> None:
    """A second one that runs meanwhile is answered 429; one of another customer waits its turn."""
    inside, go_on = Event(), Event()

    def clock() -> int:
        inside.set()
        assert go_on.wait(30)
        return NOW

    simulator = Simulator(store, clock)
    event = {"event_name": "tokens", "payload[stripe_customer_id]": "cus_1", "payload[value]": "1"}
    thread = Thread(target=lambda: send(simulator, "POST", "/v1/billing/meter_events", event, "k1"))
    thread.start()
    assert inside.wait(30)
    assert code(send(simulator, "POST", "/v1/billing/meter_events", event, "k2")) == (429, "lock_timeout")
    go_on.set()
    thread.join()
    assert send(simulator, "POST", "/v1/billing/meter_events", event, "k2").status == 200


def test_requests_beyond_the_rate_are_refused(store: Store) -> None:
    """So many per second, as many at once; the rest is 429 with Retry-After, and the bucket fills with time."""
    seconds = [0.0]
    handler = TokenBucket(2, lambda: seconds[0]).wrap(Simulator(store, lambda: NOW).handle)
    request = Request("GET", "/v1/customers", "", "sk_test_any")
    assert [handler(request).status for _ in range(3)] == [200, 200, 429]
    assert handler(request).headers["Retry-After"] == "1"
    assert code(handler(request)) == (429, "rate_limit")
    seconds[0] = 0.5
    assert [handler(request).status for _ in range(2)] == [200, 429]
