"""The console within the test's process, over a home in which the guard has stopped something."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx2 as httpx
import pytest

from billing_pipeline_tests.commands.guarded_home import run_away
from billing_pipeline_tests.gateway.desk_door import DeskDoor


class Person:
    """Somebody at a browser."""

    def __init__(self, desk: DeskDoor) -> None:
        self.desk = desk
        self.client = desk.client

    def get(self, path: str = "/console", **headers: str) -> httpx.Response:
        """Look at a page."""
        return self.client.get(
            path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def log_in(
        self, key: str | None = None, who: str = "ops@example.com", next_path: str = ""
    ) -> httpx.Response:
        """Log in, by an operator's key unless told otherwise."""
        csrf = self.csrf("/console/login")
        form = {"csrf": csrf, "key": key or self.desk.key, "who": who, "next": next_path}
        return self.client.post("/console/login", data=form)

    def csrf(self, path: str = "/console") -> str:
        """What the forms of a page bring back."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found is not None
        return unescape(found[1])

    def post(self, path: str, csrf: str | None = None, **fields: str) -> httpx.Response:
        """Send a form of a page."""
        return self.client.post(path, data={"csrf": self.csrf() if csrf is None else csrf, **fields})

    def item(self, kind: str) -> str:
        """The path of the open review item of a kind."""
        rows = self.desk.ask("GET", "/v1/reviews").json()["rows"]
        return f"/console/reviews/{next(row['review_id'] for row in rows if row['kind'] == kind)}"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskDoor]:
    url = f"sqlite:///{tmp_path / 'control.sqlite'}?timeout=60"
    run_away(url)
    desk = DeskDoor(tmp_path, url)
    yield desk
    desk.close()


@pytest.fixture
def stranger(desk: DeskDoor) -> Person:
    """Not logged in."""
    return Person(desk)


@pytest.fixture
def person(desk: DeskDoor) -> Person:
    """Logged in."""
    person = Person(desk)
    assert person.log_in().status_code == 303
    return person
