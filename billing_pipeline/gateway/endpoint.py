"""A route that programs ask: who asks is known and may, whatever comes is answered, and told in the log."""

import time
from abc import ABC, abstractmethod

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.access.scope import Right
from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.answer import Answer, refused
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request import ClientGoneError, Receive, Request, Scope, Send
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.ingest.queue_clock import wall_clock_us

_GONE = 499
"""The status that the log shows where the client hung up."""


class Endpoint(ABC):
    """An ASGI application for one path and method, for keys that have a right."""

    def __init__(self, gateway: Gateway, right: Right) -> None:
        self._gateway = gateway
        self._right = right

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it is."""
        gateway = self._gateway
        started = time.perf_counter()
        request = Request(scope, receive)
        key_id: str | None = None
        answer = Answer(_GONE, b"")
        gateway.in_flight += 1
        try:
            try:
                key = self._authenticated(request)
                key_id = key.key_id
                answer = await self._answer(request, key)
            except RequestRefusedError as error:
                answer = refused(error)
            except Exception as error:  # noqa: BLE001 - a fault of ours is one request's, told without its payload
                gateway.log.problem("fault", kind=type(error).__name__, place=_place(error))
                answer = refused(
                    RequestRefusedError(500, RequestCode.INTERNAL, "a fault of the gateway; see its log")
                )
            await _send(request, answer, send, closing=gateway.draining)
        except ClientGoneError:
            pass
        finally:
            gateway.in_flight -= 1
            self._tell(request, answer, key_id, time.perf_counter() - started)

    def _authenticated(self, request: Request) -> ApiKey:
        gateway = self._gateway
        gateway.check_open()
        key = gateway.keys.find(request.api_key(), wall_clock_us())
        if key is None:
            message = "send a known API key: Authorization: Bearer KEY, or X-API-Key: KEY"
            raise RequestRefusedError(401, RequestCode.UNAUTHENTICATED, message)
        if self._right not in key.scope.rights:
            raise RequestRefusedError(
                403, RequestCode.FORBIDDEN, f"the API key lacks the right {self._right}"
            )
        return key

    @abstractmethod
    async def _answer(self, request: Request, key: ApiKey) -> Answer:
        """What the request gets.

        Raises:
            RequestRefusedError: it cannot be taken.
        """

    @abstractmethod
    def _tell(self, request: Request, answer: Answer, key_id: str | None, seconds: float) -> None:
        """Count it, and write its line of the log."""


async def _send(request: Request, answer: Answer, send: Send, *, closing: bool) -> None:
    if not request.came_whole:
        await request.discard_rest()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-correlation-id", request.correlation_id),
        *answer.headers,
    ]
    if closing or not request.came_whole:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
