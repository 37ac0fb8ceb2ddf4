"""A route for people's programs: who asks is known and may, what came is checked, errors have their status."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from starlette.responses import Response

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.access.scope import Right
from billing_pipeline.errors import GuardError, GuardUnavailableError, RequestRefusedError
from billing_pipeline.gateway.answer import Answer, refused
from billing_pipeline.gateway.desk import Desk
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.guard_refusals import refusal_of
from billing_pipeline.gateway.request import ClientGoneError, Receive, Request, Scope, Send
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.guardrails.scope import customer_of
from billing_pipeline.ingest.queue_clock import wall_clock_us

BODY_BYTES = 64 * 1024
_ENCODER = msgspec.json.Encoder()

Asked = TypeVar("Asked", bound=msgspec.Struct)


class Call:
    """One request, of a key that may ask it."""

    def __init__(self, gateway: Gateway, request: Request, scope: Scope, key: ApiKey, desk: Desk) -> None:
        self._gateway = gateway
        self._request = request
        self.path: dict[str, str] = scope.get("path_params", {})
        self.key = key
        self.desk = desk

    @property
    def customers(self) -> frozenset[str] | None:
        """Whom the key may see and stop; None is everybody."""
        return self.key.scope.customers

    def query(self, kind: type[Asked]) -> Asked:
        """The parameters of the path.

        Raises:
            RequestRefusedError: one is unknown, comes twice or is not possible.
        """
        found = parse_qs(self._request.query_string.decode("latin-1"), keep_blank_values=True)
        given = {name: values[0] for name, values in found.items()}
        if twice := next((name for name, values in found.items() if len(values) > 1), None):
            raise _parameter(f"{twice} is given twice")
        if odd := next((name for name, value in given.items() if not value.isprintable()), None):
            raise _parameter(f"{odd} has characters that are no text")
        try:
            return msgspec.convert(given, kind, strict=False)
        except msgspec.ValidationError as error:
            raise _parameter(str(error)) from error

    async def body(self, kind: type[Asked]) -> Asked:
        """The JSON document that came.

        Raises:
            RequestRefusedError: it is none, too large, or not what the route takes.
        """
        gateway = self._gateway
        with gateway.budget.share() as share:
            content = await self._request.body(share, gateway.settings.body_seconds)
        if len(content) > BODY_BYTES:
            raise RequestRefusedError(
                413, RequestCode.BODY_TOO_LARGE, f"send at most {BODY_BYTES} bytes", limit=BODY_BYTES
            )
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestRefusedError(400, RequestCode.INVALID_BODY, str(error)) from error

    def check_scope(self, scope: str) -> None:
        """Refuse what belongs to a customer that the key may not touch.

        Raises:
            RequestRefusedError: it does.
        """
        if self.customers is not None and customer_of(scope) not in self.customers:
            raise RequestRefusedError(
                403, RequestCode.FORBIDDEN, f"the API key may not act for customer {customer_of(scope)!r}"
            )


Handler = Callable[[Call], Awaitable[Any]]


class DeskEndpoint:
    """An ASGI application for one route: what its handler returns is answered as JSON."""

    def __init__(self, gateway: Gateway, handler: Handler) -> None:
        self._gateway = gateway
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it is."""
        gateway = self._gateway
        started = time.perf_counter()
        request = Request(scope, receive)
        key_id: str | None = None
        gateway.in_flight += 1
        try:
            try:
                key, desk = self._admitted(request)
                key_id = key.key_id
                found = await self._handler(Call(gateway, request, scope, key, desk))
                answer = Answer(200, _ENCODER.encode(found))
            except RequestRefusedError as error:
                answer = refused(error)
            except (GuardError, TimeoutError) as error:
                answer = refused(refusal_of(error))
            except ClientGoneError:
                return
            except Exception as error:  # noqa: BLE001 - a fault of ours is one request's, told without its payload
                gateway.log.problem("fault", kind=type(error).__name__, path=scope["path"])
                answer = refused(
                    RequestRefusedError(500, RequestCode.INTERNAL, "a fault of the gateway; see its log")
                )
            if not request.came_whole:
                await request.discard_rest()
            headers = {name.decode(): value.decode() for name, value in answer.headers}
            headers["x-correlation-id"] = request.correlation_id.decode("ascii")
            if gateway.draining:
                headers["connection"] = "close"
            await Response(answer.body, answer.status, headers, "application/json")(scope, receive, send)
        finally:
            gateway.in_flight -= 1
        seconds = time.perf_counter() - started
        gateway.metrics.desk_requests.labels(str(answer.status)).inc()
        gateway.log.info(
            "request",
            correlation_id=request.correlation_id.decode("ascii"),
            path=scope["path"],
            key_id=key_id,
            status=answer.status,
            code=answer.code,
            milliseconds=round(seconds * 1000, 3),
        )

    def _admitted(self, request: Request) -> tuple[ApiKey, Desk]:
        gateway = self._gateway
        gateway.check_open()
        key = gateway.keys.find(request.api_key(), wall_clock_us())
        if key is None:
            message = "send a known API key: Authorization: Bearer KEY, or X-API-Key: KEY"
            raise RequestRefusedError(401, RequestCode.UNAUTHENTICATED, message)
        if Right.GUARD_ADMIN not in key.scope.rights:
            raise RequestRefusedError(
                403, RequestCode.FORBIDDEN, f"the API key lacks the right {Right.GUARD_ADMIN}"
            )
        if gateway.desk is None:
            raise refusal_of(GuardUnavailableError("the guard is not served here"))
        return key, gateway.desk


def _parameter(message: str) -> RequestRefusedError:
    return RequestRefusedError(400, RequestCode.INVALID_PARAMETER, message)
