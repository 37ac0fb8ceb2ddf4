"""The ASGI application: the gateway's routes."""

from collections.abc import Mapping, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from billing_pipeline.gateway.balance_endpoint import BALANCE_PATH, BalanceEndpoint
from billing_pipeline.gateway.console.console import Console
from billing_pipeline.gateway.endpoint import Endpoint
from billing_pipeline.gateway.events_endpoint import EventsEndpoint
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.guard_endpoint import BODIES, GuardEndpoint
from billing_pipeline.gateway.metrics import CONTENT_TYPE
from billing_pipeline.gateway.openapi import openapi_document
from billing_pipeline.gateway.request import Receive, Scope, Send
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.gateway.review_routes import review_routes

_EVENTS_PATH = "/v1/events"


class Application(Starlette):
    """Starlette's routes, but for those that everything comes to: they take no way around."""

    def __init__(self, posts: Mapping[str, Endpoint], routes: Sequence[Route]) -> None:
        super().__init__(
            routes=[*(Route(path, posts[path], methods=["POST"]) for path in posts), *routes],
            exception_handlers={HTTPException: _no_route},
        )
        self.router.redirect_slashes = False
        self._posts = posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._posts.get(scope["path"])
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def application(gateway: Gateway) -> Application:
    """All routes around the gateway's state."""

    async def is_alive(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def is_ready(_request: Request) -> Response:
        reason = (
            RequestCode.QUEUE_FAILED
            if gateway.failure
            else RequestCode.SHUTTING_DOWN
            if gateway.draining
            else None
        )
        status = 200 if reason is None else 503
        return JSONResponse({"ready": reason is None, "reason": reason}, status)

    async def show_metrics(_request: Request) -> Response:
        return Response(await run_in_threadpool(gateway.metrics.text), headers={"content-type": CONTENT_TYPE})

    async def show_openapi(_request: Request) -> Response:
        return JSONResponse(openapi_document())

    return Application(
        {_EVENTS_PATH: EventsEndpoint(gateway)} | {path: GuardEndpoint(gateway, path) for path in BODIES},
        [
            Route(BALANCE_PATH, BalanceEndpoint(gateway), methods=["GET"]),
            Route("/healthz", is_alive),
            Route("/readyz", is_ready),
            Route("/metrics", show_metrics),
            Route("/openapi.json", show_openapi),
            *review_routes(gateway),
            *Console(gateway).routes(),
        ],
    )


async def _no_route(_request: Request, error: Exception) -> Response:
    status, headers = 500, None
    if isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
    code = {404: RequestCode.NOT_FOUND, 405: RequestCode.METHOD_NOT_ALLOWED}.get(status, RequestCode.INTERNAL)
    message = "the routes and their methods are in /openapi.json"
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)
