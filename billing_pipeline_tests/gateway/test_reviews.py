"""The review queue, limits and stops over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from billing_pipeline.access.scope import Right
from billing_pipeline.gateway.openapi import openapi_document
from billing_pipeline_tests.commands.guarded_home import USD, run_away
from billing_pipeline_tests.gateway.desk_door import DeskDoor


@pytest.fixture
def desk(tmp_path: Path, control_url: str) -> Iterator[DeskDoor]:
    run_away(control_url)
    desk = DeskDoor(tmp_path, control_url)
    yield desk
    desk.close()


@pytest.fixture
def quick_desk(tmp_path: Path) -> Iterator[DeskDoor]:
    """On SQLite only: what a database cannot make different."""
    url = f"sqlite:///{tmp_path / 'control.sqlite'}?timeout=60"
    run_away(url)
    desk = DeskDoor(tmp_path, url)
    yield desk
    desk.close()


def items(desk: DeskDoor, state: str = "open") -> dict[str, Any]:
    """The review items by kind; the answer is as the document says."""
    answer = desk.ask("GET", f"/v1/reviews?state={state}")
    check(answer, "/v1/reviews", "get")
    return {row["kind"]: row for row in answer.json()["rows"]}


def check(answer: Any, path: str, method: str) -> Any:
    """The answer is 200 and as the document says."""
    assert answer.status_code == 200, answer.text
    document = openapi_document()
    schema = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema | {"components": document["components"]}).validate(answer.json())
    return answer.json()


def test_items_are_listed_shown_and_decided_with_the_keys_name_and_the_persons(desk: DeskDoor) -> None:
    opened = items(desk)
    assert set(opened) == {"velocity", "breaker", "soft_limit"}
    review_id = opened["breaker"]["review_id"]
    found = check(desk.ask("GET", f"/v1/reviews/{review_id}"), "/v1/reviews/{review_id}", "get")
    assert found["surroundings"]["actions"][0]["booked"] == str(4 * USD)
    decided = desk.ask(
        "POST",
        f"/v1/reviews/{review_id}/decision",
        json={"decision": "resume", "why": "a long but honest task", "who": "ops@example.com"},
    )
    item = check(decided, "/v1/reviews/{review_id}/decision", "post")["review"]
    assert item["decided_at"]
    assert item["decisions"][0]["who"] == "ops@example.com (key ops-0)"
    again = desk.ask(
        "POST", f"/v1/reviews/{review_id}/decision", json={"decision": "keep", "why": "another thought"}
    )
    assert (again.status_code, again.json()["error"]["code"]) == (409, "review_decided")


def test_a_limit_is_raised_set_shown_in_force_and_unset(desk: DeskDoor) -> None:
    review_id = items(desk)["soft_limit"]["review_id"]
    body = {"decision": "raise_limit", "why": "a launch", "amount": str(50 * USD)}
    assert desk.ask("POST", f"/v1/reviews/{review_id}/decision", json=body).status_code == 200
    put = {
        "scope": "customer:acme",
        "currency": "usd",
        "window": "day",
        "amount": str(90 * USD),
        "why": "a cap",
    }
    assert check(desk.ask("PUT", "/v1/limits", json=put), "/v1/limits", "put")["changed"] == 1
    found = check(desk.ask("GET", "/v1/limits?customer=acme"), "/v1/limits", "get")
    assert [(row["severity"], row["amount"]) for row in found["set"]] == [
        ("hard", str(90 * USD)),
        ("soft", str(50 * USD)),
    ]
    assert found["in_force"][0]["left"] == str(69 * USD)
    query = "scope=customer:acme&currency=usd&window=day&why=enough"
    assert check(desk.ask("DELETE", f"/v1/limits?{query}"), "/v1/limits", "delete")["changed"] == 1
    assert len(desk.ask("GET", "/v1/limits").json()["set"]) == 1


def test_a_kill_switch_is_set_and_lifted_once(desk: DeskDoor) -> None:
    body = {"scope": "session:acme/run-8", "kind": "kill", "why": "leaked"}
    assert check(desk.ask("POST", "/v1/stops", json=body), "/v1/stops", "post")["changed"] == 1
    assert desk.ask("POST", "/v1/stops", json=body).json()["changed"] == 0
    stops = check(desk.ask("GET", "/v1/stops"), "/v1/stops", "get")["rows"]
    assert {(row["scope"], row["kind"]) for row in stops} == {
        ("session:acme/run-8", "kill"),
        ("project:acme/p", "pause"),
    }
    query = "/v1/stops?scope=session:acme/run-8&kind=kill&why=known"
    assert check(desk.ask("DELETE", query), "/v1/stops", "delete")["changed"] == 1
    assert desk.ask("DELETE", query).json()["changed"] == 0


def test_a_key_without_the_right_is_refused_on_every_route(quick_desk: DeskDoor) -> None:
    key = quick_desk.issue(Right.EVENTS_WRITE, Right.GUARD_USE)
    for path, operations in openapi_document()["paths"].items():
        if not path.startswith(("/v1/reviews", "/v1/limits", "/v1/stops")):
            continue
        for method in operations:
            url = path.replace("{review_id}", "a" * 32)
            assert quick_desk.ask(method.upper(), url, key=key).json()["error"]["code"] == "forbidden"
            assert quick_desk.ask(method.upper(), url, key="bk_no").status_code == 401


def test_a_key_of_one_customer_sees_and_stops_no_other(quick_desk: DeskDoor) -> None:
    key = quick_desk.issue(customers=frozenset({"beta"}))
    review_id = items(quick_desk)["breaker"]["review_id"]
    assert quick_desk.ask("GET", "/v1/reviews?state=all", key=key).json()["rows"] == []
    assert quick_desk.ask("GET", "/v1/stops?customer=acme", key=key).json()["rows"] == []
    found = quick_desk.ask("GET", "/v1/limits?customer=acme", key=key).json()
    assert found == {"set": [], "in_force": []}
    for method, path, body in (
        ("GET", f"/v1/reviews/{review_id}", None),
        ("POST", f"/v1/reviews/{review_id}/decision", {"decision": "resume", "why": "mine"}),
        ("POST", "/v1/stops", {"scope": "customer:acme", "kind": "kill", "why": "mine"}),
        ("DELETE", "/v1/stops?scope=project:acme/p&kind=pause&why=mine", None),
        ("DELETE", "/v1/limits?scope=customer:acme&currency=usd&window=day&why=mine", None),
    ):
        assert quick_desk.ask(method, path, key=key, json=body).status_code in {403, 404}
    assert len(quick_desk.ask("GET", "/v1/stops").json()["rows"]) == 1
    allowed = {"scope": "project:beta/p", "kind": "pause", "why": "mine"}
    assert quick_desk.ask("POST", "/v1/stops", key=key, json=allowed).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/v1/reviews?state=odd", None, "invalid_parameter"),
        ("GET", "/v1/reviews?state=open&state=all", None, "invalid_parameter"),
        ("GET", "/v1/reviews?nothing=1", None, "invalid_parameter"),
        ("GET", "/v1/reviews?rows=0", None, "invalid_parameter"),
        ("GET", "/v1/reviews?rows=100000", None, "invalid_parameter"),
        ("GET", "/v1/reviews?customer=%00", None, "invalid_parameter"),
        ("GET", "/v1/reviews?after=1.%27", None, "invalid_field"),
        ("GET", "/v1/reviews/%00", None, "review_not_found"),
        ("GET", f"/v1/reviews/{'a' * 32}", None, "review_not_found"),
        ("POST", "/v1/stops", {"scope": "acme", "kind": "kill", "why": "x"}, "invalid_field"),
        ("POST", "/v1/stops", {"scope": "customer:acme", "kind": "kill", "why": ""}, "invalid_field"),
        ("POST", "/v1/stops", {"scope": "customer:acme", "kind": "kill", "why": "\0"}, "invalid_field"),
        ("POST", "/v1/stops", {"scope": "customer:acme", "kind": "odd", "why": "x"}, "invalid_body"),
        ("POST", "/v1/stops", {"scope": "customer:acme", "kind": "kill"}, "invalid_body"),
        (
            "POST",
            "/v1/stops",
            {"scope": "customer:a", "kind": "pause", "why": "x", "resumes_at": "2020-01-01T00:00:00Z"},
            "invalid_field",
        ),
        (
            "PUT",
            "/v1/limits",
            {"scope": "customer:a", "currency": "usd", "window": "day", "amount": "9" * 19, "why": "x"},
            "invalid_field",
        ),
        (
            "PUT",
            "/v1/limits",
            {"scope": "customer:a", "currency": "usd", "window": "day", "amount": 1.5, "why": "x"},
            "invalid_body",
        ),
        (
            "PUT",
            "/v1/limits",
            {"scope": "customer:a", "currency": "zzz", "window": "day", "amount": "1", "why": "x"},
            "invalid_field",
        ),
    ],
)
def test_what_is_not_possible_is_refused_with_its_code(
    quick_desk: DeskDoor, method: str, path: str, body: Any, code: str
) -> None:
    answer = quick_desk.ask(method, path, json=body)
    assert answer.json()["error"]["code"] == code, answer.text


def test_a_body_that_is_too_large_or_no_json_is_refused(quick_desk: DeskDoor) -> None:
    assert quick_desk.ask("POST", "/v1/stops", content=b"x" * 70_000).status_code == 413
    for body in (b"", b"{", b"[" * 100_000 + b"]", b'"\xff"'):
        assert quick_desk.ask("POST", "/v1/stops", content=body[:60_000]).status_code == 400


def test_a_ledger_that_has_ended_is_said_to_be_away(quick_desk: DeskDoor) -> None:
    quick_desk.ledger.close()
    body = {"scope": "customer:acme", "kind": "kill", "why": "x"}
    answer = quick_desk.ask("POST", "/v1/stops", json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_a_gateway_that_is_being_stopped_takes_nothing(quick_desk: DeskDoor) -> None:
    quick_desk.gateway.draining = True
    assert quick_desk.ask("GET", "/v1/reviews").json()["error"]["code"] == "shutting_down"


def test_the_log_names_path_and_key_and_no_reason_that_was_given(quick_desk: DeskDoor) -> None:
    quick_desk.ask("POST", "/v1/stops", json={"scope": "customer:acme", "kind": "kill", "why": "hush"})
    log = quick_desk.log()
    assert '"path":"/v1/stops"' in log
    assert "hush" not in log
