"""Only who shows a good key of an operator gets in, and only as long as it is good."""

from typing import Any

import pytest

from billing_pipeline.access.api_key import ApiKey, KeyRing, Secret, sha256_of
from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.gateway.console.login_limit import BURST, SECONDS_EACH, LoginLimit
from billing_pipeline.gateway.console.sessions import IDLE_SECONDS, LIFE_SECONDS, SESSIONS_MOST, Sessions

PAGES = ("", "/decided", "/reviews/" + "a" * 32, "/stops", "/customers", "/customers/acme", "/activity")
FORMS = ("/reviews/" + "a" * 32, "/stops", "/stops/lift", "/limits")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_sends_who_is_not_logged_in_to_the_login_and_back(stranger: Any, path: str) -> None:
    answer = stranger.get(f"/console{path}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/login")
    back = stranger.log_in(next_path=f"/console{path}")
    assert back.headers["location"] == f"/console{path}"


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_who_is_not_logged_in_does_nothing(stranger: Any, path: str) -> None:
    answer = stranger.client.post(f"/console{path}", data={"csrf": "x", "scope": "customer:acme"})
    assert answer.headers["location"] == "/console/login"


def test_the_cookie_is_for_the_console_alone_and_out_of_reach_of_scripts_and_other_sites(
    stranger: Any,
) -> None:
    cookie = stranger.log_in().headers["set-cookie"]
    for part in ("billing_console=", "HttpOnly", "SameSite=strict", "Path=/console", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie
    stranger.client.headers["x-forwarded-proto"] = "https"
    assert "Secure" in stranger.get("/console/login").headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "nothing", "bk_" + "0" * 12 + "_" + "0" * 64, "ä\0"])
def test_an_unknown_key_is_refused(stranger: Any, key: str) -> None:
    answer = stranger.log_in(key or "x")
    assert answer.status_code in {400, 401}
    assert "billing_console=" not in answer.headers.get("set-cookie", "")


def test_a_key_without_the_right_is_refused(stranger: Any, desk: Any) -> None:
    assert stranger.log_in(desk.issue(Right.EVENTS_WRITE, Right.GUARD_USE)).status_code == 401


def test_a_login_without_the_pages_own_token_is_refused(stranger: Any, desk: Any) -> None:
    stranger.get("/console/login")
    answer = stranger.client.post("/console/login", data={"csrf": "made up", "key": desk.key})
    assert answer.headers["location"] == "/console/login"
    assert stranger.get().status_code == 303


def test_logins_that_fail_too_often_are_put_off(stranger: Any) -> None:
    statuses = [stranger.log_in("wrong").status_code for _ in range(3 * BURST)]
    assert statuses[:BURST] == [401] * BURST
    assert 429 in statuses
    answer = stranger.log_in("wrong")
    assert answer.status_code == 401 or int(answer.headers["retry-after"]) > 0


def test_logging_out_ends_the_session_for_good(person: Any) -> None:
    cookies = dict(person.client.cookies)
    assert person.post("/console/logout").headers["location"] == "/console/login"
    person.client.cookies.update(cookies)
    assert person.get().status_code == 303


def test_a_key_that_is_revoked_ends_its_sessions(person: Any, desk: Any) -> None:
    desk.gateway.keys = KeyRing(())
    assert person.get().status_code == 303
    desk.gateway.keys = KeyRing(desk.keys)
    assert person.get().status_code == 303, "and it does not come back"


def test_a_secret_that_has_ended_ends_its_sessions_though_the_key_is_good(person: Any, desk: Any) -> None:
    key = desk.keys[0]
    other = Secret(sha256_of("f" * 64))
    desk.gateway.keys = KeyRing([ApiKey(key_id=key.key_id, name=key.name, scope=key.scope, secrets=(other,))])
    assert person.get().status_code == 303


@pytest.mark.parametrize(
    "path",
    ["https://evil.example", "//evil.example", "/v1/events", "/console\\x", "/consoles", "/console/\n"],
)
def test_a_login_leads_nowhere_else_than_to_the_console(stranger: Any, path: str) -> None:
    assert stranger.log_in(next_path=path).headers["location"] == "/console"


def test_a_link_from_another_site_is_followed_once_more_with_the_cookie(person: Any) -> None:
    person.client.cookies.clear()
    answer = person.get("/console/stops", sec_fetch_site="cross-site")
    assert (answer.status_code, 'content="0;url=/console/stops"' in answer.text) == (200, True)
    assert person.get("/console/stops", sec_fetch_site="same-origin").status_code == 303


def a_key() -> ApiKey:
    return ApiKey(
        key_id="1" * 12,
        name="ops",
        scope=Scope(frozenset({Right.GUARD_ADMIN})),
        secrets=(Secret(sha256_of("s")),),
    )


def test_a_session_ends_when_left_alone_or_too_old() -> None:
    sessions, ring = Sessions(), KeyRing([a_key()])

    def is_there(token: str, now: float) -> bool:
        return sessions.find(token, ring, now_us=0, now_seconds=now) is not None

    token = sessions.start(a_key(), "bk_1_s", "", 0)
    assert is_there(token, IDLE_SECONDS)
    assert not is_there(token, 2 * IDLE_SECONDS + 1)
    token, now = sessions.start(a_key(), "bk_1_s", "", 0), 0
    while now + IDLE_SECONDS <= LIFE_SECONDS:
        now += IDLE_SECONDS
        assert is_there(token, now)
    assert not is_there(token, now + 1)


def test_of_too_many_sessions_the_one_seen_least_lately_gives_way() -> None:
    sessions, ring = Sessions(), KeyRing([a_key()])
    tokens = [sessions.start(a_key(), "bk_1_s", "", number / 1000) for number in range(SESSIONS_MOST + 1)]
    assert len(sessions) == SESSIONS_MOST
    assert sessions.find(tokens[0], ring, now_us=0, now_seconds=2) is None
    assert sessions.find(tokens[1], ring, now_us=0, now_seconds=2) is not None


def test_failed_logins_are_forgotten_with_time_and_kept_by_address() -> None:
    limit = LoginLimit()
    for _ in range(BURST):
        assert limit.wait_seconds("a", 0) == 0
        limit.count("a", 0)
    wait_seconds = limit.wait_seconds("a", 0)
    assert 0 < wait_seconds <= 2 * SECONDS_EACH
    assert limit.wait_seconds("b", 0) == 0
    assert limit.wait_seconds("a", wait_seconds) == 0
