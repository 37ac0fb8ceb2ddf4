"""The console's routes: who is logged in, what forms bring, and the headers that keep pages to themselves."""

import secrets
import time
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from billing_pipeline.access.scope import Right
from billing_pipeline.errors import GuardError, RequestRefusedError, ReviewNotFoundError
from billing_pipeline.gateway.console import acts
from billing_pipeline.gateway.console.activity_pages import activity
from billing_pipeline.gateway.console.customer_pages import all_customers, one_customer
from billing_pipeline.gateway.console.html import Html
from billing_pipeline.gateway.console.layout import ROOT
from billing_pipeline.gateway.console.login_limit import LoginLimit
from billing_pipeline.gateway.console.login_page import again_page, login_page, problem_page
from billing_pipeline.gateway.console.review_pages import decided_reviews, one_review, open_reviews
from billing_pipeline.gateway.console.sessions import LIFE_SECONDS, Session, Sessions
from billing_pipeline.gateway.console.stop_pages import all_stops
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.desk import Desk
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request import ClientGoneError, Receive, Request, Scope, Send
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.ingest.queue_clock import wall_clock_us

COOKIE = "billing_console"
LOGIN_COOKIE = "billing_console_login"
FORM_BYTES = 16 * 1024
_FIELDS_MOST = 30
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

Show = Callable[[Visit], Html]


class Ask:
    """A request to the console, before it is known who asks."""

    def __init__(self, request: Request, scope: Scope) -> None:
        self.request = request
        self.scope = scope
        self.path: dict[str, str] = scope.get("path_params", {})
        self.is_https = "https" in {scope.get("scheme"), request.header(b"x-forwarded-proto")}
        self.address = (scope.get("client") or ("",))[0]
        self.query = _fields(request.query_string)
        self.cookies = _cookies(request.header(b"cookie"))

    @property
    def full_path(self) -> str:
        """With its query, as it can be asked for again."""
        path = self.scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or self.scope["path"]
        query = self.request.query_string.decode("latin-1")
        return f"{path}?{query}" if query else path

    def is_from_elsewhere(self) -> bool:
        """Whether the browser says that another site's page asked."""
        return self.request.header(b"sec-fetch-site") in {"cross-site", "same-site"}

    async def form(self, gateway: Gateway) -> dict[str, str]:
        """What a form has sent.

        Raises:
            RequestRefusedError: it is no form, too large or too slow, or another site's page has sent it.
        """
        if self.is_from_elsewhere():
            raise _forbidden()
        if not self.request.header(b"content-type").startswith("application/x-www-form-urlencoded"):
            raise RequestRefusedError(415, RequestCode.UNSUPPORTED_CONTENT_TYPE, "send a form")
        length = self.request.header(b"content-length")
        if length.isdecimal() and len(length) < 20 and int(length) > FORM_BYTES:  # noqa: PLR2004 - digits of 2⁶⁴
            raise _too_large()
        with gateway.budget.share() as share:
            body = await self.request.body(share, gateway.settings.body_seconds)
        if len(body) > FORM_BYTES:
            raise _too_large()
        return _fields(body)


class Console:
    """All pages over one gateway."""

    def __init__(self, gateway: Gateway, clock_seconds: Callable[[], float] = time.monotonic) -> None:
        self.gateway = gateway
        self.sessions = Sessions()
        self.limit = LoginLimit()
        self.clock_seconds = clock_seconds

    def routes(self) -> list[Route]:
        """Pages, forms, login and style."""
        shown: tuple[tuple[str, Show], ...] = (
            ("", open_reviews),
            ("/decided", decided_reviews),
            ("/reviews/{review_id}", one_review),
            ("/stops", all_stops),
            ("/customers", all_customers),
            ("/customers/{customer_id}", one_customer),
            ("/activity", activity),
        )
        done: tuple[tuple[str, acts.Act], ...] = (
            ("/reviews/{review_id}", acts.decide),
            ("/stops", acts.stop),
            ("/stops/lift", acts.lift),
            ("/limits", acts.set_limit),
        )
        found = [
            *((f"{ROOT}{path}", "GET", self._shows(show)) for path, show in shown),
            *((f"{ROOT}{path}", "POST", self._does(act)) for path, act in done),
            (f"{ROOT}/login", "GET", self._login_form),
            (f"{ROOT}/login", "POST", self._login),
            (f"{ROOT}/logout", "POST", self._logout),
            (f"{ROOT}/style.css", "GET", self._style),
        ]
        return [
            Route(path, ConsoleEndpoint(self, handle), methods=[method]) for path, method, handle in found
        ]

    def _shows(self, show: Show) -> "Handle":
        async def handle(ask: Ask) -> Response:
            found = self._visitor(ask)
            if found is None:
                if ask.is_from_elsewhere():
                    return _page(again_page(acts.safe_path(ask.full_path)))
                return _go(_login_path(acts.safe_path(ask.full_path)))
            session, visit = found
            del session
            return _page(await run_in_threadpool(show, visit))

        return handle

    def _does(self, act: acts.Act) -> "Handle":
        async def handle(ask: Ask) -> Response:
            found = self._visitor(ask)
            if found is None:
                return _go(_login_path(ROOT))
            session, visit = found
            form = await ask.form(self.gateway)
            if not session.may(form.get("csrf", "")):
                raise _forbidden()
            visit = Visit(session, visit.key, visit.desk, visit.path, visit.query, form)
            back = acts.back_of(visit)
            try:
                session.told = (await act(visit), False)
            except (GuardError, TimeoutError) as error:
                session.told = (str(error) or "The ledger did not answer; look again.", True)
                if act is acts.decide and not isinstance(error, ReviewNotFoundError):
                    back = acts.safe_path(ask.full_path)
            return _go(back)

        return handle

    def _visitor(self, ask: Ask) -> tuple[Session, Visit] | None:
        token = ask.cookies.get(COOKIE, "")
        found = token and self.sessions.find(
            token, self.gateway.keys, now_us=wall_clock_us(), now_seconds=self.clock_seconds()
        )
        if not found:
            return None
        session, key = found
        return session, Visit(session, key, _desk(self.gateway), ask.path, ask.query)

    async def _login_form(self, ask: Ask) -> Response:
        csrf = secrets.token_urlsafe(32)
        answer = _page(login_page(csrf=csrf, next_path=acts.safe_path(ask.query.get("next", ""))))
        _set_cookie(answer, LOGIN_COOKIE, csrf, ask)
        return answer

    async def _login(self, ask: Ask) -> Response:
        now = self.clock_seconds()
        form = await ask.form(self.gateway)
        csrf, next_path = form.get("csrf", ""), acts.safe_path(form.get("next", ""))
        if not csrf or not secrets.compare_digest(
            csrf.encode(), ask.cookies.get(LOGIN_COOKIE, "").encode("utf-8", "surrogateescape")
        ):
            return _go(_login_path(next_path))
        wait_seconds = self.limit.wait_seconds(ask.address, now)
        if wait_seconds:
            words = f"Too many logins have failed. Try again in {wait_seconds} seconds."
            answer = _page(login_page(csrf=csrf, next_path=next_path, problem=words), 429)
            answer.headers["retry-after"] = str(wait_seconds)
            return answer
        text = form.get("key", "").strip()
        key = self.gateway.keys.find(text, wall_clock_us())
        if key is None or Right.GUARD_ADMIN not in key.scope.rights:
            self.limit.count(ask.address, now)
            self.gateway.log.problem("console_login_refused", key_id=None if key is None else key.key_id)
            words = "This is no API key with the right guard:admin, or it has ended."
            return _page(login_page(csrf=csrf, next_path=next_path, problem=words), 401)
        who = " ".join(form.get("who", "").split())[:120]
        token = self.sessions.start(key, text, who, now)
        self.gateway.log.info("console_login", key_id=key.key_id)
        answer = _go(next_path)
        _set_cookie(answer, COOKIE, token, ask, life_seconds=LIFE_SECONDS)
        answer.delete_cookie(LOGIN_COOKIE, ROOT, httponly=True, samesite="strict")
        return answer

    async def _logout(self, ask: Ask) -> Response:
        found = self._visitor(ask)
        if found is not None:
            form = await ask.form(self.gateway)
            if not found[0].may(form.get("csrf", "")):
                raise _forbidden()
            self.sessions.end(ask.cookies.get(COOKIE, ""))
        answer = _go(f"{ROOT}/login")
        answer.delete_cookie(COOKIE, ROOT, httponly=True, samesite="strict")
        return answer

    async def _style(self, _ask: Ask) -> Response:
        return Response(
            _style_sheet(), headers=_HEADERS | {"cache-control": "max-age=300"}, media_type="text/css"
        )


Handle = Callable[[Ask], Awaitable[Response]]


class ConsoleEndpoint:
    """An ASGI application for one route of the console: errors are pages too."""

    def __init__(self, console: Console, handle: Handle) -> None:
        self._console = console
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it is."""
        gateway = self._console.gateway
        started = time.perf_counter()
        request = Request(scope, receive)
        gateway.in_flight += 1
        try:
            try:
                gateway.check_open()
                answer = await self._handle(Ask(request, scope))
            except RequestRefusedError as error:
                answer = _page(problem_page("That was not possible", error.message), error.status)
            except ReviewNotFoundError as error:
                answer = _page(problem_page("Not found", str(error)), 404)
            except GuardError as error:
                answer = _page(problem_page("That was not possible", str(error)), 400)
            except ClientGoneError:
                return
            except Exception as error:  # noqa: BLE001 - a fault of ours is one request's, told without its payload
                gateway.log.problem("fault", kind=type(error).__name__, path=scope["path"])
                answer = _page(problem_page("A fault of the gateway", "Its log says more."), 500)
            if not request.came_whole:
                await request.discard_rest()
            if gateway.draining:
                answer.headers["connection"] = "close"
            await answer(scope, receive, send)
        finally:
            gateway.in_flight -= 1
        gateway.metrics.desk_requests.labels(str(answer.status_code)).inc()
        gateway.log.info(
            "request",
            path=scope["path"],
            status=answer.status_code,
            milliseconds=round((time.perf_counter() - started) * 1000, 3),
        )


@cache
def _style_sheet() -> bytes:
    return files(__package__ or "").joinpath("style.css").read_bytes()


def _desk(gateway: Gateway) -> Desk:
    if gateway.desk is None:
        raise RequestRefusedError(503, RequestCode.GUARD_UNAVAILABLE, "the guard is not served here")
    return gateway.desk


def _page(html: Html, status: int = 200) -> Response:
    return Response(html, status, dict(_HEADERS), "text/html; charset=utf-8")


def _go(path: str) -> Response:
    return Response(status_code=303, headers=_HEADERS | {"location": path})


def _login_path(next_path: str) -> str:
    return f"{ROOT}/login" if next_path == ROOT else f"{ROOT}/login?{urlencode({'next': next_path})}"


def _set_cookie(
    answer: Response, name: str, value: str, ask: Ask, *, life_seconds: int | None = None
) -> None:
    answer.set_cookie(
        name, value, max_age=life_seconds, path=ROOT, secure=ask.is_https, httponly=True, samesite="strict"
    )


def _fields(text: bytes) -> dict[str, str]:
    """Names and values of a query or form, in UTF-8; of a name that comes twice the last.

    Raises:
        RequestRefusedError: there are too many, or one is no text.
    """
    try:
        found = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MOST
        )
    except ValueError as error:
        raise RequestRefusedError(
            400, RequestCode.INVALID_PARAMETER, "this is no form of the console"
        ) from error
    if any("\0" in value for _, value in found):
        raise RequestRefusedError(
            400, RequestCode.INVALID_PARAMETER, "a field has characters that are no text"
        )
    return dict(found)


def _cookies(header: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, is_pair, value in pairs if is_pair}


def _forbidden() -> RequestRefusedError:
    words = "The form is not of this login any more: go back, load the page again, and repeat it."
    return RequestRefusedError(403, RequestCode.FORBIDDEN, words)


def _too_large() -> RequestRefusedError:
    return RequestRefusedError(413, RequestCode.BODY_TOO_LARGE, f"a form has at most {FORM_BYTES} bytes")
