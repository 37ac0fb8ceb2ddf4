"""Whatever comes to the console, it answers with a page, and never by a fault of its own."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_pipeline_tests.commands.guarded_home import run_away
from billing_pipeline_tests.gateway.console.conftest import Person
from billing_pipeline_tests.gateway.desk_door import DeskDoor

PATHS = (
    *(
        "",
        "/decided",
        "/reviews/",
        "/stops",
        "/stops/lift",
        "/customers",
        "/customers/",
        "/activity",
        "/limits",
    ),
    *("/login", "/logout"),
)
NAMES = (
    *("csrf", "why", "scope", "kind", "minutes", "amount", "decision", "window", "severity", "currency"),
    *("do", "back", "next", "who", "key", "search", "after"),
)
VALUES = st.one_of(
    st.sampled_from(
        ["customer:acme", "project:acme/p", "kill", "pause", "day", "hard", "usd", "1", "raise_limit"]
    ),
    st.text(max_size=40),
)
ODD = st.binary(max_size=60).map(quote_from_bytes)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("any")
    url = f"sqlite:///{folder / 'control.sqlite'}?timeout=60"
    run_away(url)
    desk = DeskDoor(folder, url)
    person = Person(desk)
    person.log_in()
    yield person
    desk.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    rest=ODD,
    query=st.one_of(ODD, st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)),
)
def test_any_path_and_query_is_answered_by_a_page(person: Any, path: str, rest: str, query: Any) -> None:
    params = {"params": query} if isinstance(query, dict) else {}
    tail = f"?{query}" if isinstance(query, str) else ""
    answer = person.client.get(f"/console{path}{rest if path.endswith('/') else ''}{tail}", **params)
    assert answer.status_code < 500


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    form=st.one_of(st.binary(max_size=200), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)),
    keep=st.booleans(),
)
def test_any_form_is_answered_by_a_page(person: Any, path: str, form: Any, keep: bool) -> None:
    """Also one that has the token of the login."""
    if person.get().status_code != 200:
        person.log_in()
    if isinstance(form, bytes):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = person.client.post(f"/console{path}", content=form, headers=headers)
    else:
        token = {"csrf": person.csrf()} if keep else {}
        answer = person.client.post(f"/console{path}", data=form | token)
    assert answer.status_code < 500
