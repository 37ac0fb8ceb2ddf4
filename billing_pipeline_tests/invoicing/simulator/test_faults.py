from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import stripe

from billing_pipeline.errors import FaultRuleError
from billing_pipeline.invoicing.simulator.fault_files import parse_fault, read_faults
from billing_pipeline.invoicing.simulator.faults import FaultKind, FaultRule, FaultScript
from billing_pipeline.invoicing.simulator.server import running_simulator

Client = Callable[[FaultScript], Any]


@pytest.fixture
def served(tmp_path: Path) -> Callable[..., Any]:
    """The SDK's client against a simulator with a fault script, without retries and with a short timeout."""

    @contextmanager
    def serve(script: FaultScript) -> Iterator[stripe.StripeClient]:
        with running_simulator(tmp_path / "simulator.sqlite", wrap=script.wrap) as address:
            http = stripe.RequestsClient(timeout=1.0)
            yield stripe.StripeClient("sk_test_any", base_addresses={"api": address}, http_client=http)
            http.close()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped

    return serve


def _create(client: stripe.StripeClient, key: str | None = "key-1") -> stripe.Customer:
    return client.v1.customers.create({"name": "Ada"}, {"idempotency_key": key} if key else {})


def _customers(client: stripe.StripeClient) -> int:
    return len(client.v1.customers.list().data)


def _script(kind: FaultKind, **options: Any) -> FaultScript:
    return FaultScript([FaultRule("POST", "/v1/customers", kind, **options)])


@pytest.mark.parametrize(
    ("kind", "status", "applied", "kept"),
    [
        (FaultKind.RATE_LIMITED, 429, False, False),
        (FaultKind.CONFLICT, 409, False, False),
        (FaultKind.UNAVAILABLE, 503, False, False),
        (FaultKind.ERROR_STORED, 500, False, True),
        (FaultKind.APPLIED_ERROR_STORED, 500, True, True),
        (FaultKind.APPLIED_THEN_DROPPED, None, True, False),
        (FaultKind.APPLIED_THEN_HANG, None, True, False),
        (FaultKind.DROPPED_BEFORE, None, False, False),
    ],
)
def test_each_fault_as_the_sdk_sees_it(
    served: Callable[..., Any], kind: FaultKind, status: int | None, *, applied: bool, kept: bool
) -> None:
    """Whether it was applied, what was answered, and whether the same key is answered the same again."""
    script = _script(kind, seconds=30.0)
    with served(script) as client:
        with pytest.raises(stripe.StripeError) as first:
            _create(client)
        assert first.value.http_status == status
        assert _customers(client) == int(applied)
        if kept:
            with pytest.raises(stripe.APIError) as second:
                _create(client)
            headers = second.value.headers or {}
            assert (second.value.http_status, headers["idempotent-replayed"]) == (500, "true")
        else:
            _create(client)
        assert _customers(client) == int(applied or not kept)
    assert [(fired.rule.kind, fired.idempotency_key) for fired in script.fired] == [(kind, "key-1")]


def test_a_rate_limit_says_when_to_come_again(served: Callable[..., Any]) -> None:
    """Retry-After is in whole seconds, rounded up."""
    limited = _script(FaultKind.RATE_LIMITED, seconds=1.5)
    with served(limited) as client, pytest.raises(stripe.RateLimitError) as caught:
        _create(client)
    assert (caught.value.headers or {})["retry-after"] == "2"


def test_a_hang_ends_by_itself(served: Callable[..., Any]) -> None:
    """After its seconds the connection is closed, also for a client that would wait longer."""
    started = monotonic()
    hanging = _script(FaultKind.APPLIED_THEN_HANG, seconds=0.2)
    with served(hanging) as client, pytest.raises(stripe.APIConnectionError):
        _create(client)
    assert monotonic() - started > 0.2


def test_a_slow_answer_is_a_right_answer(served: Callable[..., Any]) -> None:
    """It takes its time and is not repeated."""
    with served(_script(FaultKind.SLOW, seconds=0.3)) as client:
        started = monotonic()
        assert _create(client).name == "Ada"
        assert monotonic() - started >= 0.3


def test_a_stored_error_needs_a_key(served: Callable[..., Any]) -> None:
    """Without an idempotency key there is nothing under which to keep it."""
    with served(_script(FaultKind.ERROR_STORED)) as client:
        with pytest.raises(stripe.APIError):
            client.raw_request("post", "/v1/customers", name="Ada", idempotency_key="")
        assert _create(client, key=None).name == "Ada"


def test_rules_take_turns(served: Callable[..., Any]) -> None:
    """A rule lets `after` requests through, fires `times`, and then leaves the rest to the next rule."""
    script = FaultScript(
        [
            FaultRule("POST", "/v1/customers", FaultKind.CONFLICT, after=1, times=2),
            FaultRule("*", "/v1/**", FaultKind.UNAVAILABLE, after=3, times=None),
        ]
    )
    outcomes = []
    with served(script) as client:
        for number in range(6):
            try:
                _create(client, key=f"key-{number}")
                outcomes.append(200)
            except stripe.StripeError as error:
                outcomes.append(int(error.http_status or 0))
    assert outcomes == [200, 409, 409, 503, 503, 503]
    assert [fired.rule.kind for fired in script.fired] == ["conflict"] * 2 + ["unavailable"] * 3


def test_a_rule_is_about_one_path(served: Callable[..., Any]) -> None:
    """`*` stands for one segment: a rule for finalizing does not touch other requests."""
    script = FaultScript([FaultRule("POST", "/v1/invoices/*/finalize", FaultKind.UNAVAILABLE)])
    with served(script) as client:
        invoice = client.v1.invoices.create({"customer": _create(client).id})
        with pytest.raises(stripe.APIError):
            client.v1.invoices.finalize_invoice(invoice.id)
        assert client.v1.invoices.finalize_invoice(invoice.id).status == "paid"
    assert [fired.path for fired in script.fired] == [f"/v1/invoices/{invoice.id}/finalize"]


def test_faults_added_later_count_from_there(served: Callable[..., Any]) -> None:
    """Requests before are not counted, and every fault that fires is told at once."""
    told: list[str] = []
    script = FaultScript(tell=lambda fired: told.append(str(fired.rule.kind)))
    with served(script) as client:
        _create(client)
        script.add(FaultRule("GET", "/v1/customers", FaultKind.UNAVAILABLE))
        with pytest.raises(stripe.APIError):
            _customers(client)
        assert _customers(client) == 1
    assert told == ["unavailable"]


def test_a_fault_is_read_from_a_line() -> None:
    """Method, path and kind, then options in any order."""
    line = "post /v1/invoices/*/finalize error_stored times=2 after=1"
    expected = FaultRule("POST", "/v1/invoices/*/finalize", FaultKind.ERROR_STORED, after=1, times=2)
    assert parse_fault(line) == expected
    assert parse_fault(str(expected)) == expected
    forever = parse_fault("* /v1/** slow times=always seconds=0.5")
    assert (forever.times, forever.waited_seconds) == (None, 0.5)
    assert parse_fault(str(forever)) == forever


def test_faults_are_read_from_a_file(tmp_path: Path) -> None:
    """Lines and mappings may stand in one YAML list."""
    path = tmp_path / "faults.yaml"
    path.write_text(
        "- POST /v1/customers rate_limited times=3\n"
        "- {method: POST, path: /v1/invoices, kind: slow, seconds: 2}\n"
    )
    assert read_faults(path) == [
        FaultRule("POST", "/v1/customers", FaultKind.RATE_LIMITED, times=3),
        FaultRule("POST", "/v1/invoices", FaultKind.SLOW, seconds=2.0),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("POST /v1/customers", "METHOD PATH KIND"),
        ("POST /v1/customers explode", "the kinds are rate_limited"),
        ("POST v1/customers slow", "begins with /"),
        ("POST /v1/customers slow twice", "NAME=VALUE"),
        ("POST /v1/customers slow times=2 times=3", "NAME=VALUE"),
        ("POST /v1/customers slow chance=2", "chance is no field"),
        ("POST /v1/customers slow times=often", "not a number"),
        ("POST /v1/customers slow times=0", "times 1 or more"),
        ("POST /v1/customers slow after=-1", "after is 0 or more"),
        ("POST /v1/customers slow seconds=601", "between 0 and 600"),
    ],
)
def test_what_is_no_fault_is_refused(line: str, says: str) -> None:
    """The error names the line and what to write."""
    with pytest.raises(FaultRuleError) as caught:
        parse_fault(line)
    assert line.split(maxsplit=1)[0] in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["faults: yes", "- 5", "- {method: POST}", "- [", ""])
def test_a_file_without_faults_is_refused(tmp_path: Path, text: str) -> None:
    """Something else than a list, an item that is no fault, or no YAML at all."""
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(FaultRuleError):
        read_faults(path)
    with pytest.raises(FaultRuleError):
        read_faults(tmp_path / "none.yaml")
