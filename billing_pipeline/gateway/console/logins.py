"""Logging in to the console by an API key, and out."""

import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from starlette.responses import Response

from billing_pipeline.access.scope import Right
from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.console.acts import safe_path
from billing_pipeline.gateway.console.answering import end_cookie, go, page_answer, set_cookie
from billing_pipeline.gateway.console.ask import Ask, foreign_form
from billing_pipeline.gateway.console.layout import ROOT
from billing_pipeline.gateway.console.login_limit import LoginLimit
from billing_pipeline.gateway.console.login_page import login_page
from billing_pipeline.gateway.console.sessions import LIFE_SECONDS, Sessions
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.desk import Desk
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.ingest.queue_clock import wall_clock_us

COOKIE = "billing_console"
LOGIN_COOKIE = "billing_console_login"
_WHO_CHARACTERS = 120


class Logins:
    """Who is logged in to the console of one gateway."""

    def __init__(self, gateway: Gateway, clock_seconds: Callable[[], float]) -> None:
        self._gateway = gateway
        self._sessions = Sessions()
        self._limit = LoginLimit()
        self._clock_seconds = clock_seconds

    def visitor(self, ask: Ask) -> Visit | None:
        """Who is logged in, if anybody is.

        Raises:
            RequestRefusedError: the guard is not served here.
        """
        token = ask.cookies.get(COOKIE, "")
        found = token and self._sessions.find(
            token, self._gateway.keys, now_us=wall_clock_us(), now_seconds=self._clock_seconds()
        )
        if not found:
            return None
        session, key = found
        return Visit(session, key, _desk(self._gateway), ask.path, ask.query)

    async def show(self, ask: Ask) -> Response:
        """The page to log in on."""
        csrf = secrets.token_urlsafe(32)
        answer = page_answer(login_page(csrf=csrf, next_path=safe_path(ask.query.get("next", ""))))
        set_cookie(answer, LOGIN_COOKIE, csrf, is_https=ask.is_https)
        return answer

    async def log_in(self, ask: Ask) -> Response:
        """Log in by a key, or say why not."""
        now = self._clock_seconds()
        form = await ask.form(self._gateway)
        csrf, next_path = form.get("csrf", ""), safe_path(form.get("next", ""))
        if not csrf or not secrets.compare_digest(
            csrf.encode(), ask.cookies.get(LOGIN_COOKIE, "").encode("utf-8", "surrogateescape")
        ):
            return go(login_path(next_path))
        wait_seconds = self._limit.wait_seconds(ask.address, now)
        if wait_seconds:
            words = f"Too many logins have failed. Try again in {wait_seconds} seconds."
            answer = page_answer(login_page(csrf=csrf, next_path=next_path, problem=words), 429)
            answer.headers["retry-after"] = str(wait_seconds)
            return answer
        text = form.get("key", "").strip()
        key = self._gateway.keys.find(text, wall_clock_us())
        if key is None or Right.GUARD_ADMIN not in key.scope.rights:
            self._limit.count(ask.address, now)
            self._gateway.log.problem("console_login_refused", key_id=None if key is None else key.key_id)
            words = "This is no API key with the right guard:admin, or it has ended."
            return page_answer(login_page(csrf=csrf, next_path=next_path, problem=words), 401)
        who = " ".join(form.get("who", "").split())[:_WHO_CHARACTERS]
        token = self._sessions.start(key, text, who, now)
        self._gateway.log.info("console_login", key_id=key.key_id)
        answer = go(next_path)
        set_cookie(answer, COOKIE, token, is_https=ask.is_https, life_seconds=LIFE_SECONDS)
        end_cookie(answer, LOGIN_COOKIE)
        return answer

    async def log_out(self, ask: Ask) -> Response:
        """End the session."""
        found = self.visitor(ask)
        if found is not None:
            form = await ask.form(self._gateway)
            if not found.session.may(form.get("csrf", "")):
                raise foreign_form()
            self._sessions.end(ask.cookies.get(COOKIE, ""))
        answer = go(f"{ROOT}/login")
        end_cookie(answer, COOKIE)
        return answer


def login_path(next_path: str) -> str:
    """Where one logs in to go on to a path."""
    return f"{ROOT}/login" if next_path == ROOT else f"{ROOT}/login?{urlencode({'next': next_path})}"


def _desk(gateway: Gateway) -> Desk:
    if gateway.desk is None:
        raise RequestRefusedError(503, RequestCode.GUARD_UNAVAILABLE, "the guard is not served here")
    return gateway.desk
