"""Pages show what the guard knows, forms do what they say, and nothing that others wrote becomes markup."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_REVIEWS, GUARD_SESSIONS
from billing_pipeline.gateway.console.html import tag
from billing_pipeline.gateway.console.plot import spend_plot
from billing_pipeline.gateway.console.words import money, short_money
from billing_pipeline.guardrails.commands import AddGrant, Stop
from billing_pipeline.guardrails.review.spend import SpendMinute
from billing_pipeline.guardrails.review.surroundings import MINUTE_US

USD = 10**9
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&"
PAGES = ("", "/decided", "/stops", "/customers", "/customers/acme", "/activity")


def test_the_open_reviews_are_shown_with_what_happened_and_a_plot(person: Any) -> None:
    text = person.get().text
    assert "spend per minute far above its baseline" in text
    assert "spent more than a session may" in text
    assert "20.00 USD used of 10.00 USD" in text or "used of 10.00 USD by the day" in text
    assert text.count("<svg") >= 3
    assert text.count('<rect class="settled"') >= 2


@pytest.mark.parametrize("path", PAGES)
def test_every_page_keeps_to_itself(person: Any, path: str) -> None:
    answer = person.get(f"/console{path}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy
    assert "<script" not in answer.text
    assert " style=" not in answer.text
    for url in re.findall(r'(?:src|href|action)="([^"]*)"', answer.text):
        assert url.startswith("/console") or url == "data:,"
    forms = re.findall(r'<form[^>]*method="post".*?</form>', answer.text, re.DOTALL)
    assert all('name="csrf"' in form for form in forms)


def test_one_review_is_shown_with_sessions_and_dearest_actions(person: Any) -> None:
    text = person.get(person.item("breaker")).text
    assert "run-7" in text
    assert "search-0" in text
    assert "Dearest actions" in text
    assert 'name="scope" value="session:acme/run-7"' in text, "and all of it can be stopped from there"


def test_what_is_not_there_is_a_page_that_says_so(person: Any) -> None:
    for path in ("/reviews/" + "a" * 32, "/reviews/%00", "/reviews/x"):
        assert person.get(f"/console{path}").status_code == 404
    assert person.get("/console?after=odd").status_code == 400
    assert person.get("/console?after=%00").status_code == 400
    assert person.get("/console?" + "&".join(f"a{n}=1" for n in range(50))).status_code == 400


def test_a_decision_is_carried_out_said_and_kept_with_who_and_why(person: Any, desk: Any) -> None:
    path = person.item("breaker")
    assert person.post(path, decision="resume", why="an honest task").headers["location"] == "/console"
    assert "Resumed: session:acme/run-7" in person.get().text
    assert "Resumed" not in person.get().text, "it is said once"
    (decided,) = desk.ask("GET", "/v1/reviews?state=decided").json()["rows"]
    assert decided["decisions"][0]["who"] == "ops@example.com (key ops-0)"
    assert decided["decisions"][0]["why"] == "an honest task"
    assert "an honest task" in person.get("/console/decided").text
    assert "an honest task" in person.get(path).text
    person.post(path, decision="keep", why="late")
    assert "decided already" in person.get().text


def test_a_limit_is_raised_by_its_review(person: Any, desk: Any) -> None:
    path = person.item("soft_limit")
    person.post(path, decision="raise_limit", why="a launch", amount="")
    assert "write the new limit" in person.get(path).text
    person.post(path, decision="raise_limit", why="a launch", amount="12,5")
    assert "major units" in person.get(path).text
    person.post(path, decision="raise_limit", why="a launch", amount="75.50")
    assert "Limit raised to 75.50 USD" in person.get().text
    assert desk.ask("GET", "/v1/limits").json()["set"][0]["amount"] == "75500000000"


def test_a_decision_without_a_reason_is_refused(person: Any, desk: Any) -> None:
    person.post(person.item("velocity"), decision="resume", why=" ")
    assert "why" in person.get().text
    assert len(desk.ask("GET", "/v1/reviews").json()["rows"]) == 3


def test_stops_are_set_and_lifted_and_lead_back_to_their_page(person: Any, desk: Any) -> None:
    back = "/console/customers/acme"
    answer = person.post("/console/stops", scope="customer:acme", kind="kill", why="leaked", back=back)
    assert answer.headers["location"] == back
    assert "leaked" in person.get(back).text
    person.post("/console/stops", scope="session:acme/x", kind="pause", minutes="15", why="look into it")
    stops = {row["scope"]: row for row in desk.ask("GET", "/v1/stops").json()["rows"]}
    assert stops["session:acme/x"]["resumes_at"]
    person.post("/console/stops/lift", scope="customer:acme", kind="kill", why="rotated")
    assert "Lifted: kill of customer:acme" in person.get("/console/stops").text
    assert "customer:acme" not in {row["scope"] for row in desk.ask("GET", "/v1/stops").json()["rows"]}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/stops", {"scope": "acme", "kind": "kill", "why": "x"}),
        ("/stops", {"scope": "customer:acme", "kind": "odd", "why": "x"}),
        ("/stops", {"scope": "customer:acme", "kind": "pause", "minutes": "٣", "why": "x"}),
        ("/stops", {"scope": "customer:acme", "kind": "pause", "minutes": "9" * 99, "why": "x"}),
        ("/stops", {"scope": "customer:acme", "kind": "kill", "why": ""}),
        ("/stops", {}),
        ("/limits", {"scope": "customer:acme", "window": "year", "severity": "hard", "why": "x"}),
        (
            "/limits",
            {"scope": "customer:acme", "window": "day", "severity": "hard", "amount": "1e9", "why": "x"},
        ),
        ("/stops/lift", {"scope": "customer:acme", "kind": "kill"}),
    ],
)
def test_what_is_not_possible_is_said_and_changes_nothing(
    person: Any, desk: Any, path: str, fields: dict[str, str]
) -> None:
    before = (desk.ask("GET", "/v1/stops").json(), desk.ask("GET", "/v1/limits").json())
    assert person.post(f"/console{path}", **fields).status_code == 303
    assert 'class="told bad"' in person.get().text
    assert before == (desk.ask("GET", "/v1/stops").json(), desk.ask("GET", "/v1/limits").json())


def test_a_limit_is_set_for_a_customer_and_taken_back(person: Any) -> None:
    page = "/console/customers/acme"
    fields = {"scope": "customer:acme", "window": "period", "severity": "hard", "currency": "USD", "why": "x"}
    person.post("/console/limits", do="set", amount="100", back=page, **fields)
    assert ">79.00 USD<" in person.get(page).text
    person.post("/console/limits", do="unset", back=page, **fields)
    assert ">79.00 USD<" not in person.get(page).text


@pytest.mark.parametrize("csrf", ["", "made up", "ä"])
def test_a_form_without_the_sessions_token_is_refused(person: Any, desk: Any, csrf: str) -> None:
    for path in (person.item("velocity"), "/console/stops", "/console/limits", "/console/logout"):
        answer = person.post(path, csrf=csrf, scope="customer:acme", kind="kill", why="x", decision="resume")
        assert answer.status_code == 403
    assert len(desk.ask("GET", "/v1/reviews").json()["rows"]) == 3
    assert person.get().status_code == 200


def test_a_form_of_another_site_is_refused_though_it_had_the_token(person: Any) -> None:
    person.client.headers["sec-fetch-site"] = "cross-site"
    csrf = person.csrf()
    assert (
        person.post("/console/stops", csrf=csrf, scope="customer:acme", kind="kill", why="x").status_code
        == 403
    )


def test_a_form_that_is_too_large_or_none_is_refused(person: Any) -> None:
    assert person.post("/console/stops", why="x" * 20_000).status_code == 413
    answer = person.client.post("/console/stops", content=b"{}", headers={"content-type": "application/json"})
    assert answer.status_code == 415


def test_a_key_of_one_customer_sees_and_stops_no_other(stranger: Any, desk: Any) -> None:
    stranger.log_in(desk.issue(customers=frozenset({"beta"})))
    for path in PAGES:
        assert "acme" not in stranger.get(f"/console{path}").text.replace(
            "customer:acme, project:acme/search", ""
        )
    assert stranger.get("/console/customers/acme").status_code == 403
    assert stranger.get(stranger.item("breaker")).status_code == 404
    csrf = stranger.csrf()
    for path, fields in (
        ("/console/stops", {"scope": "customer:acme", "kind": "kill"}),
        ("/console/stops/lift", {"scope": "project:acme/p", "kind": "pause"}),
        (
            "/console/limits",
            {"scope": "customer:acme", "window": "day", "severity": "hard", "currency": "usd", "amount": "1"},
        ),
    ):
        assert stranger.post(path, csrf=csrf, why="x", **fields).status_code == 403
    stranger.post(stranger.item("breaker"), csrf=csrf, decision="resume", why="x")
    assert len(desk.ask("GET", "/v1/reviews").json()["rows"]) == 3


def test_nothing_that_others_wrote_becomes_markup(person: Any, desk: Any) -> None:
    customer = EVIL.replace("/", "")
    submit = desk.ledger.submit
    submit(AddGrant(customer_id=customer, currency="usd", grant_id=EVIL, amount=USD)).result()
    submit(
        Stop(
            scope=f"project:{customer}/{EVIL}",
            kind="pause",
            who=EVIL,
            why=EVIL,
            currency="usd",
            review_kind="velocity",
            evidence=json.dumps({EVIL: EVIL, "rule": EVIL}),
        )
    ).result()
    now = now_us()
    with writing(desk.control) as connection:
        connection.execute(
            insert(GUARD_SESSIONS),
            {
                "scope": f"session:{customer}/{EVIL}",
                "customer_id": customer,
                "project_id": EVIL,
                "currency": "usd",
                "started_at": now,
                "last_at": now,
                "steps": 1,
                "pending": 0,
                "settled": USD,
                "unguarded": 0,
                "minute_starts_at": now,
                "minute_steps": 1,
                "repeats": 1,
                "breaker": "open",
                "opened_by": EVIL[:32],
                "steps_before": 0,
                "spend_before": 0,
            },
        )
        connection.execute(
            insert(GUARD_REVIEWS),
            {
                "review_id": "f" * 32,
                "kind": "<b>odd</b>",
                "scope": f"session:{customer}/{EVIL}",
                "customer_id": customer,
                "currency": "usd",
                "evidence": "no json <script>",
                "opened_at": now,
            },
        )
    person.log_in(who=EVIL)
    quoted = person.client.build_request("GET", "http://x/").url.copy_with(
        path=f"/console/customers/{customer}"
    )
    paths = [f"/console{path}" for path in PAGES]
    paths += [person.item("velocity"), "/console/reviews/" + "f" * 32, quoted.raw_path.decode()]
    paths += [f"/console/customers?search={quoted.raw_path.decode().rpartition('/')[2]}"]
    for path in paths:
        answer = person.get(path)
        assert answer.status_code == 200, path
        for markup in ("<script", "<img", "<b>odd"):
            assert markup not in answer.text
    assert "&lt;script&gt;" in person.get().text


@given(st.text(), st.text())
def test_no_text_gets_out_of_its_element_or_attribute(text: str, value: str) -> None:
    """The only markup of an element of any text and value is its own."""
    made = tag("a", text, title=value)
    assert (made.count("<"), made.count(">"), made.count('"')) == (2, 2, 2)


@given(
    st.lists(
        st.tuples(st.integers(0, 89), *([st.integers(-(10**12), 10**15)] * 3)),
        max_size=90,
        unique_by=lambda minute: minute[0],
    ),
    st.none() | st.integers(0, 10**15),
)
def test_a_plot_of_any_spend_stays_within_its_picture(
    minutes: list[tuple[int, int, int, int]], threshold: int | None
) -> None:
    """Bars have no negative size and lie within the picture."""
    made = spend_plot(
        [
            SpendMinute(at=at * MINUTE_US, settled=settled, pending=max(pending, 0), unguarded=other, calls=1)
            for at, settled, pending, other in sorted(minutes)
        ],
        first_at=0,
        last_at=90 * MINUTE_US,
        opened_at=60 * MINUTE_US,
        currency="usd",
        threshold=threshold,
    )
    for rect in re.findall(r"<rect [^>]*>", made):
        x, y, width, height = (
            float(re.findall(rf' {name}="([^"]+)"', rect)[0]) for name in ("x", "y", "width", "height")
        )
        assert x >= 0
        assert y >= -0.01
        assert width >= 0
        assert height >= -0.01
        assert x + width <= 720
        assert y + height <= 210


@pytest.mark.parametrize(
    ("nano", "exact", "short"),
    [
        (0, "0.00 USD", "0.00 USD"),
        (1_234_567_891_234_567, "1,234,567.891234567 USD", "1,234,567.89 USD"),
        (-1_555_000_000, "-1.555 USD", "-1.56 USD"),
        (3_215_000, "0.003215 USD", "0.0032 USD"),
        (42, "0.000000042 USD", "0.000000042 USD"),
    ],
)
def test_amounts_are_short_to_the_cent_and_whole_in_the_tooltip(nano: int, exact: str, short: str) -> None:
    assert (money(nano, "usd"), short_money(nano, "usd")) == (exact, short)
