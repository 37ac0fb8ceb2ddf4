"""`billing keys`."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from billing_pipeline.access.api_key import KeyRing
from billing_pipeline.access.scope import Right
from billing_pipeline.control.api_keys import api_keys
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import open_control
from billing_pipeline.settings import load_settings

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def keys(tmp_path: Path, in_process: Callable[..., CompletedProcess[str]]) -> Run:
    """Runs a command of `billing keys` over a home of its own."""
    return lambda *words: in_process(["keys", *words], {"BILLING_HOME": str(tmp_path / "home")})


@pytest.fixture
def ring(tmp_path: Path) -> Callable[[], KeyRing]:
    """The keys that a gateway would read now."""

    def read() -> KeyRing:
        engine = open_control(load_settings({"BILLING_HOME": str(tmp_path / "home")}).control_url)
        try:
            return KeyRing(api_keys(engine))
        finally:
            engine.dispose()

    return read


def listed(keys: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(keys("list", "--json").stdout)
    return found


def test_a_created_key_is_printed_once_and_good(keys: Run, ring: Callable[[], KeyRing]) -> None:
    """The list shows its scope, and never its secret."""
    text = keys(
        "create",
        "--name",
        "checkout",
        "--customer",
        "acme",
        "--source",
        "eu/*",
        "--events-per-second",
        "500",
        "--expires",
        "2100-01-01T00:00:00Z",
    ).stdout.strip()
    found = ring().find(text, now_us())
    assert found is not None
    [shown] = listed(keys)
    assert shown == {
        "id": found.key_id,
        "name": "checkout",
        "state": "good",
        "rights": ["events:write"],
        "customers": ["acme"],
        "sources": ["eu/*"],
        "events_per_second": 500,
        "expires": "2100-01-01T00:00:00.000000Z",
        "good_secrets": 1,
    }
    for output in (keys("list").stdout, keys("list", "--json").stdout):
        assert found.key_id in output
        assert text.rpartition("_")[2] not in output


def test_a_key_has_the_rights_that_were_asked_for(keys: Run, ring: Callable[[], KeyRing]) -> None:
    """Several, or else to write events."""
    text = keys("create", "--name", "agents", "--right", "guard:use", "--right", "guard:admin").stdout.strip()
    found = ring().find(text, now_us())
    assert found is not None
    assert found.scope.rights == {Right.GUARD_USE, Right.GUARD_ADMIN}
    assert [each["rights"] for each in listed(keys)] == [["guard:admin", "guard:use"]]


def test_a_revoked_key_is_refused_and_listed(keys: Run, ring: Callable[[], KeyRing]) -> None:
    text = keys("create", "--name", "checkout").stdout.strip()
    [shown] = listed(keys)
    assert keys("revoke", shown["id"]).returncode == 0
    assert ring().find(text, now_us()) is None
    assert [each["state"] for each in listed(keys)] == ["revoked"]


def test_a_rotated_key_keeps_its_old_secret_for_the_overlap(keys: Run, ring: Callable[[], KeyRing]) -> None:
    """Which may be none."""
    old = keys("create", "--name", "checkout").stdout.strip()
    [shown] = listed(keys)
    new = keys("rotate", shown["id"]).stdout.strip()
    assert [ring().find(each, now_us()) is not None for each in (old, new)] == [True, True]
    newest = keys("rotate", shown["id"], "--overlap-hours", "0").stdout.strip()
    assert [ring().find(each, now_us()) is not None for each in (new, newest)] == [False, True]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("create", "--name", ""), "printable characters"),
        (("create", "--name", "a", "--source", "*/eu"), "may only stand at the end"),
        (("create", "--name", "a", "--expires", "tomorrow"), "2027-01-01T00:00:00Z"),
        (("revoke", "nobody"), "no API key"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(keys: Run, words: tuple[str, ...], message: str) -> None:
    done = keys(*words)
    assert done.returncode == 1
    assert message in done.stderr
    assert listed(keys) == []
