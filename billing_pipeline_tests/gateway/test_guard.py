"""The guard's routes: what is held, denied and refused, with status, code, field and value."""

import json
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.errors import GuardUnavailableError, UnpricedUsageError
from billing_pipeline.gateway import guard_endpoint
from billing_pipeline.gateway.guard_endpoint import BODIES
from billing_pipeline.gateway.limits import GUARD_BYTES
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline_tests.gateway.guard_door import USE, GuardDoor
from billing_pipeline_tests.gateway.test_any_bytes import VALUES

FINE: dict[str, dict[str, object]] = {
    "reserve": {"customer_id": "acme", "project_id": "p", "amount": "75", "idempotency_key": "k"},
    "settle": {"hold_id": "0" * 32, "amount": "75"},
    "release": {"hold_id": "0" * 32},
    "extend": {"hold_id": "0" * 32, "ttl_seconds": 60, "idempotency_key": "k"},
}


@pytest.fixture
def guard(door: Any) -> GuardDoor:
    return GuardDoor(door)


def test_what_is_reserved_is_extended_settled_and_released(guard: GuardDoor) -> None:
    """Amounts are text, instants RFC 3339; the same key again gets the same answer."""
    granted = guard.reserve(session_id="run-7", steps=2, call="c", user_id="u", step="s", correlation_id="r")
    assert granted.status_code == 200
    assert granted.json() == {
        "hold_id": f"{1:032x}",
        "customer_id": "acme",
        "project_id": "p",
        "session_id": "run-7",
        "currency": "usd",
        "amount": "75",
        "granted_at": "2026-12-01T00:00:00.000000Z",
        "expires_at": "2026-12-01T00:10:00.000000Z",
    }
    asked = guard.ledger.requests[0]
    assert (asked.steps, asked.call, asked.user_id, asked.step, asked.correlation_id) == (
        2,
        "c",
        "u",
        "s",
        "r",
    )
    hold_id = granted.json()["hold_id"]
    extended = guard.ask("extend", {"hold_id": hold_id, "ttl_seconds": 900, "idempotency_key": "e"})
    assert extended.json() == {"hold_id": hold_id, "expires_at": "2026-12-01T00:15:00.000000Z"}
    for _ in range(2):
        settled = guard.ask("settle", {"hold_id": hold_id, "amount": "50"})
        assert (settled.status_code, settled.json()["booked"], settled.json()["freed"]) == (200, "50", "25")
    other = guard.reserve(idempotency_key="k2").json()["hold_id"]
    assert guard.ask("release", {"hold_id": other}).json()["state"] == "released"
    assert guard.balance("customer_id=acme").json()["funds"][0]["available"] == "450"


def test_usage_goes_to_the_ledger_as_it_is(guard: GuardDoor) -> None:
    usage = {"unit": "token", "quantity": "0", "dimensions": {"model": "m"}, "source": "chat", "id": "1"}
    assert guard.reserve(amount=None, usage=[usage]).status_code == 200
    assert msgspec.to_builtins(guard.ledger.requests[0].usage) == (usage,)


def test_a_denial_is_402_with_the_rule_in_words(guard: GuardDoor) -> None:
    """And in the log and the metrics; nothing is held."""
    answer = guard.reserve(str(2 * 10**9))
    assert answer.status_code == 402
    denied = answer.json()["denied"]
    assert (denied["rule"], denied["left"], denied["asked"]) == ("credit", "500", "2000000000")
    assert denied["message"].startswith(
        "denied by credit of customer:acme: 0.0000005 USD left, 2.00 USD asked for"
    )
    assert not guard.ledger.open
    assert '"code":"credit"' in guard.door.log()
    metrics = guard.door.client.get("/metrics").text
    assert 'billing_guard_denials_total{rule="credit"} 1.0' in metrics
    assert 'billing_guard_requests_total{path="/v1/reserve",status="402"} 1.0' in metrics


@pytest.mark.parametrize(
    ("path", "change", "field", "value"),
    [
        ("reserve", {"customer_id": None}, "customer_id", "null"),
        ("reserve", {"customer_id": ""}, "customer_id", ""),
        ("reserve", {"customer_id": "a/b"}, "customer_id", "a/b"),
        ("reserve", {"customer_id": "x" * 1000}, "customer_id", "x" * 200),
        ("reserve", {"project_id": "a\nb"}, "project_id", "a\nb"),
        ("reserve", {"amount": 75}, "amount", "75"),
        ("reserve", {"amount": "-1"}, "amount", "-1"),
        ("reserve", {"amount": "1.5"}, "amount", "1.5"),
        ("reserve", {"amount": "٣"}, "amount", "٣"),
        ("reserve", {"amount": str(LARGEST_AMOUNT + 1)}, "amount", str(LARGEST_AMOUNT + 1)),
        ("reserve", {"amount": None}, "amount", "None"),
        ("reserve", {"steps": 0}, "steps", "0"),
        ("reserve", {"steps": "1"}, "steps", "1"),
        ("reserve", {"ttl": 5}, "ttl", "5"),
        ("reserve", {"amount": None, "usage": [{"unit": "token"}]}, "usage[0].quantity", None),
        ("reserve", {"amount": None, "usage": [{"unit": "t", "quantity": 1}]}, "usage[0].quantity", "1"),
        (
            "reserve",
            {"amount": None, "usage": [{"unit": "t", "quantity": "1"}] * 17},
            "usage",
            "17 quantities",
        ),
        ("settle", {"usage": [{"unit": "t", "quantity": "1"}]}, "amount", "75"),
        (
            "settle",
            {"amount": None, "usage": [{"unit": "t", "quantity": "many"}]},
            "usage[0].quantity",
            "many",
        ),
        ("settle", {"hold_id": "x"}, "hold_id", "x"),
        ("release", {"idempotency_key": ""}, "idempotency_key", ""),
        ("release", {"amount": "1"}, "amount", "1"),
        ("extend", {"ttl_seconds": 0}, "ttl_seconds", "0"),
        ("extend", {"ttl_seconds": 10**30}, "ttl_seconds", str(10**30)),
    ],
)
def test_what_is_not_possible_is_named_with_its_value(
    guard: GuardDoor, path: str, change: dict[str, object], field: str, value: str | None
) -> None:
    """And nothing reaches the ledger."""
    answer = guard.ask(path, json.dumps(FINE[path] | change).encode())
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["field"], error["value"]) == ("invalid_field", field, value)
    assert len(error["message"]) > len(field) + 10
    assert not guard.ledger.requests


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff", b'{"a":' * 5000])
def test_what_is_no_object_is_refused(guard: GuardDoor, content: bytes) -> None:
    for path in FINE:
        answer = guard.ask(path, content)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] in {"invalid_body", "invalid_field"}


def test_errors_of_the_ledger_have_their_status(guard: GuardDoor) -> None:
    """Not found, in conflict, without a price, and away: then with when to ask again."""
    assert guard.ask("settle", FINE["settle"]).json()["error"]["code"] == "hold_not_found"
    granted = guard.reserve()
    conflict = guard.reserve("76")
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "idempotency_conflict")
    hold = {"hold_id": granted.json()["hold_id"]}
    guard.ask("release", hold)
    ended = guard.ask("settle", hold | {"amount": "1"})
    assert (ended.status_code, ended.json()["error"]["code"]) == (409, "hold_ended")
    guard.ledger.failures = [UnpricedUsageError("usage", "add a price"), GuardUnavailableError("away")]
    assert guard.reserve(idempotency_key="u").status_code == 422
    away = guard.reserve(idempotency_key="u")
    assert (away.status_code, away.headers["retry-after"]) == (503, "2")
    guard.balances.is_away = True
    assert guard.balance("customer_id=acme").status_code == 503


def test_a_ledger_that_does_not_answer_is_unavailable(
    guard: GuardDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_endpoint, "LEDGER_SECONDS", 0.01)
    monkeypatch.setattr(guard.ledger, "submit", lambda _request: Future())
    answer = guard.reserve()
    assert answer.status_code == 503
    assert "may be done all the same" in answer.json()["error"]["message"]


def test_a_gateway_without_a_guard_says_so(guard: GuardDoor) -> None:
    guard.door.gateway.guard = guard.door.gateway.balances = None
    for answer in (guard.reserve(), guard.balance("customer_id=acme")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "guard_unavailable")


def test_the_right_to_use_it_is_needed(guard: GuardDoor) -> None:
    """On each route; with it alone no events may be sent."""
    others = guard.door.issue(Scope(frozenset(Right) - USE))
    for path, body in FINE.items():
        assert guard.ask(path, body, key=others).status_code == 403
        assert guard.ask(path, body, key="bk_wrong").status_code == 401
    assert guard.balance("customer_id=acme", key=others).status_code == 403
    assert guard.door.send({}, key=guard.key).status_code == 403


def test_a_key_that_is_limited_to_customers_reaches_no_others(guard: GuardDoor) -> None:
    """Neither their credit, nor their holds, whose ids it may have seen."""
    limited = guard.door.issue(Scope(USE, frozenset({"bolt"})))
    hold_id = guard.reserve().json()["hold_id"]
    refused = guard.ask("reserve", FINE["reserve"], key=limited)
    assert (refused.status_code, refused.json()["error"]["value"]) == (403, "acme")
    for path in ("settle", "release", "extend"):
        assert guard.ask(path, FINE[path] | {"hold_id": hold_id}, key=limited).status_code == 404
    assert guard.balance("customer_id=acme", key=limited).status_code == 403
    own = guard.ask("reserve", FINE["reserve"] | {"customer_id": "bolt"}, key=limited).json()["hold_id"]
    assert guard.ask("release", {"hold_id": own}, key=limited).status_code == 200


def test_a_keys_rate_holds_back_reserves_and_never_the_end_of_a_hold(guard: GuardDoor) -> None:
    slow = guard.door.issue(Scope(USE), events_per_second=1)
    hold_id = guard.ask("reserve", FINE["reserve"], key=slow).json()["hold_id"]
    guard.ask(
        "reserve", FINE["reserve"], key=slow
    )  # what has come of the rate meanwhile lets another one pass
    answer = guard.ask("reserve", FINE["reserve"], key=slow)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert answer.headers["retry-after"]
    assert guard.ask("settle", {"hold_id": hold_id, "amount": "1"}, key=slow).status_code == 200


def test_only_plain_json_of_bounded_size_is_read(guard: GuardDoor) -> None:
    assert guard.ask("reserve", FINE["reserve"], content_type="text/plain").status_code == 415
    assert guard.ask("reserve", FINE["reserve"], content_encoding="gzip").status_code == 415
    large = FINE["reserve"] | {"call": "x" * GUARD_BYTES}
    answer = guard.ask("reserve", large)
    assert (answer.status_code, answer.json()["error"]["limit"]) == (413, GUARD_BYTES)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "customer_id"),
        ("customer_id=", "customer_id"),
        ("customer_id=a&customer_id=b", "customer_id"),
        ("customer_id=a&session_id=%00", "session_id"),
        ("customer_id=a&wait=1", "wait"),
        ("customer_id=%ff", "query"),
        ("&".join(f"a{number}=1" for number in range(20)), "query"),
    ],
)
def test_a_balance_is_asked_for_by_known_parameters(guard: GuardDoor, query: str, field: str) -> None:
    answer = guard.balance(query)
    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["field"]) == ("invalid_parameter", field)


def test_it_drains_as_the_gateway_does(guard: GuardDoor) -> None:
    guard.door.gateway.draining = True
    answer = guard.reserve()
    assert (answer.status_code, answer.headers["connection"]) == (503, "close")
    assert answer.json()["error"]["code"] == "shutting_down"


BOUNDED = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


@BOUNDED
@given(data=st.data(), path=st.sampled_from(sorted(FINE)))
def test_any_json_near_a_request_gets_an_answer(guard: GuardDoor, data: st.DataObject, path: str) -> None:
    """Never a fault of the gateway's, and what is refused names a field."""
    fields = st.sampled_from([*BODIES[f"/v1/{path}"].__struct_fields__, "other"])
    usage = st.lists(st.fixed_dictionaries({}, optional={"unit": VALUES, "quantity": VALUES}), max_size=2)
    near = data.draw(st.dictionaries(fields, VALUES | usage, max_size=3))
    answer = guard.ask(path, json.dumps(FINE[path] | near).encode())
    assert answer.status_code in {200, 400, 402, 404, 409}
    if answer.status_code == 400:
        assert answer.json()["error"]["field"]


@BOUNDED
@given(content=st.binary(max_size=300), path=st.sampled_from(sorted(FINE)))
def test_any_bytes_get_an_answer(guard: GuardDoor, content: bytes, path: str) -> None:
    answer = guard.ask(path, content)
    assert answer.status_code == 400
    assert answer.headers["x-correlation-id"]
