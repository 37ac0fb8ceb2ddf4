"""The console in a real browser, over a running `billing serve`: log in, decide, stop, on a phone and a desk."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.control.api_keys import issue_key
from billing_pipeline.control.clock import now_us
from billing_pipeline.guardrails.review.queue import reviews
from billing_pipeline.guardrails.review.stops import stops_in_force
from billing_pipeline_tests.commands.guarded_home import control_url, run_away
from billing_pipeline_tests.gateway.console.chromium import PROGRAM, Chromium
from billing_pipeline_tests.gateway.served import COMMAND, Served

if TYPE_CHECKING:
    from sqlalchemy import Engine

if PROGRAM is None:
    pytest.skip("no Chromium: apt-get install chromium", allow_module_level=True)

SIZES = [(390, 844), (1200, 900)]
PAGES = ("", "/decided", "/stops", "/customers", "/customers/acme", "/activity")


class Station:
    """A gateway, a browser, and an operator's key."""

    def __init__(self, folder: Path) -> None:
        run_away(control_url(folder / "home"))
        self.served = Served(folder / "home", COMMAND)
        scope = Scope(frozenset({Right.GUARD_ADMIN}))
        self.key = issue_key(
            self.served.control, "ops", scope, events_per_second=None, expires_at=None, now_us=now_us()
        )
        # The gateway reads keys when it starts and every few seconds: so start it once more.
        self.served.stop()
        self.served = Served(folder / "home", COMMAND)
        self.browser = Chromium(folder / "chromium")

    @property
    def control(self) -> "Engine":
        return self.served.control

    def go(self, path: str) -> None:
        """To a page of the console."""
        self.browser.go(f"{self.served.url}/console{path}")

    def log_in(self) -> None:
        """As a person does."""
        self.go("/login")
        self.browser.fill("[name=who]", "ops@example.com")
        self.browser.fill("[name=key]", self.key)
        self.browser.click("form button")
        assert "Open reviews" in self.browser.text()

    def close(self) -> None:
        """End both."""
        self.browser.__exit__()
        self.served.close()


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    station = Station(tmp_path_factory.mktemp("station"))
    station.log_in()
    yield station
    station.close()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_page_fits_its_window_and_breaks_no_policy(station: Station, width: int, height: int) -> None:
    browser = station.browser
    browser.resize(width, height, dark=width > 600)
    for path in PAGES:
        station.go(path)
        assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        styled = browser.evaluate("getComputedStyle(document.querySelector('header')).position")
        assert styled == "sticky", "the style sheet is there"
        heights = browser.evaluate(
            "[...document.querySelectorAll('main button')].map(each => each.getBoundingClientRect().height)"
        )
        assert all(each >= 44 for each in heights), path
        assert browser.picture().startswith(b"\x89PNG")
    assert browser.problems == []


def test_a_review_is_decided_in_one_click_with_a_reason(station: Station) -> None:
    station.browser.resize(390, 844)
    station.go("")
    browser = station.browser
    (item,) = (each for each in reviews(station.control).rows if each.kind == "velocity")
    form = f"form[action$='{item.review_id}']"
    browser.fill(f"{form} [name=why]", "a load test")
    browser.click(f"{form} button[value=resume]")
    assert "Resumed: project:acme/p" in browser.text()
    assert stops_in_force(station.control).rows == ()
    (decided,) = reviews(station.control, "decided").rows
    assert decided.decisions[0].why == "a load test"
    assert decided.decisions[0].who == "ops@example.com (key ops)"


def test_a_kill_switch_is_turned_on_and_off(station: Station) -> None:
    browser = station.browser
    station.go("/stops")
    browser.fill("[name=scope]:not([type=hidden])", "session:acme/run-8")
    browser.evaluate("document.querySelector('select[name=kind]').value = 'kill'")
    browser.fill("form[action$='/stops'] [name=why]", "leaked")
    browser.click("form[action$='/stops'] button")
    assert "Stopped: session:acme/run-8" in browser.text()
    browser.fill("form[action$='/lift'] [name=why]", "rotated")
    browser.click("form[action$='/lift'] button")
    assert "Lifted: kill of session:acme/run-8" in browser.text()


def test_the_plot_is_drawn(station: Station) -> None:
    station.go("")
    boxes = station.browser.evaluate(
        "[...document.querySelectorAll('.plot rect')].map(each => each.getBoundingClientRect().height)"
    )
    assert max(boxes) > 20


def test_scripts_do_not_run(station: Station) -> None:
    """The policy of the page refuses them, wherever they came from."""
    station.go("/stops")
    station.browser.evaluate(
        "{const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)}"
    )
    assert station.browser.evaluate("window.ran") is None
    station.browser.problems.clear()


def test_logging_out_leads_to_the_login(station: Station) -> None:
    station.go("")
    station.browser.click("header button")
    assert "API key" in station.browser.text()
    station.go("/stops")
    assert "API key" in station.browser.text()
