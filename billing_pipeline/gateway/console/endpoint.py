"""One route of the console: whatever happens, the answer is a page."""

import time
from collections.abc import Awaitable, Callable

from starlette.responses import Response

from billing_pipeline.errors import GuardError, RequestRefusedError, ReviewNotFoundError
from billing_pipeline.gateway.console.answering import page_answer
from billing_pipeline.gateway.console.ask import Ask
from billing_pipeline.gateway.console.login_page import problem_page
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request import ClientGoneError, Receive, Request, Scope, Send

Handle = Callable[[Ask], Awaitable[Response]]


class ConsoleEndpoint:
    """An ASGI application for one route of the console: errors are pages too."""

    def __init__(self, gateway: Gateway, handle: Handle) -> None:
        self._gateway = gateway
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it is."""
        gateway = self._gateway
        started = time.perf_counter()
        request = Request(scope, receive)
        gateway.in_flight += 1
        try:
            try:
                gateway.check_open()
                answer = await self._handle(Ask(request, scope))
            except RequestRefusedError as error:
                answer = page_answer(problem_page("That was not possible", error.message), error.status)
            except ReviewNotFoundError as error:
                answer = page_answer(problem_page("Not found", str(error)), 404)
            except GuardError as error:
                answer = page_answer(problem_page("That was not possible", str(error)), 400)
            except ClientGoneError:
                return
            except Exception as error:  # noqa: BLE001 - a fault of ours is one request's, told without its payload
                gateway.log.problem("fault", kind=type(error).__name__, path=scope["path"])
                answer = page_answer(problem_page("A fault of the gateway", "Its log says more."), 500)
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
