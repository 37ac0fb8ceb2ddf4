"""The console's routes."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from billing_pipeline.errors import GuardError, ReviewNotFoundError
from billing_pipeline.gateway.console import acts
from billing_pipeline.gateway.console.activity_pages import activity
from billing_pipeline.gateway.console.answering import HEADERS, go, page_answer
from billing_pipeline.gateway.console.ask import Ask, foreign_form
from billing_pipeline.gateway.console.customer_pages import all_customers, one_customer
from billing_pipeline.gateway.console.endpoint import ConsoleEndpoint, Handle
from billing_pipeline.gateway.console.html import Html
from billing_pipeline.gateway.console.layout import ROOT
from billing_pipeline.gateway.console.login_page import again_page
from billing_pipeline.gateway.console.logins import Logins, login_path
from billing_pipeline.gateway.console.review_pages import decided_reviews, one_review, open_reviews
from billing_pipeline.gateway.console.stop_pages import all_stops
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.gateway import Gateway

Show = Callable[[Visit], Html]

_SHOWN: tuple[tuple[str, Show], ...] = (
    ("", open_reviews),
    ("/decided", decided_reviews),
    ("/reviews/{review_id}", one_review),
    ("/stops", all_stops),
    ("/customers", all_customers),
    ("/customers/{customer_id}", one_customer),
    ("/activity", activity),
)
_DONE: tuple[tuple[str, acts.Act], ...] = (
    ("/reviews/{review_id}", acts.decide),
    ("/stops", acts.stop),
    ("/stops/lift", acts.lift),
    ("/limits", acts.set_limit),
)


class Console:
    """All pages over one gateway."""

    def __init__(self, gateway: Gateway, clock_seconds: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._logins = Logins(gateway, clock_seconds)

    def routes(self) -> list[Route]:
        """Pages, forms, login and style."""
        logins = self._logins
        found: list[tuple[str, str, Handle]] = [
            *((path, "GET", self._shows(show)) for path, show in _SHOWN),
            *((path, "POST", self._does(act)) for path, act in _DONE),
            ("/login", "GET", logins.show),
            ("/login", "POST", logins.log_in),
            ("/logout", "POST", logins.log_out),
            ("/style.css", "GET", _style),
        ]
        return [
            Route(f"{ROOT}{path}", ConsoleEndpoint(self._gateway, handle), methods=[method])
            for path, method, handle in found
        ]

    def _shows(self, show: Show) -> Handle:
        async def handle(ask: Ask) -> Response:
            visit = self._logins.visitor(ask)
            if visit is not None:
                return page_answer(await run_in_threadpool(show, visit))
            path = acts.safe_path(ask.full_path)
            return page_answer(again_page(path)) if ask.is_from_elsewhere() else go(login_path(path))

        return handle

    def _does(self, act: acts.Act) -> Handle:
        async def handle(ask: Ask) -> Response:
            visit = self._logins.visitor(ask)
            if visit is None:
                return go(login_path(ROOT))
            form = await ask.form(self._gateway)
            if not visit.session.may(form.get("csrf", "")):
                raise foreign_form()
            visit = replace(visit, form=form)
            back = acts.back_of(visit)
            try:
                visit.session.told = (await act(visit), False)
            except (GuardError, TimeoutError) as error:
                visit.session.told = (str(error) or "The ledger did not answer; look again.", True)
                if act is acts.decide and not isinstance(error, ReviewNotFoundError):
                    back = acts.safe_path(ask.full_path)
            return go(back)

        return handle


async def _style(_ask: Ask) -> Response:
    headers = HEADERS | {"cache-control": "max-age=300"}
    return Response(_style_sheet(), headers=headers, media_type="text/css")


@cache
def _style_sheet() -> bytes:
    return files(__package__ or "").joinpath("style.css").read_bytes()
